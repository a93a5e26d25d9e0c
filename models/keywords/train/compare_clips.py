"""Compares the program with this recipe, clip by clip: the same sound, the same model, two implementations.

    lookhear eval keywords --model .. --data validation --clips clips.jsonl
    python compare_clips.py --bundle .. --clips clips.jsonl

Prints each clip on which a score differs by more than `TOLERANCE` or the label is another, with how far the recipe's own
scores move when its log-mel moves by `ROUNDING`; ends with exit code 1 if there is any. Two transforms in float32 differ
by so much. A float model passes that on as it is; in an int8 model a value that lies between two steps falls to either
side, and where the model is in doubt the step grows from layer to layer.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import soundfile

from features import CLIP_SAMPLES, RATE_HZ, from_int16, log_mel
from labels import LABELS
from spotter import Spotter

TOLERANCE = 0.01
ROUNDING = 1e-4
TRIALS = 60


def window_of(path):
    """Log-mel [98, 40] of a clip's first second, filled up with zeros at its end."""
    samples, rate_hz = soundfile.read(path, dtype="int16")
    if rate_hz != RATE_HZ or samples.ndim != 1:
        sys.exit(f"{path} is not mono at {RATE_HZ} Hz; the program resamples it, and this recipe does not.")
    clip = np.zeros(CLIP_SAMPLES, np.int16)
    clip[: len(samples)] = samples[:CLIP_SAMPLES]
    return log_mel(from_int16(clip))


def own_movement(spotter, window, rng):
    """The greatest change of a score when the window's values move by up to `ROUNDING`."""
    scores = spotter.score(window)
    moved = (window + rng.uniform(-ROUNDING, ROUNDING, window.shape) for _ in range(TRIALS))
    return max(float(np.abs(spotter.score(other) - scores).max()) for other in moved)


def compare(model, rows):
    """The greatest difference of a score, and a line for each clip on which the two do not agree."""
    spotter, rng = Spotter(model), np.random.default_rng(0)
    greatest, disagreements = 0.0, []
    for row in rows:
        window = window_of(row["file"])
        scores = spotter.score(window)
        difference = float(np.abs(scores - np.array(row["scores"], np.float32)).max())
        greatest = max(greatest, difference)
        answer = LABELS[int(scores.argmax())]
        if answer != row["answer"] or difference > TOLERANCE:
            labels = row["answer"] if answer == row["answer"] else f"{row['answer']} by the program, {answer} here"
            moves = own_movement(spotter, window, rng)
            disagreements.append(f"{row['file']}: {labels}; differs by {difference:.4f}, moves by {moves:.4f} itself")
    return greatest, disagreements


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=pathlib.Path, required=True)
    parser.add_argument("--clips", type=pathlib.Path, required=True, help="what `lookhear eval keywords --clips` wrote")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.clips.read_text().splitlines()]
    if not rows:
        sys.exit(f"{arguments.clips} has no clips.")
    greatest, disagreements = compare(arguments.bundle / "model.tflite", rows)
    for line in disagreements:
        print(line)
    print(f"{len(rows)} clips, {len(disagreements)} beyond the tolerance; greatest difference of a score {greatest:.6f}")
    if disagreements:
        sys.exit(1)


if __name__ == "__main__":
    main()

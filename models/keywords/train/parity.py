"""Makes the clips and expected numbers by which the program proves that it hears as this recipe does.

Clips are spoken by espeak-ng and flite; those that lie in the folder already are kept, so that a new model changes
numbers and not sounds. Writes `<name>.wav`, `<name>.npy` (log-mel, float32 [98, 40]) and `expected.json`.
"""

import argparse
import hashlib
import json
import pathlib
import tempfile

import numpy as np
import soundfile

from augment import amplitude
from features import CLIP_SAMPLES, RATE_HZ, from_int16, log_mel
from labels import LABELS, SILENCE, UNKNOWN
from spotter import Spotter
from synthesise import speak

# File name, label, how it is spoken (the path of the WAV follows), and the level of the hiss under it.
CLIPS = [
    ("yes", "yes", ["espeak-ng", "-v", "en-gb", "-s", "150", "yes", "-w"], -60.0),
    ("left", "left", ["espeak-ng", "-v", "en-us+f3", "-s", "140", "left", "-w"], -60.0),
    ("stop", "stop", ["flite", "-voice", "slt", "-t", "stop", "-o"], -60.0),
    ("go-in-noise", "go", ["flite", "-voice", "rms", "-t", "go", "-o"], -35.0),
    ("camera", UNKNOWN, ["espeak-ng", "-v", "en-us", "-s", "160", "camera", "-w"], -60.0),
    ("silence", SILENCE, None, -50.0),
]
HISS_SEED = 3


def make_clip(command, hiss_db, rng):
    """One second of 16-bit samples."""
    clip = np.zeros(CLIP_SAMPLES, np.float32)
    if command:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "spoken.wav"
            clip = from_int16(speak([*command, str(path)], path))
    hiss = rng.standard_normal(CLIP_SAMPLES) * amplitude(hiss_db)
    return np.round(np.clip(clip + hiss, -1.0, 1.0) * 32767).astype(np.int16)


def parity(bundle, into):
    """Fills the folder `into` for the model of `bundle`."""
    into.mkdir(parents=True, exist_ok=True)
    model = (bundle / "model.tflite").read_bytes()
    with_xnnpack, plain = Spotter(model), Spotter(model, xnnpack=False)
    rng, rows = np.random.default_rng(HISS_SEED), []
    for name, label, command, hiss_db in CLIPS:
        path = into / f"{name}.wav"
        if not path.exists():
            soundfile.write(path, make_clip(command, hiss_db, rng), RATE_HZ, subtype="PCM_16")
        samples, _ = soundfile.read(path, dtype="int16")
        window = log_mel(from_int16(samples))
        np.save(into / f"{name}.npy", window)
        scores = with_xnnpack.score(window)
        rows.append({
            "wav": f"{name}.wav",
            "log_mel": f"{name}.npy",
            "spoken": label,
            "answer": LABELS[int(scores.argmax())],
            "scores": [round(float(score), 6) for score in scores],
            "scores_without_xnnpack": [round(float(score), 6) for score in plain.score(window)],
        })
    expected = {"model_sha256": hashlib.sha256(model).hexdigest(), "labels": LABELS, "clips": rows}
    (into / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    for row in rows:
        print(row["wav"], row["spoken"], "→", row["answer"], max(row["scores"]), max(row["scores_without_xnnpack"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=pathlib.Path, required=True)
    parser.add_argument("--into", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    parity(arguments.bundle, arguments.into)

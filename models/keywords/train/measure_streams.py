"""Chooses a threshold on one half of the streams that `make_streams.py` made, and reports on the other half.

    python measure_streams.py --streams DIR --model FILE

The reference for `lookhear eval stream`, which does the same faster: a decision every 100 ms, the rule of
`stream.py`, one threshold for all words. A hit is the right word reported between its start and a second after its end;
every other event is wrong there, and a false accept in the streams without commands. The threshold is the lowest that
keeps the goal on `choose`; rates come with the 95 % interval of a Poisson distribution.
"""

import argparse
import csv
import pathlib

import numpy as np
import scipy.stats
import soundfile

from features import RATE_HZ
from labels import COMMANDS
from spotter import Spotter
from stream import GRACE_S, decisions, events

WORDS = ["words-clean", "words-20db", "words-10db", "words-5db", "words-0db"]
WITHOUT = ["without-commands-real", "without-commands-synthetic"]
THRESHOLDS = np.round(np.arange(0.50, 0.995, 0.01), 2)
# Seconds that are decided at once; the decider starts anew with each.
PART_S = 600


class Measured:
    """One stream's scores and its truth."""

    def __init__(self, path, spotter):
        self.hours = soundfile.info(path.with_suffix(".wav")).duration / 3600
        with path.with_suffix(".csv").open() as file:
            rows = [(float(row["start_s"]), float(row["end_s"]), row["label"]) for row in csv.DictReader(file)]
        self.words = [row for row in rows if row[2] in COMMANDS]
        self.parts = [(start, *decisions(spotter, samples)) for start, samples in _parts(path.with_suffix(".wav"))]

    def events(self, threshold):
        """(time, word) of every event; the decider starts anew with each part."""
        thresholds = dict.fromkeys(COMMANDS, threshold)
        return [(start + time, word) for start, times, scores in self.parts for time, word in events(times, scores, thresholds)]

    def misses(self, threshold):
        """How many words are missed, and how many events belong to no word."""
        found, heard = self.events(threshold), set()
        for time, word in found:
            near = [place for place, (start, end, _) in enumerate(self.words) if start <= time <= end + GRACE_S]
            heard |= {place for place in near if self.words[place][2] == word}
        return len(self.words) - len(heard), max(0, len(found) - len(heard))


def _parts(path):
    """Some minutes at a time, so that hours fit the memory."""
    with soundfile.SoundFile(path) as file:
        for start in range(0, len(file) - RATE_HZ, PART_S * RATE_HZ):
            file.seek(start)
            yield start / RATE_HZ, file.read(PART_S * RATE_HZ, dtype="float32")


def poisson_95(count):
    """Limits of the expectation behind a count; nothing counted is bounded by the rule of three."""
    if count == 0:
        return 0.0, 3.0
    return scipy.stats.chi2.ppf(0.025, 2 * count) / 2, scipy.stats.chi2.ppf(0.975, 2 * count + 2) / 2


def choose(streams, false_accepts_an_hour):
    """The lowest threshold at which the streams without commands keep the goal; the highest if none does."""
    for threshold in THRESHOLDS:
        if sum(len(stream.events(threshold)) for stream in streams) <= false_accepts_an_hour * sum(stream.hours for stream in streams):
            return float(threshold)
    return float(THRESHOLDS[-1])


def report(folder, spotter, threshold):
    """Markdown of one half at a threshold."""
    lines = [f"threshold {threshold:.2f}", "", "| stream | missed | events beside words |", "|---|---|---|"]
    for name in WORDS:
        if (folder / f"{name}.wav").exists():
            stream = Measured(folder / name, spotter)
            missed, beside = stream.misses(threshold)
            lines.append(f"| {name} | {missed} of {len(stream.words)}, {missed / len(stream.words):.1%} | {beside} |")
    lines += ["", "| stream | hours | false accepts | an hour | 95 % |", "|---|---|---|---|---|"]
    for name in WITHOUT:
        if (folder / f"{name}.wav").exists():
            stream = Measured(folder / name, spotter)
            count = len(stream.events(threshold))
            low, high = (limit / stream.hours for limit in poisson_95(count))
            lines.append(f"| {name} | {stream.hours:.2f} | {count} | {count / stream.hours:.2f} | {low:.2f} to {high:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--false-accepts-an-hour", type=float, default=0.5)
    arguments = parser.parse_args()
    model = Spotter(arguments.model)
    recorded = [Measured(arguments.streams / "choose" / WITHOUT[0], model)]
    print(report(arguments.streams / "report", model, choose(recorded, arguments.false_accepts_an_hour)))

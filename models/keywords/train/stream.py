"""Finds each word's threshold on streams (`make_streams.py`), a decision every 100 ms as the model is used.

The rule of decision is that of `src/speech/decision.rs`; `lookhear eval stream` measures the same with the program itself.

Words hardly hinder each other: for each threshold that all words share, hits and false accepts are counted by word, and
each word then gets its own. Lowering one word's threshold is worth it as long as it gains enough hits for each false
accept an hour; how many is the same for all words, and as few as keep all words together below the allowed rate.
"""

import argparse
import collections
import csv
import json
import pathlib

import numpy as np
import soundfile

from features import CLIP_FRAMES, CLIP_SAMPLES, RATE_HZ, STEP_SAMPLES, log_mel
from labels import COMMANDS, LABELS
from spotter import Spotter

STEP_MS = 100
# More tells words from what sounds like one for a moment; each look more costs 50 ms.
SMOOTHING = 5
# After an event no other is made for this long, and the word itself must first fall below half its threshold, or be so
# long ago that the newest look sees nothing of it any more.
QUIET_AFTER_EVENT_S = 0.5
RENEWED_AFTER_S = CLIP_SAMPLES / RATE_HZ + STEP_MS / 1000
# The right word counts as heard from its start to one second after its end.
GRACE_S = 1.0
THRESHOLDS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.84, 0.86, 0.88, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98]
WORDS = ["words-clean", "words-20db", "words-10db"]
WITHOUT_COMMANDS = ["without-commands-real", "without-commands-synthetic"]
# In hours that are mostly talk. Nobody talks all day, and at a fourth of this rate half as many words again are missed.
FALSE_ACCEPTS_AN_HOUR = 3.0
# A word has too few false accepts at high thresholds to choose by their number. From here on they are taken to fall off
# exponentially in log odds, as fast as those counted do and, as if so many more had been, as usual.
TAIL_FROM, USUAL_COUNT, USUAL_EXCESS = 0.84, 5, 0.3
LOOKS_AT_ONCE = 1000


def decisions(spotter, path):
    """Scores of the last second, every 100 ms, averaged over the last few: times of the window's end, [n, 12]."""
    step, scores = STEP_MS * RATE_HZ // 1000, []
    with soundfile.SoundFile(path) as file:
        looks = max(0, 1 + (len(file) - CLIP_SAMPLES) // step)
        for first in range(0, looks, LOOKS_AT_ONCE):
            count = min(LOOKS_AT_ONCE, looks - first)
            file.seek(first * step)
            columns = log_mel(file.read((count - 1) * step + CLIP_SAMPLES, dtype="float32"))
            windows = np.lib.stride_tricks.sliding_window_view(columns, CLIP_FRAMES, axis=0)[:: step // STEP_SAMPLES].swapaxes(1, 2)
            scores.append(spotter.scores(windows))
    scores = np.concatenate([np.zeros((SMOOTHING - 1, len(LABELS))), *scores])
    smoothed = np.mean([scores[delay : len(scores) - SMOOTHING + 1 + delay] for delay in range(SMOOTHING)], axis=0)
    return np.arange(looks) * STEP_MS / 1000 + CLIP_SAMPLES / RATE_HZ, smoothed


def events(times, smoothed, thresholds):
    """(time, word) of every event; `thresholds` by word."""
    commands = smoothed[:, LABELS.index(COMMANDS[0]) :]
    limits = np.array([thresholds[word] for word in COMMANDS])
    armed, last, last_word, found = np.ones(len(COMMANDS), bool), -np.inf, 0, []
    # Where every score is below half of every threshold, all that happens is that all words are armed.
    before = -1
    for look in np.flatnonzero(commands.max(1) >= limits.min() / 2):
        time, scores = times[look], commands[look]
        # Times are multiples of a hundredth; their differences are so only nearly.
        since = round(float(time - last), 3) if found else np.inf
        armed[last_word] |= since >= RENEWED_AFTER_S
        armed |= (scores < limits / 2) | (look > before + 1)
        before, word = look, int(scores.argmax())
        if armed[word] and scores[word] >= limits[word] and since >= QUIET_AFTER_EVENT_S:
            found.append((float(time), COMMANDS[word]))
            armed[word], last, last_word = False, time, word
    return found


def spoken_words(path):
    """(start, end, word) of the commands in a stream's table."""
    with path.open(newline="") as file:
        rows = [(float(row["start_s"]), float(row["end_s"]), row["label"]) for row in csv.DictReader(file)]
    return [row for row in rows if row[2] in COMMANDS]


def judge(spoken, found):
    """By word: how often it was spoken, heard, and reported where it was not."""
    starts, heard = np.array([start for start, _, _ in spoken]), set()
    tally = {word: collections.Counter() for word in COMMANDS}
    for _, _, word in spoken:
        tally[word]["spoken"] += 1
    for time, word in found:
        newest = np.searchsorted(starts, time, side="right")
        near = [place for place in range(max(0, newest - 3), newest) if time <= spoken[place][1] + GRACE_S]
        right = [place for place in near if spoken[place][2] == word]
        new = [place for place in right if place not in heard]
        if new:
            heard.add(new[0])
            tally[word]["hits"] += 1
        elif not right:
            tally[word]["false"] += 1
    return tally


def sweep(model, folder):
    """(word, threshold) → share of misses over the streams of words, and false accepts an hour without commands, as expected."""
    spotter, hours, table = Spotter(model), 0.0, {(word, limit): [0, 0, 0] for word in COMMANDS for limit in THRESHOLDS}
    for name in WORDS + WITHOUT_COMMANDS:
        times, smoothed = decisions(spotter, folder / f"{name}.wav")
        spoken = spoken_words(folder / f"{name}.csv")
        hours += 0.0 if spoken else len(times) * STEP_MS / 3.6e6
        for limit in THRESHOLDS:
            for word, count in judge(spoken, events(times, smoothed, dict.fromkeys(COMMANDS, limit))).items():
                row = table[word, limit]
                row[0] += count["spoken"]
                row[1] += count["hits"]
                row[2] += 0 if spoken else count["false"]
        print(f"{name}: {len(times) * STEP_MS / 3.6e6:.2f} h, {len(spoken)} commands", flush=True)
    expected = {word: smoothed_tail([table[word, limit][2] for limit in THRESHOLDS]) for word in COMMANDS}
    return {
        (word, limit): (1.0 - hits / max(1, spoken), expected[word][THRESHOLDS.index(limit)] / max(hours, 1e-9))
        for (word, limit), (spoken, hits, _) in table.items()
    }


def smoothed_tail(counts):
    """Counts of false accepts at `THRESHOLDS`, those from `TAIL_FROM` on as expected of an exponential tail."""
    first = THRESHOLDS.index(TAIL_FROM)
    odds = np.log(np.array(THRESHOLDS) / (1.0 - np.array(THRESHOLDS)))
    area = np.trapezoid(counts[first:], odds[first:])
    excess = (area + USUAL_COUNT * USUAL_EXCESS) / (counts[first] + USUAL_COUNT)
    return counts[:first] + list(counts[first] * np.exp(-(odds[first:] - odds[first]) / excess))


def choose(swept):
    """Threshold by word, with the fewest misses at no more false accepts than allowed."""
    for price in np.geomspace(0.01, 100.0, 200):
        chosen = {}
        for word in COMMANDS:
            # Of equally good ones the highest, which has the most room above what is not the word.
            chosen[word] = min(reversed(THRESHOLDS), key=lambda limit: swept[word, limit][0] + price * swept[word, limit][1])
        if sum(swept[word, limit][1] for word, limit in chosen.items()) <= FALSE_ACCEPTS_AN_HOUR:
            break
    return chosen


def markdown(swept, chosen):
    """Misses and false accepts an hour of every word at every threshold, the chosen one in bold."""
    lines = ["| threshold | " + " | ".join(COMMANDS) + " |", "|---" * (len(COMMANDS) + 1) + "|"]
    for limit in THRESHOLDS:
        cells = [f"{swept[word, limit][0]:.1%}, {swept[word, limit][1]:.2f}" for word in COMMANDS]
        cells = [f"**{cell}**" if chosen[word] == limit else cell for word, cell in zip(COMMANDS, cells)]
        lines.append(f"| {limit:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=pathlib.Path, required=True, help="the half `choose` of what make_streams.py made")
    parser.add_argument("--model", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    measured = sweep(arguments.model, arguments.streams)
    thresholds = choose(measured)
    print(markdown(measured, thresholds))
    print(json.dumps(thresholds))

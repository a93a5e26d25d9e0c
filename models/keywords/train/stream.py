"""Measures a model as it is used: on a stream, a decision every 100 ms, to find the threshold.

The rule of decision is that of `src/speech/decision.rs`.

The stream is made of validation clips only, laid at known places over validation noise in scenes of twenty words, each
scene with its own noise, signal-to-noise ratio and loudness; then running speech of validation readers, and noise alone.
Nothing in it was heard in training.
"""

import argparse
import json
import pathlib

import numpy as np

from augment import amplitude, coloured_noise, level
from corpus import Corpus, Pieces
from features import CLIP_FRAMES, CLIP_SAMPLES, RATE_HZ, STEP_SAMPLES, WINDOW_SAMPLES, from_int16, log_mel
from labels import COMMANDS, LABELS
from spotter import Spotter

STEP_MS = 100
SMOOTHING = 3
# After an event no other is made for this long, and the word itself must first fall below half its threshold, or be so
# long ago that nothing of it is under the average any more.
QUIET_AFTER_EVENT_S = 0.5
RENEWED_AFTER_S = CLIP_SAMPLES / RATE_HZ + SMOOTHING * STEP_MS / 1000
# The right word counts as heard from the clip's start to one second after its end.
GRACE_S = 1.0
WORDS_PER_SCENE = 20
GAP_S = (0.6, 2.0)
SCENE_SNR_DB = (5.0, 30.0)
SCENE_GAIN_DB = (-20.0, 0.0)
NOISE_ONLY_SECONDS = 600
THRESHOLDS = np.round(np.arange(0.30, 0.96, 0.05), 2)


class Stream:
    """Samples with their truth: `words` are (start in seconds, word); None stands for anything that is not a command."""

    def __init__(self, rng, noise):
        self.rng, self.noise = rng, noise
        self.parts, self.words, self.seconds = [], [], 0.0

    def add_scene(self, clips):
        """Clips (samples, word) with gaps between them, under one noise and at one loudness."""
        pieces, start = [], self.seconds
        for samples, word in clips:
            gap = np.zeros(int(self.rng.uniform(*GAP_S) * RATE_HZ), np.float32)
            self.words.append((start + len(gap) / RATE_HZ, len(samples) / RATE_HZ, word))
            pieces += [gap, samples]
            start += (len(gap) + len(samples)) / RATE_HZ
        scene = np.concatenate(pieces)
        loudness = np.median([level(samples) for samples, _ in clips])
        background = self._background(len(scene))
        scene += background * (loudness / amplitude(self.rng.uniform(*SCENE_SNR_DB)) / level(background))
        self._add(scene * amplitude(self.rng.uniform(*SCENE_GAIN_DB)))

    def add_noise(self, seconds):
        """Noise alone, its loudness changing every ten seconds."""
        for _ in range(seconds // 10):
            self._add(self._background(10 * RATE_HZ) * amplitude(self.rng.uniform(*SCENE_GAIN_DB)))

    def samples(self):
        return np.concatenate(self.parts)

    def _background(self, count):
        recording = self.noise.arrays[self.rng.integers(len(self.noise.arrays))]
        return np.resize(np.roll(from_int16(recording), self.rng.integers(len(recording))), count)

    def _add(self, part):
        self.parts.append(np.clip(part, -1.0, 1.0).astype(np.float32))
        self.seconds += len(part) / RATE_HZ


def validation_stream(cache, seed=7):
    """Three stretches: words in noise, running speech in noise, noise alone."""
    corpus, rng = Corpus(cache, "validation"), np.random.default_rng(seed)
    stream = Stream(rng, Pieces(corpus.noise.arrays + [coloured_noise(rng) for _ in range(2)]))
    pairs = [(row, word if word in COMMANDS else None) for word, rows in corpus.by_word.items() for row in rows]
    order = rng.permutation(len(pairs))
    for scene in np.array_split(order, len(order) // WORDS_PER_SCENE):
        stream.add_scene([(from_int16(corpus.clips[pairs[place][0]]), pairs[place][1]) for place in scene])
    stretches = {"words": stream.seconds}
    for utterance in corpus.spoken.arrays:
        stream.add_scene([(from_int16(utterance), None)])
    stretches["running speech"] = stream.seconds - stretches["words"]
    stream.add_noise(NOISE_ONLY_SECONDS)
    stretches["noise"] = NOISE_ONLY_SECONDS
    return stream, stretches


def decisions(spotter, samples):
    """Scores of the last second, every 100 ms, averaged over the last three: times of the window's end, [n, 12]."""
    columns = np.concatenate([
        log_mel(samples[start : start + 1000 * STEP_SAMPLES + WINDOW_SAMPLES - STEP_SAMPLES])
        for start in range(0, len(samples) - WINDOW_SAMPLES, 1000 * STEP_SAMPLES)
    ])
    step = STEP_MS * RATE_HZ // 1000 // STEP_SAMPLES
    ends = np.arange(CLIP_FRAMES, len(columns) + 1, step)
    scores = spotter.scores(columns[end - CLIP_FRAMES : end] for end in ends)
    sums = np.cumsum(np.concatenate([np.zeros((SMOOTHING, scores.shape[1])), scores]), 0)
    smoothed = (sums[SMOOTHING:] - sums[:-SMOOTHING]) / SMOOTHING
    return (ends * STEP_SAMPLES + CLIP_SAMPLES - CLIP_FRAMES * STEP_SAMPLES) / RATE_HZ, smoothed


def events(times, smoothed, thresholds):
    """(time, word) of every event; `thresholds` by word."""
    first = LABELS.index(COMMANDS[0])
    limits = np.array([thresholds[word] for word in COMMANDS])
    armed, last, last_word, found = np.ones(len(COMMANDS), bool), -np.inf, 0, []
    for time, scores in zip(times, smoothed[:, first:]):
        # Times are multiples of a hundredth; their differences are so only nearly.
        since = round(float(time - last), 3) if found else np.inf
        armed[last_word] |= since >= RENEWED_AFTER_S
        armed |= scores < limits / 2
        word = int(scores.argmax())
        if armed[word] and scores[word] >= limits[word] and since >= QUIET_AFTER_EVENT_S:
            found.append((float(time), COMMANDS[word]))
            armed[word], last, last_word = False, time, word
    return found


def judge(stream, found):
    """Counts hits, misses, wrong words, repeats and false accepts; delays from the clip's end."""
    heard, tally = set(), {"hits": 0, "wrong": 0, "repeats": 0, "false_accepts": 0}
    delays, wrong, by_word = [], [], {word: [0, 0, 0] for word in COMMANDS}
    starts = np.array([start for start, _, _ in stream.words])
    for time, word in found:
        near = [
            place for place in range(max(0, np.searchsorted(starts, time) - 3), np.searchsorted(starts, time))
            if starts[place] <= time <= starts[place] + stream.words[place][1] + GRACE_S
        ]
        right = [place for place in near if stream.words[place][2] == word]
        if any(place not in heard for place in right):
            place = next(place for place in right if place not in heard)
            heard.add(place)
            tally["hits"] += 1
            by_word[word][0] += 1
            delays.append(time - starts[place] - stream.words[place][1])
        elif right:
            tally["repeats"] += 1
        elif any(stream.words[place][2] for place in near):
            tally["wrong"] += 1
            by_word[word][2] += 1
        else:
            tally["false_accepts"] += 1
            by_word[word][2] += 1
    for _, _, word in stream.words:
        if word:
            by_word[word][1] += 1
    spoken = sum(count for _, count, _ in by_word.values())
    tally |= {"spoken": spoken, "misses": spoken - tally["hits"]}
    if delays:
        tally["delay_after_clip_s"] = [round(float(value), 2) for value in np.percentile(delays, [10, 50, 90])]
    return tally, by_word


def false_accepts_by_stretch(stretches, found, stream):
    """Events an hour in the running speech and in the noise, where no command is spoken."""
    begin, rates = stretches["words"], {}
    for name in ("running speech", "noise"):
        count = sum(begin <= time < begin + stretches[name] for time, _ in found)
        rates[name] = {"events": count, "minutes": round(stretches[name] / 60, 1)}
        begin += stretches[name]
    return rates


def sweep(cache, model):
    """One row a threshold: (threshold, tally, tally by word, events in stretches without commands)."""
    stream, stretches = validation_stream(cache)
    times, smoothed = decisions(Spotter(model), stream.samples())
    rows = []
    for threshold in THRESHOLDS:
        found = events(times, smoothed, dict.fromkeys(COMMANDS, threshold))
        rows.append((float(threshold), *judge(stream, found), false_accepts_by_stretch(stretches, found, stream)))
    return rows, stretches


def choose(rows):
    """The threshold with the fewest errors; a false accept weighs as much as two misses, for it does what nobody asked."""
    def cost(row):
        tally = row[1]
        return tally["misses"] + tally["repeats"] + 2 * (tally["wrong"] + tally["false_accepts"])

    return min(rows, key=cost)


def markdown(rows):
    """The sweep as a table."""
    lines = ["| threshold | hits | misses | wrong words | repeats | false accepts | of these in running speech | in noise |", "|---" * 8 + "|"]
    for threshold, tally, _, stretches in rows:
        cells = [tally["hits"], tally["misses"], tally["wrong"], tally["repeats"], tally["false_accepts"]]
        cells += [stretches["running speech"]["events"], stretches["noise"]["events"]]
        lines.append(f"| {threshold:.2f} | " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    measured, parts = sweep(arguments.cache, arguments.model)
    print({name: f"{seconds / 60:.1f} min" for name, seconds in parts.items()}, "\n\n" + markdown(measured))
    print("\nchosen:", json.dumps(choose(measured)))

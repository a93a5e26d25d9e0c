"""Reads the cache that `prepare.py` and `synthesise.py` filled, one set (`training` or `validation`) at a time."""

import collections
import json

import numpy as np

from features import CLIP_SAMPLES, from_int16
from labels import COMMANDS, LABELS, label_index

VALIDATION_SEED = 2017


class Corpus:
    """The recordings of one set.

    - `by_word`: word → rows of `clips`
    - `spoken`, `noise`: running speech and background noise, to cut seconds from
    - `synthetic`: word → rows of `synthetic_clips`
    - `sentences`: running speech of synthesisers
    """

    def __init__(self, cache, split):
        index = json.loads((cache / "index.json").read_text())
        self.clips = np.load(cache / "clips.npy", mmap_mode="r")
        self.by_word = _rows_by_word(index["clips"], split)
        self.spoken = _cut(cache / "speech.npy", index["speech"], split)
        self.noise = _cut(cache / "noise.npy", index["noise"], split)
        self.synthetic_clips = np.load(cache / "synthetic.npy", mmap_mode="r")
        self.sentences = _cut(cache / "sentences.npy", json.loads((cache / "sentences.json").read_text()), split)
        self.synthetic = _rows_by_word(json.loads((cache / "synthetic.json").read_text()), split)


class Pieces:
    """Long recordings of which random seconds are cut; every place of all of them is equally likely."""

    def __init__(self, arrays):
        self.arrays = [array for array in arrays if len(array) > CLIP_SAMPLES]
        self.ends = np.cumsum([len(array) - CLIP_SAMPLES for array in self.arrays])

    def __bool__(self):
        return bool(self.arrays)

    def place(self, rng):
        """Which recording, and where in it a second begins."""
        place = rng.integers(0, self.ends[-1])
        piece = int(np.searchsorted(self.ends, place, side="right"))
        return piece, int(self.ends[piece] - place) - 1

    def second_at(self, piece, start):
        """The second at a place as float32 in -1…1."""
        return from_int16(self.arrays[piece][start : start + CLIP_SAMPLES])

    def second(self, rng):
        """One second as float32 in -1…1."""
        return self.second_at(*self.place(rng))


def _cut(path, rows, split):
    samples, arrays, start = np.load(path, mmap_mode="r"), [], 0
    for row in rows:
        if row["split"] == split:
            arrays.append(np.asarray(samples[start : start + row["samples"]]))
        start += row["samples"]
    return Pieces(arrays)


def _rows_by_word(rows, split):
    by_word = collections.defaultdict(list)
    for number, row in enumerate(rows):
        if row["split"] == split:
            by_word[row["word"]].append(number)
    return {word: np.array(numbers) for word, numbers in sorted(by_word.items())}


def validation_clips(cache):
    """Samples [n, 16000] and labels [n] of validation: every clip as recorded, then silence.

    There is about as much silence as of one command: half zeros, half crops of the held-back noise at random volume,
    because a microphone is never digitally silent.
    """
    corpus, rng = Corpus(cache, "validation"), np.random.default_rng(VALIDATION_SEED)
    samples, labels = [], []
    for word, rows in corpus.by_word.items():
        samples += [from_int16(corpus.clips[row]) for row in rows]
        labels += [label_index(word)] * len(rows)
    silent = sum(len(corpus.by_word[word]) for word in COMMANDS) // len(COMMANDS)
    for number in range(silent):
        volume = rng.uniform(0.0, 1.0) if number % 2 else 0.0
        samples.append(volume * corpus.noise.second(rng))
        labels.append(LABELS.index("silence"))
    return np.stack(samples).astype(np.float32), np.array(labels)


def held_back_voices(cache):
    """Samples and labels of the commands spoken by synthetic voices that training never hears."""
    corpus = Corpus(cache, "held back")
    pairs = [(row, label_index(word)) for word, rows in corpus.synthetic.items() for row in rows]
    return from_int16(corpus.synthetic_clips[[row for row, _ in pairs]]), np.array([label for _, label in pairs])

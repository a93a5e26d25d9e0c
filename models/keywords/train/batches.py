"""Balanced, augmented training batches, made by a thread beside the optimiser."""

import queue
import threading
import typing

import numpy as np

from augment import Augmenter, word_edges
from features import CLIP_SAMPLES, RATE_HZ, from_int16, log_mel
from labels import COMMANDS, LABELS, SILENCE, UNKNOWN, label_index
from lessons import HINTS

# Shares of a batch. Of single words more than an eighth makes the network take unclear commands for `unknown`; the rest
# of `unknown` is running speech, of which a stream is full.
SHARES = {SILENCE: 0.08, UNKNOWN: 0.24} | {word: 0.68 / len(COMMANDS) for word in COMMANDS}
SYNTHETIC_SHARE_OF_COMMANDS = 0.2
# Mix-up (Zhang et al. 2018): some clips are laid over another of the batch, and so are their labels.
MIX_SHARE, MIX_BETA = 0.3, 0.3
# "sequences" are windows anywhere in a few words, one after the other; "cut commands" hold less than half of a command, as
# a stream shows them before and after the word.
UNKNOWN_SOURCES = {"words": 0.35, "sequences": 0.2, "running speech": 0.15, "sentences": 0.15, "synthetic": 0.08, "cut commands": 0.07}
# What the hardest are sought among: not running speech, which holds commands that nobody marked.
MINED_SOURCES = {"words": 0.35, "sequences": 0.35, "sentences": 0.2, "synthetic": 0.1}
WORDS_A_SEQUENCE, SEQUENCE_GAP_S = 4, (0.0, 0.3)


# A recording's label counts so much less where the teacher hears something else. What a synthesiser was told is certain.
DOUBT_SHARE = 0.4


class Example(typing.NamedTuple):
    """A second of sound, the shares of the labels [12], and what the teacher says of it [192], NaN where it says nothing."""

    samples: np.ndarray
    target: np.ndarray
    hints: np.ndarray


class Batches:
    """Batches of one epoch; the same seed and epoch give the same batches."""

    def __init__(self, corpus, lessons, seed, epoch, size, mix_share=MIX_SHARE):
        self.corpus, self.lessons, self.size, self.mix_share = corpus, lessons, size, mix_share
        self.rng = np.random.default_rng([seed, epoch])
        self.augmenter = Augmenter(corpus, self.rng)
        self.other_words = [word for word in corpus.by_word if word not in COMMANDS]
        # Nearly every word alike, since fifteen of these words have some twenty clips and ten have eighteen hundred.
        counts = np.array([len(corpus.by_word[word]) for word in self.other_words]) ** 0.25
        self.other_word_shares = counts / counts.sum()
        self.other_synthetic = [word for word in corpus.synthetic if word not in COMMANDS]
        absent = {"words": not self.other_words, "sequences": not self.other_words, "running speech": not corpus.spoken}
        self.unknown_sources = [source for source in UNKNOWN_SOURCES if not absent.get(source)]
        shares = np.array([UNKNOWN_SOURCES[source] for source in self.unknown_sources])
        self.unknown_shares = shares / shares.sum()

    def batch(self):
        """Features [size, 98, 40], shares of the labels [size, 12], hints [size, 192] and whether there are any [size]."""
        labels = self.rng.choice(len(LABELS), self.size, p=list(SHARES.values()))
        samples, targets, hints = (np.stack(part) for part in zip(*(self._second(LABELS[label]) for label in labels)))
        samples, targets, mixed = self._mixed(samples, targets)
        known = np.isfinite(hints[:, 0]) & ~mixed
        features = np.stack([self.augmenter.mask(clip) for clip in log_mel(samples)])
        return features, targets, np.where(known[:, None], hints, 0.0).astype(np.float32), known.astype(np.float32)

    def without_commands(self, count):
        """Features [count, 98, 40] of seconds that hold no command, to seek the hardest among them."""
        sources = self.rng.choice(list(MINED_SOURCES), count, p=list(MINED_SOURCES.values()))
        samples = np.stack([self._without_command(source).samples for source in sources])
        return np.stack([self.augmenter.mask(clip) for clip in log_mel(samples)])

    def _mixed(self, samples, targets):
        mixed = self.rng.random(self.size) < self.mix_share
        partner = self.rng.permutation(self.size)
        weight = np.where(mixed, self.rng.beta(MIX_BETA, MIX_BETA, self.size), 1.0).astype(np.float32)[:, None]
        weight = np.maximum(weight, 1.0 - weight)
        return *(weight * own + (1.0 - weight) * own[partner] for own in (samples, targets)), mixed

    def _second(self, label):
        if label == SILENCE:
            return Example(self.augmenter.silence(), _certain(label), NO_HINTS)
        if label == UNKNOWN:
            return self._unknown()
        synthetic = label in self.corpus.synthetic and self.rng.random() < SYNTHETIC_SHARE_OF_COMMANDS
        return self._spoken(self._synthetic(label) if synthetic else self._recorded(label))

    def _unknown(self):
        return self._without_command(self.rng.choice(self.unknown_sources, p=self.unknown_shares))

    def _without_command(self, source):
        if source == "cut commands":
            clip = self._recorded(self.rng.choice(COMMANDS)).samples
            return Example(self.augmenter.cut_speech(clip), _certain(UNKNOWN), NO_HINTS)
        if source == "sequences":
            return self._spoken(Example(self._sequence(), _certain(UNKNOWN), NO_HINTS))
        if source == "sentences":
            return self._spoken(Example(self.corpus.sentences.second(self.rng), _certain(UNKNOWN), NO_HINTS))
        if source == "words":
            return self._spoken(self._recorded(self.rng.choice(self.other_words, p=self.other_word_shares)))
        if source == "synthetic":
            return self._spoken(self._synthetic(self.rng.choice(self.other_synthetic)))
        piece, start = self.corpus.spoken.place(self.rng)
        hints = self.lessons.of_speech(piece, start)
        return self._spoken(Example(self.corpus.spoken.second_at(piece, start), _certain(UNKNOWN), hints))

    def _sequence(self):
        """A second anywhere in a few other words that follow each other."""
        pieces = []
        for word in self.rng.choice(self.other_words, WORDS_A_SEQUENCE, p=self.other_word_shares):
            clip = self._recorded(word).samples
            begin, end = word_edges(clip)
            pieces += [clip[begin:end], np.zeros(int(self.rng.uniform(*SEQUENCE_GAP_S) * RATE_HZ), np.float32)]
        whole = np.concatenate(pieces)
        whole = np.pad(whole, (0, max(0, CLIP_SAMPLES - len(whole))))
        start = self.rng.integers(0, len(whole) - CLIP_SAMPLES + 1)
        return whole[start : start + CLIP_SAMPLES]

    def _spoken(self, example):
        return example._replace(samples=self.augmenter.speech(example.samples))

    def _recorded(self, word):
        row = self.rng.choice(self.corpus.by_word[word])
        target = (1.0 - DOUBT_SHARE) * _certain(_label_of(word)) + DOUBT_SHARE * self.lessons.doubts[row]
        return Example(from_int16(self.corpus.clips[row]), target.astype(np.float32), self.lessons.clips[row])

    def _synthetic(self, word):
        row = self.rng.choice(self.corpus.synthetic[word])
        return Example(from_int16(self.corpus.synthetic_clips[row]), _certain(_label_of(word)), self.lessons.synthetic[row])


NO_HINTS = np.full(HINTS, np.nan, np.float32)


def _label_of(word):
    return LABELS[label_index(word)]


def _certain(label):
    return np.eye(len(LABELS), dtype=np.float32)[LABELS.index(label)]


def ahead(make, count, depth=4):
    """Yields `count` results of `make`, computed ahead by a thread: NumPy and the optimiser share the cores that way."""
    ready = queue.Queue(depth)

    def work():
        try:
            for _ in range(count):
                ready.put(make())
        except BaseException as error:  # handed to the consumer, which would wait for ever otherwise
            ready.put(error)

    threading.Thread(target=work, daemon=True).start()
    for _ in range(count):
        result = ready.get()
        if isinstance(result, BaseException):
            raise result
        yield result

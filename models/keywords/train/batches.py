"""Balanced, augmented training batches, made by a thread beside the optimiser."""

import queue
import threading

import numpy as np

from augment import Augmenter
from features import from_int16, log_mel
from labels import COMMANDS, LABELS

# Shares of a batch. More `unknown` than an eighth makes the network take unclear commands for it.
SHARES = {"silence": 0.08, "unknown": 0.12} | {word: 0.08 for word in COMMANDS}
SYNTHETIC_SHARE_OF_COMMANDS = 0.2
# Mix-up (Zhang et al. 2018): some clips are laid over another of the batch, and so are their labels.
MIX_SHARE, MIX_BETA = 0.3, 0.3
# "cut commands" are windows that hold less than half of a command, as a stream shows them before and after the word.
UNKNOWN_SOURCES = {"words": 0.5, "running speech": 0.2, "synthetic": 0.15, "cut commands": 0.15}


class Batches:
    """Batches of one epoch; the same seed and epoch give the same batches."""

    def __init__(self, corpus, seed, epoch, size):
        self.corpus, self.size = corpus, size
        self.rng = np.random.default_rng([seed, epoch])
        self.augmenter = Augmenter(corpus, self.rng)
        self.other_words = [word for word in corpus.by_word if word not in COMMANDS]
        # Between "every clip alike" and "every word alike", since most words outside the commands have few clips.
        counts = np.sqrt([len(corpus.by_word[word]) for word in self.other_words])
        self.other_word_shares = counts / counts.sum()
        self.other_synthetic = [word for word in corpus.synthetic if word not in COMMANDS]
        sources = {"words": bool(self.other_words), "running speech": bool(corpus.spoken), "synthetic": bool(self.other_synthetic), "cut commands": True}
        self.unknown_sources = [source for source, present in sources.items() if present]
        shares = np.array([UNKNOWN_SOURCES[source] for source in self.unknown_sources])
        self.unknown_shares = shares / shares.sum()

    def batch(self):
        """Features [size, 98, 40] and shares of the labels [size, 12]."""
        labels = self.rng.choice(len(LABELS), self.size, p=list(SHARES.values()))
        samples = np.stack([self._second(LABELS[label]) for label in labels])
        samples, targets = self._mixed(samples, np.eye(len(LABELS), dtype=np.float32)[labels])
        return np.stack([self.augmenter.mask(clip) for clip in log_mel(samples)]), targets

    def _mixed(self, samples, targets):
        mixed = self.rng.random(self.size) < MIX_SHARE
        partner = self.rng.permutation(self.size)
        weight = np.where(mixed, self.rng.beta(MIX_BETA, MIX_BETA, self.size), 1.0).astype(np.float32)[:, None]
        weight = np.maximum(weight, 1.0 - weight)
        return tuple(weight * own + (1.0 - weight) * own[partner] for own in (samples, targets))

    def _second(self, label):
        if label == "silence":
            return self.augmenter.silence()
        if label == "unknown":
            return self._unknown()
        synthetic = label in self.corpus.synthetic and self.rng.random() < SYNTHETIC_SHARE_OF_COMMANDS
        return self.augmenter.speech(self._synthetic(label) if synthetic else self._recorded(label))

    def _unknown(self):
        source = self.rng.choice(self.unknown_sources, p=self.unknown_shares)
        if source == "cut commands":
            return self.augmenter.cut_speech(self._recorded(self.rng.choice(COMMANDS)))
        if source == "words":
            clip = self._recorded(self.rng.choice(self.other_words, p=self.other_word_shares))
        elif source == "synthetic":
            clip = self._synthetic(self.rng.choice(self.other_synthetic))
        else:
            clip = self.corpus.spoken.second(self.rng)
        return self.augmenter.speech(clip)

    def _recorded(self, word):
        return from_int16(self.corpus.clips[self.rng.choice(self.corpus.by_word[word])])

    def _synthetic(self, word):
        return from_int16(self.corpus.synthetic_clips[self.rng.choice(self.corpus.synthetic[word])])


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

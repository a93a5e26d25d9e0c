"""What a network that has heard far more speech makes of the training clips: guidance for ours, which ships alone.

The teacher is Google's speech embedding (Lin, Kilgour, Roblek, Sharifi, "Training Keyword Spotters with Limited and
Synthesized Speech Data", ICASSP 2020; Apache-2.0), trained on some 200 million clips to tell five thousand words, in the
TensorFlow Lite form that `pyopen-wakeword` carries: 96 numbers for each 80 ms. It hears every clip as recorded, once.

Two things are learned from it (`train.py`):

- **hints**: mean and maximum of its numbers over the clip, scaled to unit variance, which our network predicts from the
  altered clip beside the label (Romero et al., "FitNets", 2015). So it learns what speech is made of from words that
  were recorded some twenty times.
- **doubts**: the scores of small networks upon it for clips of speakers that they were not trained on (five folds). A
  clip that they take for another word has a label that is half believed.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from corpus import Corpus
from features import CLIP_SAMPLES, RATE_HZ
from labels import LABELS, label_index
from lessons import HINTS, grid

# A quarter of a second of silence before and after, so that the word's edges are seen, too.
MARGIN_SAMPLES = RATE_HZ // 4
PLACES, NUMBERS = 9, 96
MODELS = ["melspectrogram.tflite", "embedding_model.tflite"]
FOLDS, EPOCHS, BATCH, PEAK_RATE = 5, 20, 256, 2e-3
LABEL_SMOOTHING = 0.05


class Embedding:
    """16-bit clips of a second to the teacher's numbers [9, 96]."""

    def __init__(self):
        models = pathlib.Path(importlib.util.find_spec("pyopen_wakeword").origin).parent / "models"
        self.mel, self.numbers = (tf.lite.Interpreter(str(models / name), num_threads=1) for name in MODELS)
        _resize(self.mel, (1, CLIP_SAMPLES + 2 * MARGIN_SAMPLES))
        self.bands = None

    def of(self, clip):
        padded = np.pad(clip.astype(np.float32), MARGIN_SAMPLES)[None]
        # The scaling by which openWakeWord fits its mel energies to those that the embedding was trained on.
        mel = _run(self.mel, padded).reshape(1, -1, 32, 1) / 10.0 + 2.0
        if self.bands != mel.shape:
            self.bands = mel.shape
            _resize(self.numbers, mel.shape)
        return _run(self.numbers, mel).reshape(-1, NUMBERS)[:PLACES]


def _resize(interpreter, shape):
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
    interpreter.allocate_tensors()


def _run(interpreter, values):
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values.astype(np.float32))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def fold_of(speaker):
    """The fold of a speaker; by another hash than the official one, of which training holds only a part of the range."""
    return hashlib.sha256(speaker.encode()).digest()[0] % FOLDS


def _head():
    """A small network from the teacher's numbers to the twelve labels."""
    numbers = keras.Input((PLACES, NUMBERS))
    x = layers.GaussianNoise(0.1)(numbers)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(192, 3, padding="same", use_bias=False)(x)))
    x = layers.Dropout(0.4)(x)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(192, 3, padding="same", use_bias=False)(x)))
    x = layers.Concatenate()([layers.GlobalMaxPooling1D()(x), layers.GlobalAveragePooling1D()(x)])
    return keras.Model(numbers, layers.Dense(len(LABELS))(layers.Dropout(0.5)(x)))


def _doubts(numbers, labels, folds):
    """Scores [n, 12] of every clip by a network that was trained on the other folds."""
    weights = (1.0 / np.maximum(np.bincount(labels, minlength=len(LABELS)), 1))[labels]
    weights /= weights.mean()
    one_hot, scores = np.eye(len(LABELS), dtype=np.float32)[labels], np.zeros((len(labels), len(LABELS)), np.float32)
    for fold in range(FOLDS):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        keras.utils.set_random_seed(fold)
        head = _head()
        rate = keras.optimizers.schedules.CosineDecay(PEAK_RATE, EPOCHS * len(outside) // BATCH)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=LABEL_SMOOTHING)
        head.compile(keras.optimizers.AdamW(rate, weight_decay=5e-3), loss)
        head.fit(numbers[outside], one_hot[outside], sample_weight=weights[outside], epochs=EPOCHS, batch_size=BATCH, verbose=0)
        scores[inside] = keras.ops.softmax(head.predict(numbers[inside], batch_size=1024, verbose=0))
        right = (scores[inside].argmax(1) == labels[inside]).mean()
        print(f"teacher, fold {fold + 1} of {FOLDS}: right about {right:.1%} of {len(inside)} unheard clips", flush=True)
    return scores


def teach(cache):
    """Fills `teacher.npz` in `cache`; does nothing when it is there.

    `clips`, `synthetic`: hints [rows, 192], not a number for rows outside training; `doubts`: scores [rows, 12] of recorded
    clips; `speech`: hints of running speech, piece after piece, every quarter of a second.
    """
    path = cache / "teacher.npz"
    if path.exists():
        return
    corpus, embedding = Corpus(cache, "training"), Embedding()
    rows = [(row, corpus.clips, word) for word, rows in corpus.by_word.items() for row in rows]
    synthetic = [(row, corpus.synthetic_clips, word) for word, rows in corpus.synthetic.items() for row in rows]
    numbers = np.stack([embedding.of(clips[row]) for row, clips, _ in rows + synthetic])
    speech = [embedding.of(piece[start : start + CLIP_SAMPLES]) for piece in corpus.spoken.arrays for start in grid(piece)]

    mean, spread = numbers.mean((0, 1)), numbers.std((0, 1))
    pooled = _pooled((numbers - mean) / spread)
    middle, width = pooled.mean(0), pooled.std(0)
    hints = (pooled - middle) / width
    spoken = (_pooled((np.stack(speech) - mean) / spread) - middle) / width if speech else np.zeros((0, HINTS))

    names = [row["name"].split("_nohash_")[0] for row in json.loads((cache / "index.json").read_text())["clips"]]
    voices = [row["voice"] for row in json.loads((cache / "synthetic.json").read_text())]
    folds = np.array([fold_of(names[row]) for row, _, _ in rows] + [fold_of(voices[row]) for row, _, _ in synthetic])
    labels = np.array([label_index(word) for _, _, word in rows + synthetic])
    scores = _doubts(((numbers - mean) / spread).astype(np.float32), labels, folds)

    def scattered(values, places, count):
        table = np.full((count, values.shape[1]), np.nan, np.float16)
        table[places] = values
        return table

    recorded, spoken_rows = [row for row, _, _ in rows], [row for row, _, _ in synthetic]
    np.savez(
        path,
        clips=scattered(hints[: len(rows)], recorded, len(corpus.clips)),
        synthetic=scattered(hints[len(rows) :], spoken_rows, len(corpus.synthetic_clips)),
        doubts=scattered(scores[: len(rows)], recorded, len(corpus.clips)),
        speech=spoken.astype(np.float16),
    )


def _pooled(numbers):
    return np.concatenate([numbers.mean(1), numbers.max(1)], axis=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    teach(parser.parse_args().cache)

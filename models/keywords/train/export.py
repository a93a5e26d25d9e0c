"""Exports the weights of a run as `float.tflite` and `int8.tflite`, both with float32 input and output.

int8 means full-integer weights and activations, calibrated on training clips as recorded and augmented; only the two
ends stay float, so that a caller feeds log-mel and reads scores without knowing a scale.
"""

import argparse
import contextlib
import io
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import keras
import numpy as np
import tensorflow as tf

import network
from batches import Batches
from corpus import Corpus
from features import CLIP_FRAMES, MEL_BANDS, from_int16, log_mel
from labels import LABELS, SILENCE, UNKNOWN
from lessons import Lessons

# The hardest seconds without a command, of which training sees the most, raise `unknown` above what single words need, and
# there is less silence in training than elsewhere. What is added before the softmax was chosen on validation.
ADDED = {SILENCE: 1.5, UNKNOWN: -1.0}
CALIBRATION_SEED = 40
CALIBRATION_CLIPS = 512


def calibration_windows(cache):
    """Half augmented training windows, half clips as recorded; float32 [n, 98, 40]."""
    corpus = Corpus(cache, "training")
    augmented, *_ = Batches(corpus, Lessons(cache, corpus), CALIBRATION_SEED, 0, CALIBRATION_CLIPS // 2).batch()
    rows = np.random.default_rng(CALIBRATION_SEED).choice(np.concatenate(list(corpus.by_word.values())), CALIBRATION_CLIPS // 2)
    return np.concatenate([augmented, log_mel(from_int16(corpus.clips[np.sort(rows)]))])


def converter_of(model):
    """A converter of `model` plus softmax for a batch of exactly one."""
    window = keras.Input(batch_shape=(1, CLIP_FRAMES, MEL_BANDS), name="log_mel")
    scoring = keras.Model(window, keras.layers.Softmax(name="scores")(model(window)))
    converter = tf.lite.TFLiteConverter.from_keras_model(scoring)
    # Per-channel scales of dense layers need a newer runtime than the one the program ships.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return converter


def export(cache, run):
    """Writes both models into `run`."""
    model = network.build(run / "average.weights.h5")
    weights, biases = model.get_layer("logits").get_weights()
    for label, added in ADDED.items():
        biases[LABELS.index(label)] += added
    model.get_layer("logits").set_weights([weights, biases])
    (run / "float.tflite").write_bytes(quietly(converter_of(model).convert))

    windows = calibration_windows(cache)
    converter = converter_of(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([window[None]] for window in windows)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (run / "int8.tflite").write_bytes(quietly(converter.convert))


def quietly(convert):
    """Converts without the list of every variable that Keras prints on the way."""
    with contextlib.redirect_stdout(io.StringIO()):
        return convert()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--run", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    export(arguments.cache, arguments.run)

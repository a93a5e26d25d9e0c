"""The three networks and three features of the report that lookhear's spotter began with.

"Simple words speech recognition system" (capstone, January 2020) compared them with TensorFlow. They are kept as a
measure, not as the product: the best of them takes 1.4 G multiply-adds for one look. All take 98×98×1; convolutions are
3×3 without padding, pools 2×2 with stride 2.
"""

import keras
import numpy as np
import scipy.fft
from keras import layers

import features
from labels import LABELS

SIDE = 98
MEL_BANDS = 80
CEPSTRA = 13
FEATURES = ["spectrogram", "log-mel", "mfcc"]
ARCHITECTURES = ["stacked-fc", "cnn-3l", "custom-vgg"]
# The report defines custom-vgg with 0.4 and makes its final run with 0.5.
FINAL_DROPOUT = 0.5


def build(architecture):
    """Features [n, 98, 98, 1] to scores [n, 12], with softmax."""
    inputs = keras.Input((SIDE, SIDE, 1))
    outputs = {"stacked-fc": _stacked_fc, "cnn-3l": _cnn_3l, "custom-vgg": _custom_vgg}[architecture](inputs)
    return keras.Model(inputs, layers.Dense(len(LABELS), activation="softmax", dtype="float32")(outputs), name=architecture)


def _stacked_fc(x):
    x = layers.Flatten()(x)
    for _ in range(3):
        x = layers.Dense(512, activation="relu")(x)
    return layers.Dropout(0.2)(x)


def _cnn_3l(x):
    x = layers.MaxPooling2D()(_convolution(98)(x))
    x = layers.MaxPooling2D()(_convolution(196)(x))
    x = layers.Flatten()(_convolution(196)(x))
    return layers.Dropout(0.35)(layers.Dense(196, activation="relu")(x))


def _custom_vgg(x):
    for channels, count in [(64, 2), (128, 3), (256, 3)]:
        for _ in range(count):
            x = _convolution(channels)(x)
        x = layers.MaxPooling2D()(x)
    return layers.Dropout(FINAL_DROPOUT)(layers.Dense(512, activation="relu")(layers.Flatten()(x)))


def _convolution(channels):
    return layers.Conv2D(channels, 3, activation="relu")


def feature_of(samples, feature):
    """Samples [n, 16000] to [n, 98, 98, 1]: the feature, its frequencies stretched or shrunk to 98."""
    if feature == "spectrogram":
        rows = features.spectrogram(samples)
    else:
        rows = features.log_mel(samples, MEL_BANDS)
        if feature == "mfcc":
            # TensorFlow's scale: that of the orthonormal transform, but for the first coefficient.
            rows = scipy.fft.dct(rows, 2)[..., :CEPSTRA] / np.float32(np.sqrt(2.0 * MEL_BANDS))
    return _resized(rows, SIDE)[..., None]


def _resized(rows, count):
    """The last axis at `count` places, linear between half-pixel centres, without smoothing when it shrinks."""
    size = rows.shape[-1]
    place = np.clip((np.arange(count) + 0.5) * size / count - 0.5, 0.0, size - 1.0)
    below = np.minimum(place.astype(int), size - 2)
    share = (place - below).astype(np.float32)
    return rows[..., below] * (1.0 - share) + rows[..., below + 1] * share

"""The spotter's network: a 2-D stem on the log-mel, then residual 1-D depthwise-separable blocks over time.

    log-mel [98, 40] → normalise → conv 5×5 /2, 24 → [49, 20·24] → 1×1, 128 → 4 × block → mean over time → 12

    block:  x ─ depthwise 9 ─ 1×1 ─ ReLU ─ depthwise 9 ─ 1×1 ─ + ─ ReLU
            └──────────────────────────────────────────────────┘

Time runs along the height of [time, 1, channels] maps, so that the 1-D layers are plain 2-D kernels in TensorFlow Lite,
without reshapes between them.
"""

import keras
from keras import layers

from features import CLIP_FRAMES, MEL_BANDS
from labels import LABELS

STEM_CHANNELS = 24
CHANNELS = 128
BLOCKS = 4
KERNEL_FRAMES = 9
DROPOUT = 0.2
# Mean and spread of the log-mel over clips of speech; fixed, so that loudness stays visible to the network.
LOG_MEL_MEAN = -2.0
LOG_MEL_SPREAD = 2.5
# An epoch is only some hundred steps; the usual 0.99 would leave the running statistics an epoch behind.
NORM_MOMENTUM = 0.97


def _norm(x):
    return layers.BatchNormalization(momentum=NORM_MOMENTUM)(x)


def _separable(x):
    x = layers.DepthwiseConv2D((KERNEL_FRAMES, 1), padding="same", use_bias=False)(x)
    return _norm(layers.Conv2D(CHANNELS, 1, use_bias=False)(x))


def _block(x):
    inner = _separable(layers.ReLU()(_separable(x)))
    return layers.ReLU()(layers.Add()([x, inner]))


def build():
    """Log-mel [n, 98, 40] to logits [n, 12]."""
    log_mel = keras.Input((CLIP_FRAMES, MEL_BANDS), name="log_mel")
    x = layers.Rescaling(1.0 / LOG_MEL_SPREAD, offset=-LOG_MEL_MEAN / LOG_MEL_SPREAD)(log_mel)
    x = layers.Reshape((CLIP_FRAMES, MEL_BANDS, 1))(x)
    x = layers.ReLU()(_norm(layers.Conv2D(STEM_CHANNELS, 5, strides=2, padding="same", use_bias=False)(x)))
    x = layers.Reshape((x.shape[1], 1, x.shape[2] * x.shape[3]))(x)
    x = layers.ReLU()(_norm(layers.Conv2D(CHANNELS, 1, use_bias=False)(x)))
    for _ in range(BLOCKS):
        x = _block(x)
    x = layers.Dropout(DROPOUT)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(log_mel, layers.Dense(len(LABELS))(x), name="keywords")


def multiply_adds(model):
    """Multiply-accumulates of one inference."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.DepthwiseConv2D):
            _, height, width, channels = layer.output.shape
            total += height * width * channels * layer.kernel_size[0] * layer.kernel_size[1]
        elif isinstance(layer, layers.Conv2D):
            _, height, width, channels = layer.output.shape
            total += height * width * channels * layer.kernel_size[0] * layer.kernel_size[1] * layer.input.shape[-1]
        elif isinstance(layer, layers.Dense):
            total += layer.units * layer.input.shape[-1]
    return total

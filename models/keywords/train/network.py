"""The spotter's network: a 2-D stem on the log-mel, then residual 1-D depthwise-separable blocks over time.

    log-mel [98, 40] → normalise → conv 5×5 /2, 24 → separable 3×3 /(1, 2), 48 → residual separable 3×3, 48
      → [49, 10·48] → 1×1, 160 → 4 × block → mean over time → 12

    block:  x ─ depthwise 9 ─ 1×1 ─ ReLU ─ depthwise 9 ─ 1×1 ─ squeeze and excite ─ + ─ ReLU
            └───────────────────────────────────────────────────────────────────────┘

The stem sees neighbouring bands together, so that a voice may be higher or lower; the blocks see time. Squeeze and excite
(Hu et al. 2018) weighs the channels by their means over the second: what the room and the microphone do to all of it.

Time runs along the height of [time, 1, channels] maps, so that the 1-D layers are plain 2-D kernels in TensorFlow Lite,
without reshapes between them.
"""

import keras
from keras import layers

from features import CLIP_FRAMES, MEL_BANDS
from labels import LABELS
from lessons import HINTS

STEM_CHANNELS = 24
STEM_WIDTH = 48
CHANNELS = 160
BLOCKS = 4
SQUEEZED = 20
KERNEL_FRAMES = 9
DROPOUT = 0.2
# Mean and spread of the log-mel over clips of speech; fixed, so that loudness stays visible to the network.
LOG_MEL_MEAN = -2.0
LOG_MEL_SPREAD = 2.5
# An epoch is only some hundred steps; the usual 0.99 would leave the running statistics an epoch behind.
NORM_MOMENTUM = 0.97


def _norm(x):
    return layers.BatchNormalization(momentum=NORM_MOMENTUM)(x)


def _conv(x, channels, size, strides=1):
    return _norm(layers.Conv2D(channels, size, strides=strides, padding="same", use_bias=False)(x))


def _separable(x, channels, size, strides=1):
    x = layers.DepthwiseConv2D(size, strides=strides, padding="same", use_bias=False)(x)
    return _conv(x, channels, 1)


def _excited(x):
    weights = layers.GlobalAveragePooling2D(keepdims=True)(x)
    weights = layers.Conv2D(SQUEEZED, 1, activation="relu")(weights)
    return layers.Multiply()([x, layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(weights)])


def _block(x):
    inner = layers.ReLU()(_separable(x, CHANNELS, (KERNEL_FRAMES, 1)))
    inner = _excited(_separable(inner, CHANNELS, (KERNEL_FRAMES, 1)))
    return layers.ReLU()(layers.Add()([x, inner]))


def build_taught():
    """Log-mel [n, 98, 40] to logits [n, 12] and the teacher's hints [n, 192], as it is trained."""
    log_mel = keras.Input((CLIP_FRAMES, MEL_BANDS), name="log_mel")
    x = layers.Rescaling(1.0 / LOG_MEL_SPREAD, offset=-LOG_MEL_MEAN / LOG_MEL_SPREAD)(log_mel)
    x = layers.Reshape((CLIP_FRAMES, MEL_BANDS, 1))(x)
    x = layers.ReLU()(_conv(x, STEM_CHANNELS, 5, strides=2))
    # Strides of depthwise kernels must be equal in both directions: the bands are halved between the two.
    x = layers.ReLU()(_separable(layers.AveragePooling2D((1, 2))(x), STEM_WIDTH, 3))
    x = layers.ReLU()(layers.Add()([x, _separable(x, STEM_WIDTH, 3)]))
    x = layers.Reshape((x.shape[1], 1, x.shape[2] * x.shape[3]))(x)
    x = layers.ReLU()(_conv(x, CHANNELS, 1))
    for _ in range(BLOCKS):
        x = _block(x)
    x = layers.Dropout(DROPOUT)(layers.GlobalAveragePooling2D()(x))
    logits, hints = layers.Dense(len(LABELS), name="logits")(x), layers.Dense(HINTS, name="hints")(x)
    return keras.Model(log_mel, [logits, hints], name="taught")


def build(weights=None):
    """Log-mel [n, 98, 40] to logits [n, 12], as it ships; `weights` are a file of the taught network's."""
    taught = build_taught()
    if weights is not None:
        taught.load_weights(weights)
    return keras.Model(taught.input, taught.get_layer("logits").output, name="keywords")


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

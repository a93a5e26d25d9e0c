#!/usr/bin/env python3
"""Finds int8 weights and ranges with which the network answers as the float one does.

    quantise.py SOURCE.tflite PHOTOS OUT.npz      only the photos at even places (0, 2, …) of the sorted list are looked at

Three steps, none of which knows what is in the photos:

1. Range: each value's quantisation is the one with the least squared error over the photos.
2. Distillation: with the rounding of weights (a scale a channel) and of values simulated, weights and biases move by small
   parts of a rounding step towards what the float network answers on cuttings of the photos.
3. Nothing is chosen at the end: the last step counts. The loss on photos that the distillation did not use is printed.
"""

import sys
import time

import numpy as np
import tensorflow as tf
from PIL import Image, ImageEnhance
from rebuild import SIDE, Network, as_input, photos_in, read_photo

SEED = 11
BATCH = 8
BATCHES = 800
# In rounding steps of a weight, or of a layer's output for its bias; falls to zero along a cosine.
RATE = 0.004
# Of eight photos, one is only looked at to see that the others are not learnt by heart.
HELD_OUT_EVERY = 8
# Scores outside are not told apart: what is below is not reported (write_int8.py), and none of the photos scores 0.75.
SCORES = (0.008, 0.9)
# Where no class scores as high, the box code is any number, down to −80.
SURE = 0.05
LOGITS = tuple(float(np.log(score / (1 - score))) for score in SCORES)
# The pixel that int8 makes 0; the float network's is 127.5.
ZERO_PIXEL = 128.0
STEPS = 255  # from the least to the greatest int8


class Ranges:
    """For each value the least and greatest number it can take, by tensor number; the heads share theirs."""

    def __init__(self, network, pictures):
        self.group = head_groups(network)
        seen = {layer.output: [] for layer in network.layers if layer.rounds and layer.output not in self.group}
        codes, sure = [], []

        @tf.function
        def look(batch):
            values = {}
            boxes, logits = network.forward(batch, rounded=lambda layer, value: values.setdefault(str(layer.output), value))
            return values, boxes, tf.reduce_max(tf.sigmoid(logits[..., 1:]), axis=-1)

        for start in range(0, len(pictures), BATCH):
            values, boxes, best = look(tf.constant(pictures[start : start + BATCH]))
            codes.append(boxes.numpy().reshape(-1, 4))
            sure.append(best.numpy().reshape(-1))
            for tensor, parts in seen.items():
                flat = values[str(tensor)].numpy().reshape(-1)
                # Some of a batch's values are as good as all of them, as long as the extremes are there.
                parts.append(np.concatenate([flat[:: max(1, len(flat) // 20000)], [flat.min(), flat.max()]]))
        self.range = {tensor: least_error(np.concatenate(parts)) for tensor, parts in seen.items()}
        self.range["scores"] = nudged(*LOGITS)
        self.range["boxes"] = nudged(*np.percentile(np.concatenate(codes)[np.concatenate(sure) >= SURE], (0.05, 99.95)))

    def of(self, layer):
        return self.range[self.group.get(layer.output, layer.output)]


def head_groups(network):
    """All box codes share one range, and all logits: only so can they be put behind each other without rounding again."""
    made_by = {layer.output: layer for layer in network.layers}

    def sources(tensor):
        layer = made_by[tensor]
        return [layer.output] if layer.is_convolution else [s for i in layer.inputs for s in sources(i)]

    return {s: name for name in ("boxes", "scores") for s in sources(getattr(network, name))}


def least_error(values):
    """The range in which rounding to 256 numbers changes `values` least; what is outside becomes its end."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    shares = np.linspace(0.1, 1.0, 31)
    best = nudged(low, high), np.inf
    # First both ends together, then each alone.
    for lows, highs in ((shares, None), (shares, [1.0]), ([1.0], shares)):
        low, high = best[0]
        for share_low in lows:
            for share_high in [share_low] if highs is None else highs:
                candidate = nudged(low * share_low, high * share_high)
                error = float(np.square(round_to(values, *candidate) - values).mean())
                best = min(best, (candidate, error), key=lambda one: one[1])
    return best[0]


def nudged(low, high):
    """The nearest range in which 0 is one of the 256 numbers."""
    scale = (high - low) / STEPS
    zero = np.clip(np.round(-low / scale), 0, STEPS)
    return float(-zero * scale), float((STEPS - zero) * scale)


def round_to(values, low, high):
    scale = (high - low) / STEPS
    return np.round((np.clip(values, low, high) - low) / scale) * scale + low


class Rounded:
    """The network's weights and biases, in rounding steps, as variables; and its answer with all rounding simulated."""

    def __init__(self, network, ranges):
        self.network, self.ranges = network, ranges
        self.step, self.weights, self.bias, self.bias_step = {}, {}, {}, {}
        for layer in filter(lambda layer: layer.is_convolution, network.layers):
            weights, key = layer.weights, layer.output
            channels = -1 if layer.kind == "DEPTHWISE_CONV_2D" else 0
            others = tuple(axis for axis in range(4) if axis != channels % 4)
            self.step[key] = np.maximum(np.abs(weights).max(axis=others, keepdims=True) / 127, 1e-9).astype(np.float32)
            low, high = ranges.of(layer)
            self.bias_step[key] = np.float32((high - low) / STEPS)
            bias = layer.bias
            if layer.inputs == [network.input]:
                # The same pixels are a little smaller numbers here, whose sum the bias makes up for.
                bias = bias + weights.sum(axis=others) * (ZERO_PIXEL - 127.5) / 127.5
            self.weights[key] = tf.Variable(weights / self.step[key])
            self.bias[key] = tf.Variable(bias / self.bias_step[key])

    @property
    def variables(self):
        return [*self.weights.values(), *self.bias.values()]

    def forward(self, pictures):
        return self.network.forward(pictures - (ZERO_PIXEL - 127.5) / 127.5, self._convolution, self._rounded)

    def _convolution(self, layer):
        weights = self.weights[layer.output]
        near = tf.clip_by_value(weights, -127.0, 127.0)
        # Rounding has no slope: the gradient passes it as if it were not there (Bengio et al. 2013).
        whole = near + tf.stop_gradient(tf.round(near) - near)
        return whole * self.step[layer.output], self.bias[layer.output] * self.bias_step[layer.output]

    def _rounded(self, layer, value):
        return tf.quantization.fake_quant_with_min_max_args(value, *self.ranges.of(layer))


class Cuttings:
    """Endless parts of photos: cut, mirrored, recoloured, and now and then four small ones in one picture."""

    def __init__(self, photos, seed):
        self.photos, self.random = photos, np.random.default_rng(seed)

    def batch(self):
        return np.stack([as_input(self._four() if self.random.random() < 0.2 else self._one()) for _ in range(BATCH)])

    def _one(self):
        photo = self.photos[self.random.integers(len(self.photos))]
        share = self.random.uniform(0.4, 1.0, 2) if self.random.random() < 0.7 else (1.0, 1.0)
        width, height = (max(1, int(side * s)) for side, s in zip(photo.size, share))
        x, y = (int(self.random.integers(whole - part + 1)) for whole, part in zip(photo.size, (width, height)))
        photo = photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR, (x, y, x + width, y + height))
        if self.random.random() < 0.5:
            photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            photo = change(photo).enhance(self.random.uniform(0.7, 1.3))
        return photo

    def _four(self):
        picture, half = Image.new("RGB", (SIDE, SIDE)), SIDE // 2
        for corner in ((0, 0), (half, 0), (0, half), (half, half)):
            picture.paste(self._one().resize((half, half), Image.Resampling.BILINEAR), corner)
        return picture


def difference(expected, answer, ranges):
    """How far an answer is from the expected one, a picture: bits of the scores, and box codes where there is something."""
    boxes = tf.clip_by_value(expected[0], *ranges.range["boxes"])
    logits = tf.clip_by_value(expected[1][..., 1:], *ranges.range["scores"])
    scores = tf.sigmoid(logits)
    # What is unsure in the expectation itself is no error: 0 where both are equal.
    unsure = tf.nn.sigmoid_cross_entropy_with_logits(labels=scores, logits=logits)
    of_scores = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=scores, logits=answer[1][..., 1:]) - unsure)
    sure = tf.reduce_max(scores, axis=-1)
    of_boxes = tf.reduce_sum(sure * tf.reduce_sum(tf.square(boxes - answer[0]), axis=-1))
    return of_scores / BATCH, of_boxes / BATCH


def distil(network, rounded, photos):
    optimizer = tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(RATE, BATCHES), beta_2=0.99)
    optimizer.build(rounded.variables)

    @tf.function
    def loss(pictures):
        of_scores, of_boxes = difference(network.forward(pictures), rounded.forward(pictures), rounded.ranges)
        return of_scores + 0.5 * of_boxes, of_scores, of_boxes

    @tf.function
    def step(pictures):
        with tf.GradientTape() as tape:
            losses = loss(pictures)
        optimizer.apply_gradients(zip(tape.gradient(losses[0], rounded.variables), rounded.variables))
        return losses

    held_out = Cuttings(photos[::HELD_OUT_EVERY], SEED + 1)
    held_out = [held_out.batch() for _ in range(6)]
    learnt = Cuttings([photo for i, photo in enumerate(photos) if i % HELD_OUT_EVERY], SEED)
    started, recent = time.monotonic(), []
    for number in range(BATCHES + 1):
        if number % 100 == 0 or number == BATCHES:
            other = np.mean([loss(tf.constant(pictures)) for pictures in held_out], axis=0)
            mine = np.mean(recent or [[np.nan] * 3], axis=0)
            print(
                f"{number:5} batches, {time.monotonic() - started:5.0f} s: difference (scores, boxes) "
                f"{mine[1]:.3f} {mine[2]:.3f}, on held-out photos {other[1]:.3f} {other[2]:.3f}",
                flush=True,
            )
            recent = []
        if number < BATCHES:
            recent.append(step(tf.constant(learnt.batch())))


def save(path, network, rounded, ranges):
    """`range/T` for each value, and `weights/T` (int8), `step/T` (a channel), `bias/T` (float) for each convolution T."""
    arrays = {}
    for layer in network.layers:
        key = layer.output
        if layer.rounds:
            arrays[f"range/{key}"] = np.float64(ranges.of(layer))
        if layer.is_convolution:
            arrays[f"weights/{key}"] = np.clip(np.round(rounded.weights[key].numpy()), -127, 127).astype(np.int8)
            arrays[f"step/{key}"] = rounded.step[key].reshape(-1)
            arrays[f"bias/{key}"] = rounded.bias[key].numpy() * rounded.bias_step[key]
    np.savez_compressed(path, **arrays)


def main():
    source, folder, out = sys.argv[1:]
    tf.keras.utils.set_random_seed(SEED)
    network = Network(source)
    photos = [read_photo(path) for path in photos_in(folder)[::2]]
    whole = np.stack([as_input(photo) for photo in photos])
    mirrored = whole[:, :, ::-1]
    ranges = Ranges(network, np.concatenate([whole, mirrored]))
    rounded = Rounded(network, ranges)
    distil(network, rounded, photos)
    save(out, network, rounded, ranges)


if __name__ == "__main__":
    main()

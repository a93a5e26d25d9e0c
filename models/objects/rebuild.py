#!/usr/bin/env python3
"""Reads the float network out of its .tflite file and rebuilds it of TensorFlow's own operations.

    rebuild.py SOURCE.tflite PHOTOS      proves that both give the same on 20 photos; exit code 1 where they do not

The file knows six kinds of operators. DEQUANTIZE only widens half-precision constants, so it is carried out while reading.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from tensorflow.lite.python import schema_py_generated as schema

OPERATOR = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
ACTIVATION = {
    schema.ActivationFunctionType.NONE: tf.identity,
    schema.ActivationFunctionType.RELU6: tf.nn.relu6,
}
SIDE = 300
PHOTOS_TO_PROVE_IT = 20
LARGEST_DIFFERENCE = 1e-3


@dataclass
class Layer:
    """One operator; `inputs` and `output` are the file's tensor numbers, constants stand apart."""

    kind: str
    inputs: list
    output: int
    options: object
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None

    @property
    def is_convolution(self):
        return self.kind in ("CONV_2D", "DEPTHWISE_CONV_2D")

    @property
    def rounds(self):
        """Whether its output is other numbers than its input, so that int8 rounds them anew."""
        return self.is_convolution or self.kind == "ADD"


class Network:
    """The layers in the order of the file, which is one in which they can be carried out."""

    def __init__(self, path):
        self.model = schema.ModelT.InitFromPackedBuf(Path(path).read_bytes(), 0)
        (graph,) = self.model.subgraphs
        self.tensors = graph.tensors
        (self.input,) = graph.inputs
        self.boxes, self.scores = graph.outputs
        constants = {i: self._constant(t) for i, t in enumerate(graph.tensors) if self.model.buffers[t.buffer].data is not None}
        self.layers = []
        for operator in graph.operators:
            code = self.model.operatorCodes[operator.opcodeIndex]
            kind = OPERATOR[max(code.builtinCode, code.deprecatedBuiltinCode)]
            if kind == "DEQUANTIZE":
                constants[operator.outputs[0]] = constants[operator.inputs[0]].astype(np.float32)
                continue
            flowing = [int(i) for i in operator.inputs if i not in constants]
            layer = Layer(kind, flowing, int(operator.outputs[0]), operator.builtinOptions)
            fixed = [constants[i] for i in operator.inputs if i in constants]
            if layer.is_convolution:
                layer.weights, layer.bias = fixed
            elif kind not in ("ADD", "CONCATENATION", "RESHAPE"):
                raise SystemExit(f"The operator {kind} is not one of those that this recipe knows; use the file that make.sh fetches.")
            self.layers.append(layer)

    def _constant(self, tensor):
        kinds = {schema.TensorType.FLOAT16: np.float16, schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT32: np.int32}
        return np.frombuffer(bytes(self.model.buffers[tensor.buffer].data), kinds[tensor.type]).reshape(tensor.shape)

    def forward(self, pictures, convolution=None, rounded=lambda layer, value: value):
        """Box codes `[n, 1917, 4]` and logits `[n, 1917, 24]` of `pictures` `[n, 300, 300, 3]`, which are (p − 127.5) / 127.5.

        `convolution(layer)` may give other weights and bias; `rounded` sees each value that a convolution or sum has made.
        """
        values = {self.input: pictures}
        for layer in self.layers:
            inputs = [values[i] for i in layer.inputs]
            if layer.is_convolution:
                weights, bias = convolution(layer) if convolution else (layer.weights, layer.bias)
                value = rounded(layer, convolve(layer, inputs[0], weights, bias))
            elif layer.kind == "ADD":
                value = rounded(layer, tf.add(*inputs))
            elif layer.kind == "RESHAPE":
                value = tf.reshape(inputs[0], [-1, *self.tensors[layer.output].shape[1:]])
            else:
                value = tf.concat(inputs, axis=layer.options.axis)
            values[layer.output] = value
        return values[self.boxes], values[self.scores]


def convolve(layer, value, weights, bias):
    """As TensorFlow Lite does it: weights are `[out, height, width, in]`, or `[1, height, width, channels]` where depthwise."""
    options = layer.options
    padding = {schema.Padding.SAME: "SAME", schema.Padding.VALID: "VALID"}[options.padding]
    strides = [1, options.strideH, options.strideW, 1]
    if layer.kind == "CONV_2D":
        value = tf.nn.conv2d(value, tf.transpose(weights, [1, 2, 3, 0]), strides, padding)
    else:
        value = tf.nn.depthwise_conv2d(value, tf.transpose(weights, [1, 2, 3, 0]), strides, padding)
    return ACTIVATION[options.fusedActivationFunction](value + bias)


def photos_in(folder):
    """The photos of a folder, by name, so that which is which never depends on the machine."""
    photos = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not photos:
        raise SystemExit(f"There are no photos in {folder}; name a folder with .jpg or .png files.")
    return photos


def read_photo(path):
    return Image.open(path).convert("RGB")


def as_input(photo):
    """The whole picture, stretched to the network's input."""
    pixels = np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
    return (pixels - 127.5) / 127.5


def main():
    source, folder = sys.argv[1:]
    interpreter = Interpreter(source)
    interpreter.allocate_tensors()
    ends = [detail["index"] for detail in interpreter.get_output_details()]
    forward = tf.function(Network(source).forward)
    worst = 0.0
    for path in photos_in(folder)[:PHOTOS_TO_PROVE_IT]:
        pixels = as_input(read_photo(path))[None]
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
        interpreter.invoke()
        for rebuilt, end in zip(forward(tf.constant(pixels)), ends, strict=True):
            worst = max(worst, float(np.abs(rebuilt - interpreter.get_tensor(end)).max()))
    print(f"The rebuilt network differs from its source by {worst:.1e} at most (allowed: {LARGEST_DIFFERENCE}).")
    return 0 if worst <= LARGEST_DIFFERENCE else 1


if __name__ == "__main__":
    sys.exit(main())

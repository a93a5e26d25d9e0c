#!/usr/bin/env python3
"""Writes the int8 model: the float network's graph, with the numbers that quantise.py found.

    write_int8.py SOURCE.tflite NUMBERS.npz METADATA.json OUT.tflite

uint8 picture → int8 network → boxes and logits as floats → sigmoid → `TFLite_Detection_PostProcess`. METADATA.json is the
float bundle's, which says how its boxes are coded. Weights have a scale a channel (of the output; depthwise: of the input).
"""

import json
import sys
from pathlib import Path

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers
from quantise import STEPS, ZERO_PIXEL
from rebuild import SIDE, Network
from tensorflow.lite.python import schema_py_generated as schema

sys.path.insert(0, str(Path(__file__).parent.parent / "objects-float"))
from reference import ssd_anchors

FLOAT, INT8, INT32, UINT8 = (getattr(schema.TensorType, name) for name in ("FLOAT32", "INT8", "INT32", "UINT8"))
POST_PROCESS = "TFLite_Detection_PostProcess"
# Boxes below this score are not even compared with each other: no threshold that anybody uses is lower.
LEAST_SCORE = 0.01


class Writer:
    """One graph under construction; `tensor` and `operator` give what was written its number."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version, self.model.description = 3, b"lookhear: int8 of object_detection_ssd_mobilenetv2_oidv4"
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.graph = schema.SubGraphT()
        self.graph.name = b"main"
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]
        self.codes = {}

    def tensor(self, name, shape, element, scale=None, zero=None, axis=0, data=None):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), [int(side) for side in shape], element, 0
        tensor.hasRank = True
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(np.float32(scale))
            tensor.quantization.zeroPoint = np.broadcast_to(np.int64(zero), np.shape(tensor.quantization.scale))
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT())
            self.model.buffers[-1].data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, kind, version, inputs, outputs, options=None, custom=None):
        if kind not in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode = schema.BuiltinOperator.CUSTOM if custom else getattr(schema.BuiltinOperator, kind)
            code.deprecatedBuiltinCode = min(code.builtinCode, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
            code.customCode, code.version = kind if custom else None, version
            self.codes[kind] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = self.codes[kind], inputs, outputs
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        if custom is not None:
            operator.customOptions = np.frombuffer(custom, np.uint8)
            operator.customOptionsFormat = schema.CustomOptionsFormat.FLEXBUFFERS
        self.graph.operators.append(operator)

    def bytes(self):
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


class Quantised:
    """The network's tensors in the new file, by their number in the old one."""

    def __init__(self, writer, network, numbers):
        self.writer, self.network, self.numbers = writer, network, numbers
        self.new, self.scale, self.zero = {}, {}, {}

    def add(self, old, name, shape, scale, zero):
        self.scale[old], self.zero[old] = np.float32(scale), int(zero)
        self.new[old] = self.writer.tensor(name, shape, INT8, scale, zero)
        return self.new[old]

    def output(self, layer):
        """The new tensor of a layer's output: of its own range, or as its input is where the numbers only change places."""
        tensor = self.network.tensors[layer.output]
        name = tensor.name.decode()
        if layer.kind in ("RESHAPE", "CONCATENATION"):
            (source, *others) = layer.inputs
            assert all((self.scale[i], self.zero[i]) == (self.scale[source], self.zero[source]) for i in others)
            return self.add(layer.output, name, tensor.shape, self.scale[source], self.zero[source])
        low, high = self.numbers[f"range/{layer.output}"]
        scale = (high - low) / STEPS
        return self.add(layer.output, name, tensor.shape, scale, round(-low / scale) - 128)

    def convolution(self, layer):
        key, name = layer.output, self.network.tensors[layer.output].name.decode()
        weights, step, bias = (self.numbers[f"{kind}/{key}"] for kind in ("weights", "step", "bias"))
        axis = 3 if layer.kind == "DEPTHWISE_CONV_2D" else 0
        bias = bias.astype(np.float64) / self.scale[layer.inputs[0]]
        # Training has left channels that are nothing but their bias: counted in steps of weights near 0 it passes int32.
        silent = np.abs(bias) > step * float(2**31 - 1)
        step = np.where(silent, step.max(), step).astype(np.float32)
        weights = weights * np.expand_dims(~silent, tuple(i for i in range(4) if i != axis)).astype(np.int8)
        of_bias = self.scale[layer.inputs[0]] * step
        bias = np.round(bias / step).astype(np.int32)
        return [
            self.new[layer.inputs[0]],
            self.writer.tensor(f"{name}/weights", weights.shape, INT8, step, 0, axis, weights),
            self.writer.tensor(f"{name}/bias", bias.shape, INT32, of_bias, 0, 0, bias),
        ]

    def layer(self, layer):
        inputs = [self.new[i] for i in layer.inputs]
        if layer.is_convolution:
            inputs = self.convolution(layer)
        elif layer.kind == "RESHAPE":
            shape = np.int32(self.network.tensors[layer.output].shape)
            inputs.append(self.writer.tensor(f"shape of {layer.output}", shape.shape, INT32, data=shape))
        version = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "ADD": 2, "RESHAPE": 1, "CONCATENATION": 2}[layer.kind]
        self.writer.operator(layer.kind, version, inputs, [self.output(layer)], layer.options)


def write(network, numbers, description):
    writer = Writer()
    quantised = Quantised(writer, network, numbers)
    shape = [1, SIDE, SIDE, 3]
    picture = writer.tensor("picture", shape, UINT8, 1 / 127.5, ZERO_PIXEL)
    writer.operator("QUANTIZE", 2, [picture], [quantised.add(network.input, "pixels", shape, 1 / 127.5, 0)])
    for layer in network.layers:
        quantised.layer(layer)

    head = description["head"]
    anchors = ssd_anchors(head["anchors"]).astype(np.float32)
    classes = network.tensors[network.scores].shape[-1]
    boxes = writer.tensor("boxes", [1, len(anchors), 4], FLOAT)
    logits = writer.tensor("logits", [1, len(anchors), classes], FLOAT)
    scores = writer.tensor("scores", [1, len(anchors), classes], FLOAT)
    writer.operator("DEQUANTIZE", 2, [quantised.new[network.boxes]], [boxes])
    writer.operator("DEQUANTIZE", 2, [quantised.new[network.scores]], [logits])
    writer.operator("LOGISTIC", 1, [logits], [scores])
    anchors = writer.tensor("anchors", anchors.shape, FLOAT, data=anchors)
    most = head["max_detections"]
    shapes = ([1, most, 4], [1, most], [1, most], [1])
    outputs = [writer.tensor(POST_PROCESS + (f":{i}" if i else ""), shape, FLOAT) for i, shape in enumerate(shapes)]
    options = {
        "max_detections": most,
        "num_classes": int(classes) - 1,  # without the background, which comes first
        "nms_iou_threshold": head["nms_iou"],
        "nms_score_threshold": LEAST_SCORE,
        # Suppression within a class, as the float bundle has it: one thing may carry two names.
        "use_regular_nms": True,
        "detections_per_class": most,
        "max_classes_per_detection": 1,
        **{f"{axis}_scale": float(scale) for axis, scale in zip("yxhw", head["box_scales"])},
    }
    writer.operator(POST_PROCESS, 1, [boxes, scores, anchors], outputs, custom=flexbuffers.Dumps(options))
    writer.graph.inputs, writer.graph.outputs = [picture], outputs
    return writer.bytes()


def main():
    source, numbers, metadata, out = sys.argv[1:]
    description = json.loads(Path(metadata).read_text())["lookhear"]
    Path(out).write_bytes(write(Network(source), np.load(numbers), description))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes the tiny models of this folder. Needs `pip install ai-edge-litert==2.3.0 flatbuffers==25.12.19`; the models are
committed, so that only those who change them run it."""

import struct
from pathlib import Path

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
from flatbuffers import flexbuffers

FLOAT, INT32, INT8 = schema.TensorType.FLOAT32, schema.TensorType.INT32, schema.TensorType.INT8


class Model:
    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "lookhear's tests"
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, name, shape, kind=FLOAT, data=None, quantisation=None):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, kind, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = list(struct.pack(f"<{len(data)}{'f' if kind == FLOAT else 'i'}", *data))
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if quantisation:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [quantisation[0]], [quantisation[1]]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, kind, inputs, outputs, options=None, custom=None):
        code = schema.OperatorCodeT()
        code.deprecatedBuiltinCode = code.builtinCode = kind
        code.version = 1
        code.customCode = custom
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, outputs
        if options is not None:
            operator.customOptions = list(options)
        self.graph.operators.append(operator)

    def write(self, name, inputs, outputs):
        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        Path(__file__).with_name(name).write_bytes(bytes(builder.Output()))


RESHAPE, CUSTOM = schema.BuiltinOperator.RESHAPE, schema.BuiltinOperator.CUSTOM


def post_process():
    """A detector of 2 classes with 3 anchors and 5 slots: the pixels, in -1…1, are the box codes. Two detections always."""
    model = Model()
    picture = model.tensor("picture", [1, 2, 2, 3])
    shape = model.tensor("shape", [3], INT32, [1, 3, 4])
    codes = model.tensor("codes", [1, 3, 4])
    scores = model.tensor("scores", [1, 3, 3], FLOAT, [0.9, 0.05, 0.05, 0.1, 0.8, 0.1, 0.1, 0.2, 0.7])
    anchors = model.tensor("anchors", [3, 4], FLOAT, [0.5, 0.5, 1, 1, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.5, 0.5])
    model.operator(RESHAPE, [picture, shape], [codes])
    options = flexbuffers.Dumps(
        {
            "max_detections": 5,
            "max_classes_per_detection": 1,
            "detections_per_class": 5,
            "use_regular_nms": False,
            "nms_score_threshold": 0.3,
            "nms_iou_threshold": 0.6,
            "num_classes": 2,
            "y_scale": 10.0,
            "x_scale": 10.0,
            "h_scale": 5.0,
            "w_scale": 5.0,
        }
    )
    # Neither the names nor the order tell what is what: only the operator does.
    boxes, classes, confidences, count = (model.tensor(name, shape) for name, shape in [("d", []), ("b", []), ("c", []), ("a", [])])
    model.operator(CUSTOM, [codes, scores, anchors], [boxes, classes, confidences, count], options, "TFLite_Detection_PostProcess")
    model.write("post_process.tflite", [picture], [count, confidences, classes, boxes])


def reshape_int8():
    model = Model()
    picture = model.tensor("picture", [1, 2, 2, 3], INT8, quantisation=(0.5, -3))
    shape = model.tensor("shape", [2], INT32, [1, 12])
    flat = model.tensor("flat", [1, 12], INT8, quantisation=(0.5, -3))
    model.operator(RESHAPE, [picture, shape], [flat])
    model.write("reshape_int8.tflite", [picture], [flat])


def unknown_operator():
    model = Model()
    source, result = model.tensor("source", [1, 4]), model.tensor("result", [1, 4])
    model.operator(CUSTOM, [source], [result], b"", "OurOwnOperator")
    model.write("unknown_operator.tflite", [source], [result])


def no_input():
    model = Model()
    constant = model.tensor("constant", [2, 2], FLOAT, [1, 2, 3, 4])
    shape, result = model.tensor("shape", [1], INT32, [4]), model.tensor("result", [4])
    model.operator(RESHAPE, [constant, shape], [result])
    model.write("no_input.tflite", [], [result])


def constant_input():
    model = Model()
    constant = model.tensor("constant", [2, 2], FLOAT, [1, 2, 3, 4])
    shape, result = model.tensor("shape", [1], INT32, [4]), model.tensor("result", [4])
    model.operator(RESHAPE, [constant, shape], [result])
    model.write("constant_input.tflite", [constant], [result])


def dynamic():
    """The output's shape is an input, so its size is not known before the model runs."""
    model = Model()
    source, shape = model.tensor("source", [1, 4]), model.tensor("shape", [2], INT32)
    result = model.tensor("result", [])
    model.operator(RESHAPE, [source, shape], [result])
    model.write("dynamic.tflite", [source, shape], [result])


post_process()
reshape_int8()
unknown_operator()
no_input()
constant_input()
dynamic()

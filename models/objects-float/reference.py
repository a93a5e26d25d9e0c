#!/usr/bin/env python3
"""What a detector gives when nothing of lookhear takes part: the Python interpreter and a plain decoding.

    reference.py detect BUNDLE-OR-MODEL IMAGE… [--threshold X]   detections as JSON, for the golden numbers of the tests
    reference.py evaluate COCO-FOLDER                            AP over the classes that COCO and the dictionary share

Needs `pip install -r models/objects-float/requirements.txt`. Pictures are stretched to the input (bilinear), not letter-boxed.
Boxes are x, y, w, h in 0…1 of the picture. A model that is not a bundle of ours must end in TFLite_Detection_PostProcess,
and its dictionary must lie beside it as labelmap.txt.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from PIL import Image

# COCO's name for ours where the two differ. "desk" is left out: COCO labels only tables one eats at.
COCO_NAMES = {
    "cattle": "cow",
    "coffee cup": "cup",
    "computer monitor": "tv",
    "computer mouse": "mouse",
    "mug": "cup",
    "table": "dining table",
}

# On uint8 models the two sets of kernels differ by a step or two of the scores.
KERNELS = {"builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, "xnnpack": OpResolverType.AUTO}


class Detector:
    def __init__(self, path, kernels="builtin"):
        path = Path(path)
        model = path / "model.tflite" if path.is_dir() else path
        dictionary = path / "dict.txt" if path.is_dir() else path.parent / "labelmap.txt"
        self.labels = dictionary.read_text(encoding="utf-8").splitlines()
        self.interpreter = Interpreter(str(model), num_threads=1, experimental_op_resolver_type=KERNELS[kernels])
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.outputs = {output["name"]: output["index"] for output in self.interpreter.get_output_details()}
        metadata = path / "tflite_metadata.json"
        self.description = json.loads(metadata.read_text())["lookhear"] if metadata.is_file() else None
        # Only a raw head is decoded here.
        self.head = self.description["head"] if self.description else {"kind": "post-process"}
        if self.head["kind"] == "raw-ssd":
            self.anchors = ssd_anchors(self.head["anchors"])

    def run(self, image):
        _, height, width, _ = self.input["shape"]
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(image.convert("RGB"))[None]
        if self.input["dtype"] == np.float32:
            normalisation = self.description["normalisation"]
            pixels = (pixels.astype(np.float32) - np.float32(normalisation["mean"])) / np.float32(normalisation["scale"])
        self.interpreter.set_tensor(self.input["index"], pixels)
        self.interpreter.invoke()
        return {name: self.interpreter.get_tensor(index) for name, index in self.outputs.items()}

    def detect(self, image, threshold, max_detections=None):
        """Detections as (score, class, [x, y, w, h]), highest score first."""
        outputs = self.run(image)
        if self.head["kind"] == "post-process":
            return decode_post_processed(outputs, threshold)
        return decode_raw(outputs, self.head, self.anchors, threshold, max_detections or self.head["max_detections"])


def ssd_anchors(a):
    """Anchors as rows of centre y, centre x, height, width: map by map, row by row, then the shapes of one cell."""
    maps = a["feature_maps"]
    scales = [a["min_scale"] + (a["max_scale"] - a["min_scale"]) * i / (len(maps) - 1) for i in range(len(maps))] + [1.0]
    rows = []
    for i, size in enumerate(maps):
        if i == 0 and a["reduced_lowest"]:
            shapes = a["reduced_lowest"]
        else:
            shapes = [(ratio, scales[i]) for ratio in a["aspect_ratios"]]
            shapes.append((a["interpolated_ratio"], (scales[i] * scales[i + 1]) ** 0.5))
        for y in range(size):
            for x in range(size):
                for ratio, scale in shapes:
                    centre = [(y + a["offset"]) / size, (x + a["offset"]) / size]
                    rows.append(centre + [scale / ratio**0.5, scale * ratio**0.5])
    return np.array(rows, np.float64)


def decode_raw(outputs, head, anchors, threshold, max_detections):
    codes = outputs[head["boxes"]][0].astype(np.float64) / head["box_scales"]
    scores = 1.0 / (1.0 + np.exp(-outputs[head["scores"]][0].astype(np.float64)))
    centre = codes[:, :2] * anchors[:, 2:] + anchors[:, :2]
    size = np.exp(codes[:, 2:]) * anchors[:, 2:]
    corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1).clip(0.0, 1.0)  # y0, x0, y1, x1

    found = []
    for label in range(scores.shape[1]):
        if label != head["background_class"]:
            candidates = np.flatnonzero(scores[:, label] >= threshold)
            candidates = candidates[np.argsort(-scores[candidates, label], kind="stable")]
            kept = suppress(corners, candidates, head["nms_iou"], max_detections)
            found += [(float(scores[row, label]), label, xywh(corners[row])) for row in kept]
    found.sort(key=lambda detection: -detection[0])
    return found[:max_detections]


def suppress(corners, candidates, iou_limit, max_detections):
    """Of `candidates`, highest score first, those that overlap no higher one of the same class by more than the limit."""
    kept = []
    for row in candidates:
        y0, x0, y1, x1 = corners[row]
        if y1 <= y0 or x1 <= x0:
            continue
        if all(iou(corners[row], corners[other]) <= iou_limit for other in kept):
            kept.append(row)
        if len(kept) == max_detections:
            break
    return kept


def iou(a, b):
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.0
    both = height * width
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def decode_post_processed(outputs, threshold):
    """TFLite_Detection_PostProcess: its four outputs carry the same name with ``, :1, :2 and :3 behind it."""
    boxes, classes, scores, count = (outputs["TFLite_Detection_PostProcess" + suffix] for suffix in ("", ":1", ":2", ":3"))
    found = []
    for row in range(int(count[0])):
        if scores[0][row] >= threshold:
            # Classes are counted without the background, which is the dictionary's first line.
            corners = boxes[0][row].astype(np.float64).clip(0.0, 1.0)
            found.append((float(scores[0][row]), int(classes[0][row]) + 1, xywh(corners)))
    return found


def xywh(corners):
    y0, x0, y1, x1 = (float(value) for value in corners)
    return [x0, y0, x1 - x0, y1 - y0]


def detect(arguments):
    report = {"threshold": arguments.threshold}
    for kernels in KERNELS:
        detector = Detector(arguments.model, kernels)
        report[kernels] = {
            Path(path).name: [
                {"label": detector.labels[label], "score": round(score, 6), "box": dict(zip("xywh", (round(value, 6) for value in box)))}
                for score, label, box in detector.detect(Image.open(path), arguments.threshold)
            ]
            for path in arguments.images
        }
    text = json.dumps(report, indent=1)
    # One detection a line, so that a change of the golden numbers can be read.
    print(re.sub(r"\{\s+\"label.*?\}\s+\}", lambda match: " ".join(match[0].split()), text, flags=re.DOTALL))


def evaluate(arguments):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    detector = Detector(arguments.model)
    folder = Path(arguments.folder)
    truth = COCO(str(folder / "instances.json"))
    present = {annotation["category_id"] for annotation in truth.dataset["annotations"]}
    ids = {c["name"]: c["id"] for c in truth.dataset["categories"] if c["id"] in present}
    category_of = {}
    for index, label in enumerate(detector.labels):
        name = COCO_NAMES.get(label, label)
        if index > 0 and name in ids:
            category_of[index] = ids[name]

    results = []
    for image in truth.dataset["images"]:
        picture = Image.open(next(folder.glob("images/**/" + image["file_name"])))
        # 100 boxes a picture and nearly no threshold are COCO's protocol, not the bundle's defaults.
        for score, label, (x, y, w, h) in detector.detect(picture, 0.01, 100):
            if label in category_of:
                box = [x * image["width"], y * image["height"], w * image["width"], h * image["height"]]
                results.append(
                    {"image_id": image["id"], "category_id": category_of[label], "bbox": box, "score": score}
                )
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.params.catIds = sorted(set(category_of.values()))
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    print(f"{len(evaluation.params.catIds)} shared classes; AP50 a class (boxes):")
    names = {category: name for name, category in ids.items()}
    for i, category in enumerate(evaluation.params.catIds):
        precision = evaluation.eval["precision"][0, :, i, 0, 2]
        boxes = sum(a["category_id"] == category for a in truth.dataset["annotations"])
        print(f"  {names[category]:14} {precision[precision > -1].mean():.2f} ({boxes})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("detect")
    command.add_argument("model")
    command.add_argument("images", nargs="+")
    command.add_argument("--threshold", type=float, default=0.3)
    command.set_defaults(run=detect)
    command = commands.add_parser("evaluate")
    command.add_argument("folder")
    command.add_argument("--model", default=Path(__file__).parent)
    command.set_defaults(run=evaluate)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()

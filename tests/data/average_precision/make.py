#!/usr/bin/env python3
"""Writes the marks, detections and golden numbers of this folder. Needs `pip install pycocotools==2.0.11 numpy==2.4.6`; the files
are committed, so that only those who change them run it."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HERE = Path(__file__).parent
WIDTH, HEIGHT = 400, 300
PICTURES, CLASSES = 40, 6
# Both borders of COCO's sizes, and what lies beside them.
SIDES = [8, 20, 31, 32, 33, 50, 95, 96, 97, 150]
STATISTICS = ["ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "at_1", "at_10", "at_100", "small", "medium", "large"]


def marks(random):
    """Class 5 has no box; picture 1 is empty; every tenth box is a crowd; some areas are those of an outline."""
    annotations = []
    for image in range(2, PICTURES + 1):
        for _ in range(random.integers(0, 12)):
            w, h = (float(random.choice(SIDES)) for _ in range(2))
            x, y = float(random.integers(0, WIDTH - int(w))), float(random.integers(0, HEIGHT - int(h)))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(random.choice([11, 12, 13, 14, 16], p=[0.5, 0.2, 0.15, 0.1, 0.05])),
                    "bbox": [x, y, w, h],
                    "area": w * h * float(random.choice([1.0, 1.0, 0.75])),
                    "iscrowd": int(random.random() < 0.1),
                }
            )
    return annotations


def detections(random, annotations):
    """Scores in steps of 0.05, so that many are equal; shares of a box, so that overlaps lie on COCO's limits; mistakes; one
    picture with more boxes than count."""
    found = []

    def add(image, category, bbox):
        score = round(float(random.integers(1, 20)) * 0.05, 2)
        found.append({"image_id": image, "category_id": category, "bbox": [round(v, 2) for v in bbox], "score": score})

    for annotation in annotations:
        x, y, w, h = annotation["bbox"]
        for _ in range(random.integers(0, 4)):
            kind = random.integers(0, 4)
            if kind == 0:
                add(annotation["image_id"], annotation["category_id"], [x, y, w, h])
            elif kind == 1:
                share = float(random.choice([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]))
                add(annotation["image_id"], annotation["category_id"], [x, y, w, h * share])
            elif kind == 2:
                add(annotation["image_id"], annotation["category_id"], [x + w * random.normal(0, 0.1), y + h * random.normal(0, 0.1), w, h])
            else:
                add(annotation["image_id"], int(random.choice([11, 12, 13, 14, 15, 16])), [x, y, w, h])
    for image in range(1, PICTURES + 1):
        for _ in range(random.integers(0, 4)):
            add(image, int(random.choice([11, 12, 15])), [float(v) for v in random.integers(1, 120, 4)])
    for index in range(130):
        add(7, 11, [float(index), float(index), 40.0, 40.0])
    order = random.permutation(len(found))
    return [found[index] for index in order]


def measure(truth, found, categories):
    evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
    evaluation.params.catIds = categories
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    mean = lambda values: float(values[values > -1].mean()) if (values > -1).any() else None
    precision = evaluation.eval["precision"]
    part = lambda values: {"ap": mean(values), "ap50": mean(values[0]), "ap75": mean(values[5])}
    return {
        "categories": categories,
        "statistics": {name: (None if value == -1 else value) for name, value in zip(STATISTICS, evaluation.stats.tolist())},
        "by_size": {size: part(precision[:, :, :, area, 2]) for area, size in [(1, "small"), (2, "medium"), (3, "large")]},
        "classes": [part(precision[:, :, index, 0, 2]) for index in range(len(categories))],
    }


def write(name, value):
    """One record a line, so that a change can be read."""
    text = json.dumps(value).replace("}, {", "},\n{")
    (HERE / name).write_text(text + "\n")


def main():
    random = np.random.default_rng(11)
    annotations = marks(random)
    truth = {
        "images": [{"id": image, "file_name": f"{image}.png", "width": WIDTH, "height": HEIGHT} for image in range(1, PICTURES + 1)],
        "annotations": annotations,
        "categories": [{"id": 11 + index, "name": f"class {index}"} for index in range(CLASSES)],
    }
    found = detections(random, annotations)
    write("truth.json", truth)
    write("found.json", found)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(HERE / "truth.json"))
        cases = [measure(coco, found, categories) for categories in ([11, 12, 13, 14, 15, 16], [12, 14], [15])]
    write("expected.json", cases)


if __name__ == "__main__":
    main()

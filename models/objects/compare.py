#!/usr/bin/env python3
"""Measures this bundle beside the float one; what it prints is what MODEL_CARD.md says.

    compare.py DATA [FLOAT-BUNDLE INT8-BUNDLE]      DATA holds coco128/, pets/ and people/

The protocol was fixed before anything was measured:

- AP50 (pycocotools, best 40 boxes, score 0.01 or more) over the classes that COCO and the dictionary share, without cup;
  on all photos of coco128, and on those at odd places of the sorted list, which the recipe never looks at.
- In one view (the whole photo, stretched) and as the mean over 16: mirrored or not, and smaller on a grey ground in eight
  places. 128 photos in one view cannot tell half a point from chance; the views make it a finer scale.
- With XNNPACK's kernels and with TensorFlow Lite's plain ones, which round a little differently; 32-bit ARM has only those.
- Beside each difference stands the interval in which 95 % of 1000 draws of the photos lie, both bundles on the same draw.
- pets: how often the higher of `cat` and `dog` is right. people: photos with a person at the bundle's threshold.
- Milliseconds of one inference in one thread, both bundles in turn; the float one's boxes are decoded outside of it.
"""

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HERE = Path(__file__).resolve().parent
FLOAT = HERE.parent / "objects-float"
sys.path.insert(0, str(FLOAT))
from reference import COCO_NAMES, KERNELS, Detector  # noqa: E402

LEFT_OUT = "cup"
LEAST_SCORE, MOST_BOXES = 0.01, 40
# How many times as wide as the photo the ground is, and where the photo's upper left corner lies on what is left over.
PLACES = [(1.0, 0, 0)] + [(1.06, x, y) for x in (0, 1) for y in (0, 1)] + [(1.12, 0.5, 0.5), (1.12, 0.25, 0.75), (1.12, 0.75, 0.25)]
VIEWS = [(*place, mirrored) for mirrored in (False, True) for place in PLACES]
DRAWS = 1000


def seen_as(photo, view):
    """The photo as a view shows it, and what brings a box of the view (x, y, w, h in 0…1) back to the photo."""
    size, left, top, mirrored = view
    if mirrored:
        photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    width, height = (round(side * size) for side in photo.size)
    x0, y0 = round((width - photo.width) * left), round((height - photo.height) * top)
    ground = Image.new("RGB", (width, height), (128, 128, 128))
    ground.paste(photo, (x0, y0))

    def back(box):
        x, y, w, h = np.multiply(box, (width, height, width, height)) - (x0, y0, 0, 0)
        return [photo.width - x - w if mirrored else x, y, w, h]

    return ground, back


class Truth:
    """The boxes of coco128, and which class of the dictionary is which of COCO's."""

    def __init__(self, folder, labels):
        self.coco = COCO(str(folder / "instances.json"))
        present = {annotation["category_id"] for annotation in self.coco.dataset["annotations"]}
        ids = {c["name"]: c["id"] for c in self.coco.dataset["categories"] if c["id"] in present and c["name"] != LEFT_OUT}
        names = {index: COCO_NAMES.get(label, label) for index, label in enumerate(labels) if index > 0}
        self.category = {index: ids[name] for index, name in names.items() if name in ids}
        self.names = {ids[name]: name for name in names.values() if name in ids}
        found = {path.name: path for path in (folder / "images").rglob("*.*")}
        images = sorted(self.coco.dataset["images"], key=lambda image: image["file_name"])
        self.photos = [(image["id"], Image.open(found[image["file_name"]]).convert("RGB")) for image in images]

    def ranked(self, detector, view):
        """What a detector finds in all photos, judged by pycocotools: for each class its boxes, the surest first."""
        results = []
        for number, photo in self.photos:
            picture, back = seen_as(photo, view)
            for score, label, box in detector.detect(picture, LEAST_SCORE, MOST_BOXES):
                if label in self.category:
                    results.append({"image_id": number, "category_id": self.category[label], "bbox": back(box), "score": score})
        judge = COCOeval(self.coco, self.coco.loadRes(results), "bbox")
        judge.params.catIds, judge.params.imgIds = sorted(self.names), [number for number, _ in self.photos]
        judge.params.iouThrs, judge.params.maxDets = np.array([0.5]), [MOST_BOXES]
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.evaluate()
        judge.accumulate()
        # pycocotools goes through the photos by number, which need not be the order of their names.
        numbers = [number for number, _ in self.photos]
        of_photo = np.argsort(np.argsort(numbers))
        judged = np.array(judge.evalImgs, object).reshape(len(self.names), len(numbers))[:, of_photo]
        classes = [Ranked(of_class) for of_class in judged]
        # The quick sum below must be pycocotools' own.
        assert abs(ap50(classes, np.ones(len(self.photos))) - judge.eval["precision"].mean()) < 1e-9
        return classes


class Ranked:
    """One class's boxes in all photos, the surest first: from which photo each is, and whether it is right."""

    def __init__(self, judged):
        self.wanted = np.array([len(one["gtIds"]) if one else 0 for one in judged])
        boxes = [
            (-score, photo, match > 0)
            for photo, one in enumerate(judged)
            if one
            for score, match in zip(one["dtScores"], one["dtMatches"][0])
        ]
        boxes.sort(key=lambda box: box[0])
        self.photo = np.array([photo for _, photo, _ in boxes], int)
        self.right = np.array([right for _, _, right in boxes], bool)

    def average_precision(self, times):
        """As pycocotools interpolates it, each photo counted as often as `times` says; not a number without any box."""
        wanted = (self.wanted * times).sum()
        if wanted == 0:
            return np.nan
        counted = times[self.photo]
        right = np.cumsum(counted * self.right)
        recall, precision = right / wanted, right / np.maximum(np.cumsum(counted), np.spacing(1))
        precision = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
        return precision[np.searchsorted(recall, np.linspace(0, 1, 101), side="left")].mean()


def ap50(classes, times):
    return np.nanmean([one.average_precision(times) for one in classes])


def measure_coco(truth, detectors):
    """A line for each protocol: AP50 of both, their difference in points, and its interval over draws of the photos."""
    photos = len(truth.photos)
    random = np.random.default_rng(0)
    parts = {"all": np.ones(photos), "never seen": np.arange(photos) % 2.0}
    draws = {
        name: [np.bincount(random.choice(np.flatnonzero(part), int(part.sum())), minlength=photos) for _ in range(DRAWS)]
        for name, part in parts.items()
    }
    ranked = {
        kernels: [[truth.ranked(detector, view) for view in VIEWS] for detector in pair] for kernels, pair in detectors.items()
    }
    print(f"{len(truth.names)} classes: {', '.join(truth.names.values())}")
    for views in (1, len(VIEWS)):
        for kernels, pair in ranked.items():
            for name, part in parts.items():
                mean = [np.mean([ap50(classes, part) for classes in views_of[:views]]) for views_of in pair]
                lost = [
                    100 * np.mean([ap50(b, times) - ap50(a, times) for a, b in zip(pair[0][:views], pair[1][:views])])
                    for times in draws[name]
                ]
                low, high = np.percentile(lost, (2.5, 97.5))
                print(
                    f"| {views} | {kernels} | {name} ({int(part.sum())}) | {mean[0]:.4f} | {mean[1]:.4f} "
                    f"| {100 * (mean[1] - mean[0]):+.2f} | {low:+.1f} … {high:+.1f} |",
                    flush=True,
                )


def measure_pets(folder, detectors):
    for kernels, pair in detectors.items():
        right, photos = [0, 0], sorted(folder.rglob("*.jpg"))
        for path in photos:
            for i, detector in enumerate(pair):
                found = detector.detect(Image.open(path).convert("RGB"), LEAST_SCORE, MOST_BOXES)
                kinds = [detector.labels[label] for _, label, _ in found if detector.labels[label] in ("cat", "dog")]
                # In this set a cat's breed is written with a capital letter.
                right[i] += kinds[:1] == ["cat" if path.name[0].isupper() else "dog"]
        print(f"pets, {kernels}: float {right[0]}, int8 {right[1]} of {len(photos)} right", flush=True)


def measure_people(folder, detectors):
    for kernels, pair in detectors.items():
        seen, photos = [0, 0], sorted(folder.rglob("*.jpg"))
        for path in photos:
            for i, detector in enumerate(pair):
                found = detector.detect(Image.open(path).convert("RGB"), detector.description["threshold"])
                seen[i] += any(detector.labels[label] == "person" for _, label, _ in found)
        print(f"people, {kernels}: float {seen[0]}, int8 {seen[1]} of {len(photos)} with a person", flush=True)


def measure_time(detectors, rounds=200):
    for kernels, pair in detectors.items():
        milliseconds = [[], []]
        for _ in range(rounds):
            for i, detector in enumerate(pair):
                started = time.perf_counter()
                detector.interpreter.invoke()
                milliseconds[i].append(1000 * (time.perf_counter() - started))
        of_float, of_int8 = (np.median(one) for one in milliseconds)
        print(f"time, {kernels}: float {of_float:.1f} ms, int8 {of_int8:.1f} ms (median of {rounds})", flush=True)


def main():
    data, *bundles = map(Path, sys.argv[1:])
    of_float, of_int8 = bundles or (FLOAT, HERE)
    detectors = {kernels: [Detector(bundle, kernels) for bundle in (of_float, of_int8)] for kernels in reversed(KERNELS)}
    measure_time(detectors)
    measure_pets(data / "pets", detectors)
    measure_people(data / "people", detectors)
    measure_coco(Truth(data / "coco128", detectors["xnnpack"][0].labels), detectors)


if __name__ == "__main__":
    main()

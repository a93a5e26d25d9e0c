#!/usr/bin/env python3
"""Measures lookhear's hot paths beside other libraries', on the same input, alternating, in one thread each.

    compare.py [--rounds N] [NAME ...]   measures; without names, everything
    compare.py --list                    says what there is

Called by run.sh, which installs the libraries. Each comparison is one function in COMPARISONS: it makes the input, and
says what `ours.rs` is called with and what it is called beside. Before anything is timed, the results are compared:
speeds of different results are no comparison.

One measurement is the time of as many calls as take some 20 ms, divided by their number; ours and each of the others
measure in turn, `--rounds` times. The median is reported, and of the ratios, which are taken round by round, the median
and the quartiles: what disturbs the machine disturbs both sides of a round.
"""

import argparse
import io
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import cv2
import numpy as np
import simplejpeg
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
MEASUREMENT_S = 0.02


@dataclass
class Comparison:
    """One job, done by us and by others."""

    ours: list  # the arguments of ours.rs
    result: Callable  # bytes that ours.rs gives -> what the others give
    others: dict = field(default_factory=dict)  # name -> function without arguments that does the job
    # The largest difference between any of our values and theirs; None where the others do another job.
    tolerance: float | None = 0


class Ours:
    """ours.rs at work, a process: it waits for a number of calls, makes them, and says how many seconds they took."""

    def __init__(self, arguments, folder):
        self.result_file = folder / "ours.bin"
        command = ["cargo", "bench", "--locked", "--quiet", "--bench", "compare", "--"]
        command += [str(self.result_file), *map(str, arguments)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self(1)  # so that the result is there

    def __call__(self, calls):
        self.process.stdin.write(f"{calls}\n")
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"compare.py: {' '.join(self.process.args)} ended; see above.")
        return float(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def theirs(function):
    """The same for a function of Python."""

    def measure(calls):
        start = time.perf_counter()
        for _ in range(calls):
            function()
        return time.perf_counter() - start

    return measure


def photo(width, height):
    """A picture with smooth parts, edges and noise, the same on every machine."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [np.sin(x / 47 + shift) * np.cos(y / 31 - shift) * 60 + 128 for shift in (0.0, 1.0, 2.0)]
    picture = np.stack(waves, axis=-1)
    for _ in range(40):
        left, top = rng.integers(0, width), rng.integers(0, height)
        picture[top : top + rng.integers(8, 120), left : left + rng.integers(8, 120)] = rng.integers(0, 256, 3)
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def motion_jpeg(folder, size=(640, 480), divisor=1):
    """A frame of a webcam that gives Motion JPEG (640×480, 4:2:2, quality 85), to RGB."""
    jpeg = simplejpeg.encode_jpeg(photo(*size), quality=85, colorsubsampling="422")
    file = folder / "frame.jpg"
    file.write_bytes(jpeg)
    packed, (width, height) = np.frombuffer(jpeg, np.uint8), (side // divisor for side in size)
    others = {
        "libjpeg-turbo/simplejpeg": lambda: simplejpeg.decode_jpeg(jpeg, "RGB", min_width=width, min_height=height),
        "OpenCV": lambda: cv2.imdecode(packed, OPENCV_SCALES[divisor]),
    }
    if divisor == 1:
        others["Pillow"] = lambda: np.asarray(Image.open(io.BytesIO(jpeg)))
    return Comparison(
        ours=["motion-jpeg", file, divisor],
        result=lambda data: np.frombuffer(data, np.uint8).reshape(height, width, 3),
        others=others,
    )


def inference(threads):
    """What compares the object detector's inference with so many threads."""

    def make(folder):
        # LiteRT runs a model with XNNPACK's kernels by itself, as we do.
        model = ROOT / "models/objects/model.tflite"
        interpreter = Interpreter(str(model), num_threads=threads)
        interpreter.allocate_tensors()
        wanted, outputs = interpreter.get_input_details()[0], interpreter.get_output_details()
        # Of boxes, classes, scores and count only the scores keep their places when two boxes are as good as each other.
        place = 2 if len(outputs) == 4 else 0
        given = outputs[place]
        _, height, width, _ = wanted["shape"]
        picture = photo(width, height).astype(np.float32)
        if wanted["dtype"] == np.float32:
            picture = picture / 127.5 - 1
        elif wanted["dtype"] == np.int8:
            picture = picture - 128
        picture = picture.astype(wanted["dtype"])[np.newaxis]
        interpreter.set_tensor(wanted["index"], picture)
        file = folder / "input.bin"
        file.write_bytes(picture.tobytes())

        def run():
            interpreter.invoke()
            return interpreter.get_tensor(given["index"])

        return Comparison(
            ours=["inference", model, threads, file, place],
            result=lambda data: np.frombuffer(data, given["dtype"]).reshape(given["shape"]),
            others={"LiteRT": run},
            # Kernels of two versions may add up, or round, in another way; scores are 0 to 1.
            tolerance=1e-3 if wanted["dtype"] == np.float32 else 0.02,
        )

    make.__doc__ = f"The object detector's inference with {threads} thread(s), and a copy of one output."
    return make


# At a reduced scale OpenCV gives BGR.
OPENCV_SCALES = {1: cv2.IMREAD_COLOR_RGB, 2: cv2.IMREAD_REDUCED_COLOR_2}


def half_jpeg(folder):
    """A frame of 1280×720 decoded at half scale, as for a model of 300×300, to RGB."""
    comparison = motion_jpeg(folder, (1280, 720), 2)
    reduced = comparison.others["OpenCV"]
    comparison.others["OpenCV"] = lambda: reduced()[..., ::-1]
    return comparison


def resize(folder, size=(640, 480), to=(300, 300)):
    """RGB of 640×480 to 300×300, bilinear with antialiasing."""
    pixels = photo(*size)
    file = folder / "frame.rgb"
    file.write_bytes(pixels.tobytes())
    image = Image.fromarray(pixels)
    return Comparison(
        ours=["resize", file, *size, *to],
        result=lambda data: np.frombuffer(data, np.uint8).reshape(to[1], to[0], 3),
        others={"Pillow": lambda: image.resize(to, Image.Resampling.BILINEAR)},
        tolerance=1,
    )


def resize_area(folder):
    """The same beside OpenCV's nearest filter, INTER_AREA, whose weights are others: results are not compared."""
    comparison, pixels = resize(folder), photo(640, 480)
    comparison.others = {"OpenCV": lambda: cv2.resize(pixels, (300, 300), interpolation=cv2.INTER_AREA)}
    comparison.tolerance = None
    return comparison


# A comparison more is a function more here, and its job in ours.rs.
COMPARISONS = {
    "motion-jpeg": motion_jpeg,
    "half-jpeg": half_jpeg,
    "resize": resize,
    "resize-area": resize_area,
    "inference-1": inference(1),
    "inference-2": inference(2),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to compare; default: everything")
    parser.add_argument("--rounds", type=int, default=41, help="measurements of each; default 41")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    arguments = parser.parse_args()
    if arguments.list:
        for name, make in COMPARISONS.items():
            print(f"{name:14} {make.__doc__.splitlines()[0]}")
        return
    unknown = [name for name in arguments.names if name not in COMPARISONS]
    if unknown:
        parser.error(f"there is no comparison {unknown[0]}; --list lists them")
    print(f"{processor()}; {time.strftime('%Y-%m-%d')}; {arguments.rounds} rounds\n")
    print(f"{'':14} {'':24} {'µs':>9} {'ours':>9}   theirs / ours (quartiles)")
    for name in arguments.names or COMPARISONS:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, COMPARISONS[name](Path(folder)), Path(folder), arguments.rounds)


def compare(name, comparison, folder, rounds):
    ours = Ours(comparison.ours, folder)
    check_results(name, comparison, comparison.result(ours.result_file.read_bytes()))
    sides = [ours, *map(theirs, comparison.others.values())]
    calls = [max(1, int(MEASUREMENT_S / max(side(1), 1e-7))) for side in sides]
    times = [[] for _ in sides]
    for _ in range(rounds):
        for side, count, found in zip(sides, calls, times):
            found.append(side(count) / count * 1e6)
    ours.close()
    for other, found in zip(comparison.others, times[1:]):
        low, ratio, high = statistics.quantiles([b / a for a, b in zip(times[0], found)], n=4)
        mine, other_us = statistics.median(times[0]), statistics.median(found)
        print(f"{name:14} {other:24} {other_us:9.1f} {mine:9.1f}   {ratio:.2f} ({low:.2f}…{high:.2f})", flush=True)


def check_results(name, comparison, result):
    for other, function in comparison.others.items():
        if comparison.tolerance is None:
            continue
        off = np.abs(np.asarray(function(), np.float64) - np.asarray(result, np.float64)).max()
        if off > comparison.tolerance:
            sys.exit(f"compare.py: {name}: ours and {other}'s results differ by up to {off}; {comparison.tolerance} is allowed.")


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()

"""Writes the bundle that the program loads: `model.tflite`, `dict.txt`, `tflite_metadata.json`; and the training's curves.

int8 ships unless it costs more than 0.3 points of validation accuracy against float. The thresholds are those that
`stream.py` finds. What was measured goes to `report.md` in the run folder, from which the model card quotes.
"""

import argparse
import json
import pathlib
import shutil

import curves
import evaluate
import network
import stream
from corpus import validation_clips
from features import front_end, log_mel
from labels import LABELS
from spotter import Spotter

INT8_MAY_COST = 0.003
LICENCE = "Apache-2.0 OR MIT; trained on CC BY 4.0 recordings, attributed in MODEL_CARD.md"


def bundle(cache, streams, run, into):
    """Measures both exports of `run` and writes the better choice as a bundle into the folder `into`."""
    samples, labels = validation_clips(cache)
    measured = {
        form: evaluate.summary(evaluate.confusion_of(Spotter(run / f"{form}.tflite").scores_of(samples), labels))
        for form in ("float", "int8")
    }
    chosen = "int8" if measured["float"]["accuracy"] - measured["int8"]["accuracy"] <= INT8_MAY_COST else "float"
    model = run / f"{chosen}.tflite"
    swept = stream.sweep(model, streams / "choose")
    thresholds = stream.choose(swept)

    spotter = Spotter(model)
    metadata = {
        "inferenceType": "FLOAT",
        "inputTensor": spotter.input["name"],
        "inputShape": [int(size) for size in spotter.input["shape"]],
        "outputTensor": spotter.output["name"],
        "lookhear": {
            "task": "keywords",
            "front_end": front_end(),
            "decision": {"step_ms": stream.STEP_MS, "smoothing": stream.SMOOTHING, "threshold": max(thresholds.values()), "thresholds": thresholds},
            "licence": LICENCE,
            "accuracy": {
                "set": "Speech Commands, official validation speakers, and silence cut from held-back noise",
                "form": chosen,
                **measured[chosen],
                "float_accuracy": measured["float"]["accuracy"],
                "int8_accuracy": measured["int8"]["accuracy"],
            },
        },
    }
    into.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, into / "model.tflite")
    shutil.copyfile(run / "curves.csv", into / "curves.csv")
    curves.draw(into)
    (into / "dict.txt").write_text("\n".join(LABELS) + "\n")
    (into / "tflite_metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")

    net = network.build()
    sizes = {form: (run / f"{form}.tflite").stat().st_size for form in measured}
    speeds = {form: round(Spotter(run / f"{form}.tflite").milliseconds(log_mel(samples[0])), 3) for form in measured}
    lines = [f"shipped: {chosen}", f"float: {measured['float']}", f"int8: {measured['int8']}"]
    lines += [f"bytes: {sizes}", f"ms an inference, one thread: {speeds}"]
    lines += [f"parameters: {net.count_params()}, multiply-adds: {network.multiply_adds(net)}", ""]
    lines += [evaluate.report(cache, spotter), "", stream.markdown(swept, thresholds)]
    (run / "report.md").write_text("\n".join(lines) + "\n")
    print(json.dumps(metadata, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--streams", type=pathlib.Path, required=True, help="what make_streams.py made")
    parser.add_argument("--run", type=pathlib.Path, required=True)
    parser.add_argument("--into", type=pathlib.Path, required=True, help="the bundle's folder")
    arguments = parser.parse_args()
    bundle(arguments.cache, arguments.streams, arguments.run, arguments.into)

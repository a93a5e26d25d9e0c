"""Draws how a training went: `curves.csv` to `curves.png`."""

import argparse
import csv
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot


def draw(folder):
    """Loss and accuracy by epoch, of training and of validation, from the folder's `curves.csv`."""
    with open(folder / "curves.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    figure, axes = matplotlib.pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for axis, measure in zip(axes, ["loss", "accuracy"]):
        for of, line in [("training", "C0-"), ("validation", "C1-")]:
            axis.plot(epochs, [float(row[f"{of}_{measure}"]) for row in rows], line, label=of)
        axis.set(xlabel="epoch", ylabel=measure)
        axis.grid(alpha=0.3)
    axes[0].set_ylim(bottom=0.0)
    # Training hears altered clips and the hardest seconds: validation is the easier set.
    axes[1].set_ylim(0.6, 1.0)
    axes[1].legend(loc="lower right")
    figure.savefig(folder / "curves.png", dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    draw(parser.parse_args().folder)

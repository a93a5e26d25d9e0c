"""Trains the report's networks on its features, and draws how they learn.

    report_comparison.py --cache DIR --into DIR [--architecture NAME] [--feature NAME] [--share X] [--epochs N]

Without names it trains all nine pairs, then custom-vgg on the log-mel without augmentation. A run that is in the folder
already is not repeated, so that an interrupted comparison goes on. Each gives `<architecture>.<feature>.csv`; all that
are there go into `report.png` and `report.md`.

As in the report: Adam, batches of 64, four epochs, the whole second shifted by up to 100 ms and, in four cases of five,
noise of up to a tenth of full scale over it. As many `unknown` and `silence` as clips of a command; silence is zeros
in half of the cases, noise in the others. Validation is that of the official hash; the testing set is not touched.
Layers compute in bfloat16, which takes half the time on processors that know it; weights and scores are float32.
"""

import argparse
import csv
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import keras
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot
import numpy as np

import report_models
from augment import SHIFT_MS, shifted
from corpus import Corpus, validation_clips
from features import CLIP_SAMPLES, RATE_HZ, from_int16
from labels import COMMANDS, LABELS, SILENCE, UNKNOWN

BATCH = 64
NOISE_SHARE, LOUDEST_NOISE = 0.8, 0.1
PLAIN = "without-augmentation"


class Clips:
    """Training clips of one set of labels, in an order of their own each epoch."""

    def __init__(self, corpus, share, augmented, rng):
        self.corpus, self.augmented, self.rng = corpus, augmented, rng
        reach = SHIFT_MS * RATE_HZ // 1000
        self.reach = (-reach, reach + 1)
        spoken = {word: self._some(rows, share) for word, rows in corpus.by_word.items() if word in COMMANDS}
        each = round(np.mean([len(rows) for rows in spoken.values()]))
        others = np.concatenate([rows for word, rows in corpus.by_word.items() if word not in COMMANDS])
        spoken[UNKNOWN] = rng.choice(others, min(each, len(others)), replace=False)
        self.rows = [(LABELS.index(label), int(row)) for label, rows in spoken.items() for row in rows]
        self.rows += [(LABELS.index(SILENCE), place) for place in range(each)]

    def __len__(self):
        return len(self.rows)

    def batches(self, feature):
        """(features, labels) until every clip was given once."""
        order = self.rng.permutation(len(self.rows))
        for places in np.array_split(order, max(1, len(order) // BATCH)):
            chosen = [self.rows[place] for place in places]
            samples = np.stack([self._clip(*row) for row in chosen])
            yield report_models.feature_of(samples, feature), np.array([label for label, _ in chosen])

    def _some(self, rows, share):
        return self.rng.choice(rows, max(1, round(len(rows) * share)), replace=False)

    def _clip(self, label, row):
        if LABELS[label] == SILENCE:
            return self._noise() if row % 2 else np.zeros(CLIP_SAMPLES, np.float32)
        clip = from_int16(self.corpus.clips[row])
        if not self.augmented:
            return clip
        clip = shifted(clip, int(self.rng.integers(*self.reach)))
        if self.rng.random() < NOISE_SHARE:
            clip = np.clip(clip + self._noise(), -1.0, 1.0)
        return clip

    def _noise(self):
        return self.corpus.noise.second(self.rng) * np.float32(self.rng.uniform(0.0, LOUDEST_NOISE))


def train(cache, path, architecture, feature, augmented, share, epochs, seed):
    """Trains one network and writes its curves to `path`."""
    keras.utils.set_random_seed(seed)
    clips = Clips(Corpus(cache, "training"), share, augmented, np.random.default_rng(seed))
    samples, labels = validation_clips(cache)
    model = report_models.build(architecture)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rows = []
    for epoch in range(1, epochs + 1):
        training = mean_of(model.train_on_batch, clips.batches(feature))
        parts = np.array_split(np.arange(len(labels)), 1 + len(labels) // 128)
        validation = mean_of(model.test_on_batch, ((report_models.feature_of(samples[part], feature), labels[part]) for part in parts))
        rows.append({"epoch": epoch, "clips": len(clips), **figures("training", training), **figures("validation", validation)})
        print(path.stem, rows[-1], flush=True)
    # Written at its end, so that a file means a run that is done.
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def mean_of(measure, batches):
    """Loss and accuracy over all batches, each counted by its clips; a network's own measures are those of one batch."""
    sums, count = {"loss": 0.0, "accuracy": 0.0}, 0
    for inputs, labels in batches:
        measured = measure(inputs, labels, return_dict=True)
        count += len(labels)
        for name in sums:
            sums[name] += float(measured[name]) * len(labels)
    return {name: value / count for name, value in sums.items()}


def figures(of, measured):
    return {f"{of}_{name}": round(value, 4) for name, value in measured.items()}


def curves(folder):
    """Name of a run → its rows."""
    return {path.stem: list(csv.DictReader(open(path, newline=""))) for path in sorted(folder.glob("*.csv"))}


def draw(runs, path):
    """Accuracy and loss of every run, training dashed and validation drawn through."""
    figure, axes = matplotlib.pyplot.subplots(1, 2, figsize=(13, 5.5), layout="constrained")
    for axis, measure in zip(axes, ["accuracy", "loss"]):
        for number, (name, rows) in enumerate(runs.items()):
            colour, epochs = f"C{number % 10}", [int(row["epoch"]) for row in rows]
            for of, line in [("training", "--"), ("validation", "-")]:
                values = [float(row[f"{of}_{measure}"]) for row in rows]
                axis.plot(epochs, values, line, color=colour, marker=".", label=name if of == "validation" else None)
        axis.set(xlabel="epoch", ylabel=measure, title=f"{measure}: validation —, training - -")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    axes[1].set_ylim(0.0, 3.0)
    axes[0].legend(fontsize="small")
    figure.savefig(path, dpi=110)


def markdown(runs):
    """The last epoch of every run as a table."""
    lines = ["| run | clips | epochs | training accuracy | validation accuracy | validation loss |", "|---|---|---|---|---|---|"]
    for name, rows in runs.items():
        last = rows[-1]
        cells = [name, last["clips"], last["epoch"], last["training_accuracy"], last["validation_accuracy"], last["validation_loss"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--into", type=pathlib.Path, required=True, help="the folder of curves and tables")
    parser.add_argument("--architecture", choices=report_models.ARCHITECTURES, help="only this network")
    parser.add_argument("--feature", choices=report_models.FEATURES, help="only this feature")
    parser.add_argument("--share", type=float, default=1.0, help="share of the training clips of each command, 0 to 1")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    keras.config.set_dtype_policy("mixed_bfloat16")
    pairs = [(a, f, True) for a in report_models.ARCHITECTURES for f in report_models.FEATURES]
    pairs.append(("custom-vgg", "log-mel", False))
    arguments.into.mkdir(parents=True, exist_ok=True)
    for architecture, feature, augmented in pairs:
        if arguments.architecture not in (None, architecture) or arguments.feature not in (None, feature):
            continue
        path = arguments.into / ".".join([architecture, feature] + [PLAIN] * (not augmented) + ["csv"])
        if not path.exists():
            train(arguments.cache, path, architecture, feature, augmented, arguments.share, arguments.epochs, arguments.seed)
    runs = curves(arguments.into)
    draw(runs, arguments.into / "report.png")
    (arguments.into / "report.md").write_text(markdown(runs))


if __name__ == "__main__":
    main()

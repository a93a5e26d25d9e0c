"""Measures an exported model on validation: accuracy, a table by word, the confusion matrix, as Markdown."""

import argparse
import math
import pathlib

import numpy as np

from augment import amplitude, level
from corpus import Corpus, held_back_voices, validation_clips
from labels import LABELS, SILENCE
from mlperf_tiny import MlperfTiny
from spotter import Spotter

# 95 % of a normal distribution lie within so many standard deviations.
Z = 1.96


def wilson(right, count):
    """95 % confidence interval of a share."""
    share = right / count
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return float(middle - half), float(middle + half)


def confusion_of(scores, labels):
    """Counts [truth, answer]."""
    confusion = np.zeros((len(LABELS), len(LABELS)), int)
    np.add.at(confusion, (labels, scores.argmax(1)), 1)
    return confusion


def summary(confusion):
    """The accuracies that the metadata and the card quote."""
    counts = confusion.sum(1)
    present = counts > 0
    spoken = [label != SILENCE for label in LABELS]
    right = np.diag(confusion)
    low, high = wilson(right.sum(), counts.sum())
    return {
        "clips": int(counts.sum()),
        "accuracy": round(float(right.sum() / counts.sum()), 4),
        "interval_95": [round(low, 4), round(high, 4)],
        "balanced": round(float(np.mean(right[present] / counts[present])), 4),
        "without_silence": round(float(right[spoken].sum() / counts[spoken].sum()), 4),
    }


def markdown(confusion):
    """Table by word and confusion matrix."""
    lines = ["| label | clips | right | accuracy | of the answers right |", "|---|---|---|---|---|"]
    for index, label in enumerate(LABELS):
        count, right, answers = confusion[index].sum(), confusion[index, index], confusion[:, index].sum()
        if count:
            lines.append(f"| {label} | {count} | {right} | {right / count:.1%} | {right / max(answers, 1):.1%} |")
    lines += ["", "| truth ↓ answer → | " + " | ".join(LABELS) + " |", "|---" * (len(LABELS) + 1) + "|"]
    for label, row in zip(LABELS, confusion):
        lines.append(f"| **{label}** | " + " | ".join(str(count) if count else "" for count in row) + " |")
    return "\n".join(lines)


def at_peak(samples, labels, decibel):
    """Spoken clips with the peak at so many decibels below full scale, rounded to 16 bit as a sound card would."""
    spoken = (labels != LABELS.index(SILENCE))[:, None]
    peaks = np.maximum(np.abs(samples).max(-1, keepdims=True), 1.0 / 32768)
    return np.where(spoken, np.round(samples * (amplitude(decibel) / peaks) * 32767) / 32768, samples).astype(np.float32)


def in_noise(samples, labels, noise, snr_db, seed=11):
    """Spoken clips under held-back noise at one signal-to-noise ratio, both by root mean square over the second."""
    rng, noisy = np.random.default_rng(seed), samples.copy()
    for clip in np.flatnonzero(labels != LABELS.index(SILENCE)):
        second = noise.second(rng)
        noisy[clip] += second * (level(noisy[clip]) / amplitude(snr_db) / level(second))
    return np.clip(noisy, -1.0, 1.0)


def report(cache, answering):
    """Everything measured on clips, as Markdown; `answering.scores_of` turns samples into scores."""

    def measure(samples, labels):
        return confusion_of(answering.scores_of(samples), labels)

    def row(name, confusion):
        measured = summary(confusion)
        return f"| {name} | {measured['accuracy']:.2%} | {measured['balanced']:.2%} | {measured['without_silence']:.2%} |"

    samples, labels = validation_clips(cache)
    clean = measure(samples, labels)
    lines = [str(summary(clean)), "", markdown(clean), "", "| validation | all clips | mean of the labels | without silence |", "|---|---|---|---|"]
    lines.append(row("as recorded", clean))
    lines += [row(f"peak at {decibel} dBFS", measure(at_peak(samples, labels, decibel), labels)) for decibel in (0, -10, -20, -30, -40)]
    noise = Corpus(cache, "validation").noise
    lines += [row(f"in noise, {snr} dB", measure(in_noise(samples, labels, noise, snr), labels)) for snr in (20, 10, 5, 0)]
    voices = measure(*held_back_voices(cache))
    lines += ["", "Synthetic voices that training never heard:", "", markdown(voices)]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", type=pathlib.Path, help="an exported model")
    model.add_argument("--mlperf-tiny", type=pathlib.Path, help="MLPerf Tiny's kws_ref_model.tflite, to compare")
    arguments = parser.parse_args()
    print(report(arguments.cache, Spotter(arguments.model) if arguments.model else MlperfTiny(arguments.mlperf_tiny)))

"""Trains the network; resumes where it was stopped.

What is measured and kept is the moving average of the weights, which does better than any single step. The last epoch's
counts, not that which does best on validation: single words are no harder to it early, but streams are.

Writes into the run folder: `curves.csv` (a line an epoch), `average.weights.h5`, `checkpoint/`.
"""

import argparse
import csv
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import keras
import numpy as np
import tensorflow as tf

import network
from batches import MIX_SHARE, Batches, ahead
from corpus import Corpus, validation_clips
from features import log_mel
from labels import COMMANDS, LABELS, UNKNOWN
from lessons import Lessons

PEAK_RATE = 2e-3
WARM_UP_EPOCHS = 2
WEIGHT_DECAY = 2e-3
LABEL_SMOOTHING = 0.01
BATCH = 128
STEPS_PER_EPOCH = 100
# Of so many more seconds without a command so many are learned from each step: those that sound most like one. Few of the
# others do, and it is those few that a stream of hours is full of (Shrivastava et al., "online hard example mining", 2016).
SOUGHT, MINED = 80, 20
# Mixed clips keep scores apart from 0 and 1; at the end there are none, so that a sure word scores as one.
UNMIXED_FROM = 0.75
# Hints have unit variance, so that this is about what they add to the loss at the beginning.
HINT_WEIGHT = 0.5
# The average reaches back some thousand steps.
AVERAGE_MOMENTUM = 0.999


class WarmUpThenCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear rise to the peak, then half a cosine down to zero at the last step."""

    def __init__(self, epochs):
        self.warm_up = float(WARM_UP_EPOCHS * STEPS_PER_EPOCH)
        self.total = float(epochs * STEPS_PER_EPOCH)

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        progress = tf.clip_by_value((step - self.warm_up) / (self.total - self.warm_up), 0.0, 1.0)
        return PEAK_RATE * tf.minimum(step / self.warm_up, 0.5 * (1.0 + tf.cos(np.pi * progress)))

    def get_config(self):
        return {"epochs": int(self.total / STEPS_PER_EPOCH)}


class Average(tf.Module):
    """Moving average of all weights of a model, the statistics of its normalisations among them."""

    def __init__(self, model):
        super().__init__()
        self.of = model
        self.weights = [tf.Variable(weight, trainable=False) for weight in model.weights]

    @tf.function
    def follow(self, step):
        """Takes the model's weights after step number `step` in; the first steps do not weigh more than later ones."""
        step = tf.cast(step, tf.float32)
        momentum = tf.minimum(AVERAGE_MOMENTUM, (1.0 + step) / (10.0 + step))
        for average, weight in zip(self.weights, self.of.weights):
            average.assign_sub((1.0 - momentum) * (average - weight.value))


def accuracies(predicted, labels):
    """Share of right answers over all clips, and its mean over the twelve labels."""
    right = predicted == labels
    return right.mean(), np.mean([right[labels == label].mean() for label in range(len(LABELS)) if (labels == label).any()])


def with_hardest(model, batch, others):
    """The batch and those of the other seconds, which hold no command, that the model most takes for one."""
    inputs, targets, hints, known = batch
    logits, _ = model.predict_on_batch(others)
    unlike = np.argsort(logits[:, LABELS.index(UNKNOWN)] - logits[:, LABELS.index(COMMANDS[0]) :].max(1))[:MINED]
    unknown = np.eye(len(LABELS), dtype=np.float32)[LABELS.index(UNKNOWN)]
    return (
        np.concatenate([inputs, others[unlike]]),
        np.concatenate([targets, np.tile(unknown, (MINED, 1))]),
        np.concatenate([hints, np.zeros((MINED, hints.shape[1]), np.float32)]),
        np.concatenate([known, np.zeros(MINED, np.float32)]),
    )


def train(cache, run, epochs, seed):
    """Trains to `epochs` in all, counting those that an earlier call already did in `run`."""
    keras.utils.set_random_seed(seed)
    run.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(cache, "training")
    samples, labels = validation_clips(cache)
    features = np.concatenate([log_mel(part) for part in np.array_split(samples, 16)])

    lessons = Lessons(cache, corpus)
    model = network.build_taught()
    optimizer = keras.optimizers.AdamW(WarmUpThenCosine(epochs), weight_decay=WEIGHT_DECAY, clipnorm=1.0)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=LABEL_SMOOTHING)
    model.compile(optimizer, [loss, "mse"], loss_weights=[1.0, HINT_WEIGHT], metrics=[["accuracy"], []])
    optimizer.build(model.trainable_variables)
    epoch = tf.Variable(0, dtype=tf.int64)
    average = Average(model)
    state = tf.train.Checkpoint(model=model, optimizer=optimizer, epoch=epoch, average=average.weights)
    manager = tf.train.CheckpointManager(state, str(run / "checkpoint"), max_to_keep=1)
    if manager.latest_checkpoint:
        state.restore(manager.latest_checkpoint)

    one_hot = np.eye(len(LABELS), dtype=np.float32)
    while int(epoch) < epochs:
        begun = time.monotonic()
        mix_share = MIX_SHARE if int(epoch) < UNMIXED_FROM * epochs else 0.0
        batches = Batches(corpus, lessons, seed, int(epoch), BATCH, mix_share)
        losses, shares_right = [], []
        for batch, others in ahead(lambda: (batches.batch(), batches.without_commands(SOUGHT)), STEPS_PER_EPOCH):
            inputs, targets, hints, known = with_hardest(model, batch, others)
            weights = [np.ones_like(known), known]
            training = model.train_on_batch(inputs, [targets, hints], sample_weight=weights, return_dict=True)
            average.follow(optimizer.iterations.value)
            losses.append(training["loss"])
            shares_right.append(training["logits_accuracy"])
        epoch.assign_add(1)
        stepped = model.get_weights()
        model.set_weights([weight.numpy() for weight in average.weights])
        logits, _ = model.predict(features, batch_size=256, verbose=0)
        accuracy, balanced = accuracies(logits.argmax(1), labels)
        row = {
            "epoch": int(epoch),
            "training_loss": round(float(np.mean(losses)), 4),
            "training_accuracy": round(float(np.mean(shares_right)), 4),
            "validation_loss": round(float(loss(one_hot[labels], logits)), 4),
            "validation_accuracy": round(float(accuracy), 4),
            "validation_balanced_accuracy": round(float(balanced), 4),
            "seconds": round(time.monotonic() - begun, 1),
        }
        with open(run / "curves.csv", "a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if row["epoch"] == 1:
                writer.writeheader()
            writer.writerow(row)
        print(" ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        model.save_weights(run / "average.weights.h5")
        model.set_weights(stepped)
        manager.save()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--run", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=int, default=196)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    train(arguments.cache, arguments.run, arguments.epochs, arguments.seed)

"""Time a training epoch with Lightning, against a plain PyTorch loop over the same batches.

    python benchmarks/training_step.py             # cnn and transformer on data=madewithml, 5 epochs each
    python benchmarks/training_step.py sample 3    # another data set, number of epochs

Both have the same network, initial weights, AdamW, schedule and clipping. Epochs of the two take turns, so that other
load on the machine affects both. Prints milliseconds per step (median over epochs) and the median of the ratios ours /
plain.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning.callbacks import Callback
from torch.nn.utils import clip_grad_norm_

from ratchet.config import ThresholdConfig, compose, register
from ratchet.data.prepared import prepare
from ratchet.data.splits import make_split
from ratchet.evaluation.thresholds import compute_tuned_f1
from ratchet.machine import available_cores, limited_threads
from ratchet.models import all_settings, tagger_class
from ratchet.neural import fitting
from ratchet.neural.fitting import deterministic, quiet
from ratchet.neural.losses import make_loss
from ratchet.neural.modules import Data, Fit, make_optimizer, parameter_groups, warmup_then_decay
from ratchet.taggers import FitContext, ValidationMetric


class Clock(Callback):
    """Record the seconds of the training steps of each epoch. The plain loop runs an epoch before each."""

    def __init__(self, plain: Iterator[float]) -> None:
        self.plain_seconds, self.seconds, self._plain = [], [], plain

    def on_train_epoch_start(self, trainer, module):
        self.plain_seconds.append(next(self._plain))
        self._started = time.perf_counter()

    def on_validation_epoch_start(self, trainer, module):
        self.seconds.append(time.perf_counter() - self._started)


class Stopped(Exception):
    """Raised where training would begin, with the arguments of `fit_classifier`."""


def prepare_training(tagger, train, val, context: FitContext) -> tuple:
    """Run `tagger.fit` up to the training. Return the classifier, its learning rates and the training targets."""

    def stop(*arguments):
        raise Stopped(*arguments)

    original, fitting.fit_classifier = fitting.fit_classifier, stop
    try:
        tagger.fit(train, val, context)
    except Stopped as stopped:
        return stopped.args[0], stopped.args[1], stopped.args[-1]
    finally:
        fitting.fit_classifier = original
    raise AssertionError("it was fitted without training")


def run_plain_epochs(network, data, targets, settings, rates, epochs: int, task) -> Iterator[float]:
    """Train with a plain PyTorch loop. Yield the seconds of each epoch."""
    loss_of = make_loss(settings, targets, task)
    optimizer = make_optimizer(parameter_groups(network, rates, settings.weight_decay))
    scheduler = warmup_then_decay(optimizer, epochs * len(data.train), settings.warmup)
    batches = deepcopy(data.train)
    network.train()
    for epoch in range(epochs):
        batches.epoch = epoch
        started = time.perf_counter()
        for batch in batches:
            optimizer.zero_grad()
            loss_of(network(batch.ids, batch.mask), batch.targets).backward()
            clip_grad_norm_(network.parameters(), settings.gradient_clip)
            optimizer.step()
            scheduler.step()
        yield time.perf_counter() - started


def compare(model: str, data_name: str, epochs: int) -> None:
    config = compose([f"data={data_name}", f"model={model}", f"model.max_epochs={epochs}", f"model.patience={epochs}"])
    settings = config.model
    prepared = prepare(config.data)
    split = make_split(prepared, config.split, config.data.split.column)
    train, val = prepared.select(split.train), prepared.select(split.val)
    metric = ValidationMetric(
        "f1", lambda targets, scores: compute_tuned_f1(targets, scores, ThresholdConfig(), train.task)
    )
    with tempfile.TemporaryDirectory() as directory:
        context = FitContext(Path(directory), 0, lambda step, metrics: None, metric)
        classifier, rates, targets = prepare_training(tagger_class(config.model.module)(settings), train, val, context)
        data = Data(classifier, train, val, settings, context, targets)
        plain = run_plain_epochs(deepcopy(classifier.network), data, train.targets, settings, rates, epochs, train.task)
        clock = Clock(plain)
        with limited_threads(available_cores()), deterministic(), quiet():
            torch.set_num_threads(available_cores())
            classifier.network.train()
            trainer = fitting.make_trainer(
                settings, context, Path(directory, "best.ckpt"), Path(directory, "last.ckpt")
            )
            trainer.callbacks.insert(0, clock)
            trainer.fit(Fit(classifier, rates, data, train.targets, settings, context), datamodule=data)
    ours, theirs = np.array(clock.seconds), np.array(clock.plain_seconds)
    per_step = 1000 / len(data.train)
    print(
        f"{model:12}  {np.median(ours) * per_step:8.2f}  {np.median(theirs) * per_step:9.2f}"
        f"  {np.median(ours / theirs):12.3f}  ({(ours / theirs).min():.3f} to {(ours / theirs).max():.3f})"
    )


def main(data: str = "madewithml", epochs: str = "5") -> None:
    register(all_settings())
    print(f"{data}, {available_cores()} threads, {epochs} epochs\nmodel         ours ms   plain ms  ours / plain")
    for model in ("cnn", "transformer"):
        compare(model, data, int(epochs))


if __name__ == "__main__":
    main(*sys.argv[1:])

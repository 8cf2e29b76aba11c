"""Simulated worlds in which the truth is known: what `ratchet compare` and `ratchet gate` are tried on.

A world is a data set of 1,439 records with 34 labels, of which few are frequent and most are rare, and models that
decide on them. Some records are hard for every model and in every repeat, some pairs of a record and a label are, and
each model has opinions of its own that it keeps from repeat to repeat. Every repeat (a split or a training seed) makes
all models, and each model by itself, somewhat better or worse: that is `training`, in standard deviations of the
decision. The numbers are such that a difference on one test set of 217 records has a standard error of about .02, as
measured on Made With ML.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr, ndtri

from ratchet.statistics.bootstrap import RunDecisions

RECORDS, LABELS, TESTED = 1_439, 34, 217
PREVALENCE = np.arange(1, LABELS + 1) ** -0.9
PREVALENCE *= 2.15 / PREVALENCE.sum()  # labels a record
RECORD, PAIR, OPINION = 0.35, 0.35, 0.20  # shares of what makes a decision hard; the rest is new in each repeat


@dataclass(frozen=True)
class Model:
    """How often it finds a label that is there (as a normal quantile), and how often one that is not."""

    hit: float = 0.3
    false_alarm: float = 0.012


@dataclass(frozen=True)
class Design:
    """Which models, how many repeats, on one test set or on one each, and how much the training moves a model."""

    models: tuple[Model, ...] = field(default=(Model(), Model()))
    repeats: int = 5
    same_test_set: bool = False
    training: float = 0.0


@dataclass(frozen=True)
class World:
    """`runs` of each model, over `num_ids` records; `expected` weighted F1 (num_models, num_repeats) of those runs."""

    runs: list[list[RunDecisions]]
    num_ids: int
    expected: np.ndarray


def make_world(generator: np.random.Generator, design: Design) -> World:
    """Draw the records, what is hard about them, the test sets, and what every model decides there."""
    targets = (generator.random((RECORDS, LABELS)) < PREVALENCE).astype(np.uint8)
    hard = np.sqrt(RECORD) * generator.standard_normal((RECORDS, 1))
    hard = hard + np.sqrt(PAIR) * generator.standard_normal((RECORDS, LABELS))
    opinions = [hard + np.sqrt(OPINION) * generator.standard_normal((RECORDS, LABELS)) for _ in design.models]
    sets = _test_sets(generator, design)
    ids, places = np.unique(np.concatenate(sets), return_inverse=True)
    rows = places.reshape(design.repeats, TESTED)
    shared = design.training * generator.standard_normal(design.repeats)
    runs: list[list[RunDecisions]] = [[] for _ in design.models]
    expected = np.zeros((len(design.models), design.repeats))
    for repeat, tested in enumerate(sets):
        split = "only" if design.same_test_set else str(repeat)
        for number, (model, opinion) in enumerate(zip(design.models, opinions, strict=True)):
            shift = shared[repeat] + design.training * generator.standard_normal()
            hit, alarm = model.hit + shift, ndtri(model.false_alarm) + shift / 2
            difficulty = opinion[tested] + np.sqrt(1 - RECORD - PAIR - OPINION) * generator.standard_normal(
                (TESTED, LABELS)
            )
            decisions = (difficulty < np.where(targets[tested] > 0, hit, alarm)).astype(np.uint8)
            runs[number].append(RunDecisions(split, rows[repeat], targets[tested], decisions, {}))
            expected[number, repeat] = _weighted_f1(hit, alarm)
    return World(runs, len(ids), expected)


def _test_sets(generator: np.random.Generator, design: Design) -> list[np.ndarray]:
    if design.same_test_set:
        return [generator.permutation(RECORDS)[:TESTED]] * design.repeats
    return [generator.permutation(RECORDS)[:TESTED] for _ in range(design.repeats)]


def _weighted_f1(hit: float, alarm: float) -> float:
    """Of all records there could be, when a decision's difficulty is a standard normal."""
    found = PREVALENCE * ndtr(hit)
    predicted = found + (1 - PREVALENCE) * ndtr(alarm)
    return float((2 * found / (predicted + PREVALENCE) * PREVALENCE).sum() / PREVALENCE.sum())


def weighted_f1(runs: Sequence[RunDecisions]) -> float:
    """The mean over runs, quickly: what a calibration of worlds needs."""
    values = []
    for run in runs:
        hits = (run.targets & run.decisions).sum(axis=0)
        actual, predicted = run.targets.sum(axis=0, dtype=float), run.decisions.sum(axis=0)
        values.append((2 * hits / np.maximum(predicted + actual, 1) * actual).sum() / actual.sum())
    return float(np.mean(values))


def equally_good(other: Model, false_alarm: float, training: float, worlds: int = 4_000) -> Model:
    """A model with another rate of false alarms, but the expected weighted F1 of `other`: a null that is no mirror."""
    low, high = -1.0, 1.5
    for _ in range(14):
        middle = (low + high) / 2
        design = Design((other, Model(middle, false_alarm)), 1, training=training)
        generator = np.random.default_rng(7)  # the same worlds for every try
        differences = []
        for _ in range(worlds // 8 if high - low > 0.1 else worlds):
            left, right = make_world(generator, design).runs
            differences.append(weighted_f1(right) - weighted_f1(left))
        low, high = (middle, high) if np.mean(differences) < 0 else (low, middle)
    return Model((low + high) / 2, false_alarm)

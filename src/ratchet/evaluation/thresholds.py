"""Tune thresholds on validation scores and turn scores into decisions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.config import Average, ThresholdConfig, ThresholdMethod
from ratchet.data.dataset import Task
from ratchet.data.known import Known, hide_unknown, list_measured_rows
from ratchet.evaluation.metrics import Binary, compute_averages

_TIE = 1e-12  # sums of F1 values that differ by less are ties


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of a run: a label is positive if its score >= its value. None: the argmax is."""

    method: str
    values: npt.NDArray[np.float64] | None

    def decide(self, scores: npt.NDArray[Any]) -> Binary:
        """Return the decisions on `scores` (num_items, num_labels), 0 or 1 of the same shape."""
        if self.values is not None:
            return (scores >= self.values).astype(np.uint8)
        decisions = np.zeros(scores.shape, dtype=np.uint8)
        decisions[np.arange(len(scores)), scores.argmax(axis=1)] = 1
        return decisions

    def to_json(self, labels: list[str]) -> dict[str, Any]:
        """Return the content of thresholds.json."""
        values = None if self.values is None else dict(zip(labels, self.values.tolist(), strict=True))
        return {"method": self.method, "values": values}

    @classmethod
    def from_json(cls, content: dict[str, Any], labels: list[str]) -> "Thresholds":
        """Read what `to_json` returned."""
        values = content["values"]
        return cls(content["method"], None if values is None else np.array([values[label] for label in labels]))


def choose_thresholds(
    targets: Binary, scores: npt.NDArray[Any], config: ThresholdConfig, task: Task, known: Known | None = None
) -> Thresholds:
    """Choose the thresholds of a run from validation `targets` and `scores` of shape (num_items, num_labels)."""
    targets, num_labels = hide_unknown(targets, known), targets.shape[1]
    if task is Task.multiclass:
        return Thresholds("argmax", None)
    if config.method is ThresholdMethod.fixed:
        return Thresholds("fixed", np.full(num_labels, config.value))
    values = np.full(num_labels, find_best_threshold(targets, scores, config.average, known))
    if config.method is ThresholdMethod.per_label:
        for label in np.flatnonzero(targets.any(axis=0)):  # a label without val positives keeps the global value
            column = None if known is None else known[:, [label]]
            values[label] = find_best_threshold(targets[:, [label]], scores[:, [label]], Average.micro, column)
    return Thresholds(config.method.name, values)


def compute_tuned_f1(
    targets: Binary, scores: npt.NDArray[Any], config: ThresholdConfig, task: Task, known: Known | None = None
) -> float:
    """Return the F1 of these scores at the thresholds chosen on them: the validation metric of an epoch."""
    thresholds = choose_thresholds(targets, scores, config, task, known)
    rows = list_measured_rows(known, len(targets))
    targets, decisions = hide_unknown(targets, known), hide_unknown(thresholds.decide(scores), known)
    return float(compute_averages(targets[rows], decisions[rows])[f"f1_{config.average.name}"])


def find_best_threshold(
    targets: Binary, scores: npt.NDArray[Any], average: Average, known: Known | None = None
) -> float:
    """Return the observed score that maximises F1 as the one threshold of all labels; the highest if several do.

    It is above 0: a model has no evidence for labels with a score of 0, such as a rule that did not fire. If all scores
    are 0, it is 1.
    """
    if known is not None and not known.any():  # no threshold is better than another one
        return float(scores.max()) or 1.0
    candidates, values = compute_f1_by_threshold(targets, scores, average, known)
    candidates, values = candidates[candidates > 0], values[candidates > 0]
    if not candidates.size:
        return 1.0
    return float(candidates[np.flatnonzero(values >= values.max() - _TIE)[0]])


def compute_f1_by_threshold(
    targets: Binary, scores: npt.NDArray[Any], average: Average, known: Known | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return every distinct score of a known cell, in descending order, and the F1 with that score as threshold.

    Each score that becomes positive changes the F1 of one unit only (its label, its item, or all labels together), so
    the curve is a running sum of such changes: one sort instead of one evaluation per candidate threshold.
    """
    # the unit of each cell: its label (weighted, macro), its item (samples) or all cells (micro)
    num_labels = targets.shape[1]
    item, label = np.divmod(np.arange(targets.size), num_labels)
    unit = {Average.micro: np.zeros_like(item), Average.samples: item}.get(average, label)
    target, score = targets.ravel(), scores.ravel().astype(np.float64)
    if known is not None:
        cells = np.flatnonzero(known)
        unit, target, score = unit[cells], target[cells], score[cells]
    actual = np.bincount(unit, weights=target)
    weight = actual if average is Average.weighted else (actual > 0).astype(float)
    if average is Average.samples:
        weight = (np.bincount(unit) > 0).astype(float)  # an item without a known cell has no F1

    # within each unit, by falling score: the F1 after each cell became positive, and the change that it made
    by_unit = np.lexsort((-score, unit))
    first = np.append(True, np.diff(unit[by_unit]) != 0)
    position = np.arange(target.size)
    start = np.maximum.accumulate(np.where(first, position, 0))
    hits = np.cumsum(target[by_unit], dtype=np.float64)
    hits -= np.where(start > 0, hits[start - 1], 0.0)
    value = 2 * hits / np.maximum(position - start + 1 + actual[unit[by_unit]], 1)
    change = np.diff(value, prepend=0.0)
    change[first] = value[first]

    # over all units, by falling score: the weighted sum of the changes so far
    order = np.argsort(-score[by_unit], kind="stable")
    share = weight[unit[by_unit]] / max(weight.sum(), 1.0)
    total = np.cumsum((change * share)[order])
    descending = score[by_unit][order]
    last_of_equals = np.append(np.flatnonzero(np.diff(descending)), target.size - 1)
    return descending[last_of_equals], total[last_of_equals]

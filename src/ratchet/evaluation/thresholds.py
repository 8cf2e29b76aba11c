"""From scores to decisions: thresholds tuned on validation scores alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.config import Average, ThresholdConfig, ThresholdMethod
from ratchet.data.dataset import Task
from ratchet.evaluation.metrics import Binary, averaged

_EQUAL = 1e-12  # sums of F1 values that differ by less are ties


@dataclass(frozen=True)
class Thresholds:
    """How a run decides: positive iff score >= its label's value; `values` is None where the argmax decides."""

    method: str
    values: npt.NDArray[np.float64] | None

    def decide(self, scores: npt.NDArray[Any]) -> Binary:
        """Decisions of shape (num_items, num_labels), 0 or 1."""
        if self.values is not None:
            return (scores >= self.values).astype(np.uint8)
        decisions = np.zeros(scores.shape, dtype=np.uint8)
        decisions[np.arange(len(scores)), scores.argmax(axis=1)] = 1
        return decisions

    def to_json(self, labels: list[str]) -> dict[str, Any]:
        """The content of thresholds.json."""
        values = None if self.values is None else dict(zip(labels, self.values.tolist(), strict=True))
        return {"method": self.method, "values": values}

    @classmethod
    def from_json(cls, content: dict[str, Any], labels: list[str]) -> "Thresholds":
        """What `to_json` wrote."""
        values = content["values"]
        return cls(content["method"], None if values is None else np.array([values[label] for label in labels]))


def choose_thresholds(targets: Binary, scores: npt.NDArray[Any], config: ThresholdConfig, task: Task) -> Thresholds:
    """The thresholds of a run, from validation `targets` and `scores` of shape (num_items, num_labels)."""
    num_labels = targets.shape[1]
    if task is Task.multiclass:
        return Thresholds("argmax", None)
    if config.method is ThresholdMethod.fixed:
        return Thresholds("fixed", np.full(num_labels, config.value))
    values = np.full(num_labels, best_threshold(targets, scores, config.average))
    if config.method is ThresholdMethod.per_label:
        for label in np.flatnonzero(targets.any(axis=0)):  # a label without val positives keeps the global value
            values[label] = best_threshold(targets[:, [label]], scores[:, [label]], Average.micro)
    return Thresholds(config.method.name, values)


def f1_once_tuned(targets: Binary, scores: npt.NDArray[Any], config: ThresholdConfig, task: Task) -> float:
    """The F1 that the thresholds chosen on these very scores reach: what an epoch is worth to its run."""
    thresholds = choose_thresholds(targets, scores, config, task)
    return float(averaged(targets, thresholds.decide(scores))[f"f1_{config.average.name}"])


def best_threshold(targets: Binary, scores: npt.NDArray[Any], average: Average) -> float:
    """The observed score that maximises F1 when it is the one threshold of all labels; of equals the highest."""
    candidates, values = f1_by_threshold(targets, scores, average)
    return float(candidates[np.flatnonzero(values >= values.max() - _EQUAL)[0]])


def f1_by_threshold(
    targets: Binary, scores: npt.NDArray[Any], average: Average
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Every distinct score, descending, and the F1 with that score as threshold.

    Each score that becomes positive changes the F1 of one unit only (its label, its item, or the pool), so the
    curve is a running sum of such changes: one sort, instead of one evaluation a candidate.
    """
    num_items, num_labels = targets.shape
    item, label = np.divmod(np.arange(targets.size), num_labels)
    unit = {Average.micro: np.zeros_like(item), Average.samples: item}.get(average, label)
    actual = np.bincount(unit, weights=targets.ravel())
    weight = actual if average is Average.weighted else (actual > 0).astype(float)
    if average is Average.samples:
        weight = np.ones(num_items)

    score = scores.ravel().astype(np.float64)
    by_unit = np.lexsort((-score, unit))
    first = np.append(True, np.diff(unit[by_unit]) != 0)
    position = np.arange(targets.size)
    start = np.maximum.accumulate(np.where(first, position, 0))
    hits = np.cumsum(targets.ravel()[by_unit], dtype=np.float64)
    hits -= np.where(start > 0, hits[start - 1], 0.0)
    value = 2 * hits / np.maximum(position - start + 1 + actual[unit[by_unit]], 1)
    change = np.diff(value, prepend=0.0)
    change[first] = value[first]

    order = np.argsort(-score[by_unit], kind="stable")
    share = weight[unit[by_unit]] / max(weight.sum(), 1.0)
    total = np.cumsum((change * share)[order])
    descending = score[by_unit][order]
    last_of_equals = np.append(np.flatnonzero(np.diff(descending)), targets.size - 1)
    return descending[last_of_equals], total[last_of_equals]

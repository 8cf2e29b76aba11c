"""Tune thresholds on validation scores and turn scores into decisions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.config import Average, ThresholdConfig, ThresholdMethod
from ratchet.data.dataset import Task
from ratchet.data.known import Known, hide_unknown, list_measured_rows
from ratchet.evaluation.metrics import (
    Binary,
    Floats,
    compute_averages,
    iterate_labels,
    rank_label,
    split_rows,
)

_TIE = 1e-12  # sums of F1 values that differ by less are ties
_ROUNDING = 1e-9  # far above the error of such a sum
MAX_SORTED = 20_000_000  # scores that are sorted at once: about 2 GB
_EDGES = 256  # thresholds that divide more scores than that into ranges


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
        for label, target, score, _ in iterate_labels(targets, scores, known):
            if target.any():  # a label without val positives keeps the global value
                values[label] = _find_best_of_label(target, score)
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
    trace = compute_f1_by_threshold if targets.size <= MAX_SORTED else _trace_best_ranges
    candidates, values = trace(targets, scores, average, known)
    candidates, values = candidates[candidates > 0], values[candidates > 0]
    if not candidates.size:
        return 1.0
    return float(candidates[np.flatnonzero(values >= values.max() - _TIE)[0]])


def _find_best_of_label(target: Binary, score: npt.NDArray[Any]) -> float:
    """Return what `find_best_threshold` does for one label with positives: no other score can be the best."""
    if score.max() <= 0:
        return 1.0
    curve = rank_label(target, score)
    values = np.where(curve.scores > 0, 2 * curve.hits / (curve.seen + curve.hits[-1]), 0.0)
    return float(curve.scores[np.flatnonzero(values >= values.max() - _TIE)[0]] if values.any() else score.max())


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

    units = _Units(actual.astype(np.float64), weight / max(weight.sum(), 1.0))
    return _trace_f1(unit, target, score, units, np.zeros(len(actual)), np.zeros(len(actual)))


@dataclass(frozen=True)
class _Units:
    """The units whose F1 values are averaged: their positives, and their shares of the average."""

    actual: Floats
    share: Floats

    def measure(self, hits: Floats, seen: Floats) -> Floats:
        """Return the F1 of each unit that has so many hits among so many cells that count as positive."""
        value: Floats = 2 * hits / np.maximum(seen + self.actual, 1)
        return value


def _trace_f1(
    unit: npt.NDArray[np.intp],
    target: Binary,
    score: Floats,
    units: _Units,
    hits_above: Floats,
    seen_above: Floats,
) -> tuple[Floats, Floats]:
    """Return the distinct scores of these cells, in descending order, and the average F1 with each as threshold.

    `hits_above` and `seen_above` count by unit the cells with higher scores.
    """
    # within each unit, by falling score: the F1 after each cell became positive, and the change that it made
    by_unit = np.lexsort((-score, unit))
    first = np.append(True, np.diff(unit[by_unit]) != 0)
    position = np.arange(target.size)
    start = np.maximum.accumulate(np.where(first, position, 0))
    hits = np.cumsum(target[by_unit], dtype=np.float64)
    hits -= np.where(start > 0, hits[start - 1], 0.0)
    hits += hits_above[unit[by_unit]]
    value = 2 * hits / np.maximum(position - start + 1 + seen_above[unit[by_unit]] + units.actual[unit[by_unit]], 1)
    change = np.diff(value, prepend=0.0)
    before = units.measure(hits_above, seen_above)
    change[first] = value[first] - before[unit[by_unit][first]]

    # over all units, by falling score: the weighted sum of the changes so far
    order = np.argsort(-score[by_unit], kind="stable")
    total = np.cumsum((change * units.share[unit[by_unit]])[order]) + (before * units.share).sum()
    descending = score[by_unit][order]
    last_of_equals = np.append(np.flatnonzero(np.diff(descending)), target.size - 1)
    return descending[last_of_equals], total[last_of_equals]


# --- more scores than can be sorted at once ---------------------------------------------------------------------------


def _trace_best_ranges(
    targets: Binary, scores: npt.NDArray[Any], average: Average, known: Known | None
) -> tuple[Floats, Floats]:
    """Return what `compute_f1_by_threshold` does, without scores that cannot be the best threshold.

    A grid of observed scores divides all scores into ranges. Within a range, no unit has more hits than at its lower
    end, nor fewer cells that count as positive than at its upper end: an upper bound of the F1. Ranges whose bound is
    below the best F1 on the grid are skipped, the others are sorted.
    """
    targets = hide_unknown(targets, known)
    edges = _choose_edges(targets, scores, known)
    hits, seen = count_above(targets, scores, average, known, edges)
    weight = hits[0] if average is Average.weighted else (hits[0] > 0).astype(float)
    if average in (Average.samples, Average.micro):
        weight = (seen[0] > 0).astype(float)
    units = _Units(hits[0], weight / max(weight.sum(), 1.0))
    values = np.array([(units.measure(*at) * units.share).sum() for at in zip(hits, seen, strict=True)])
    bounds = np.array(
        [
            (units.measure(hits[low], np.maximum(seen[low + 1], hits[low])) * units.share).sum()
            for low in range(len(edges) - 1)
        ]
    )
    kept = np.flatnonzero(bounds >= values[edges > 0].max(initial=0.0) - _ROUNDING)
    parts = [(edges[-1:].astype(np.float64), values[-1:])]  # the highest score: nothing is above it
    for low in kept[::-1]:
        cells = _select_range(targets, scores, average, known, edges[low], edges[low + 1])
        if len(cells[0]):
            parts.append(_trace_f1(*cells, units, hits[low + 1], seen[low + 1]))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _choose_edges(targets: Binary, scores: npt.NDArray[Any], known: Known | None) -> npt.NDArray[Any]:
    """Return distinct observed scores in ascending order, from the lowest to the highest.

    They are quantiles of all scores, and of those of positives, where the best threshold is.
    """
    sample = scores[:: -(-scores.size // MAX_SORTED)]
    seen = sample if known is None else sample[known[:: -(-scores.size // MAX_SORTED)]]
    ends = [[part.min(), part.max()] for part in _iterate_known(scores, known) if part.size]
    positive = scores[targets > 0]
    quantiles = np.linspace(0, 1, _EDGES)
    chosen = [np.quantile(part, quantiles, method="nearest") for part in (seen, positive) if part.size]
    return np.unique(np.concatenate([*chosen, np.ravel(ends)]).astype(scores.dtype))


def _iterate_known(scores: npt.NDArray[Any], known: Known | None) -> Iterator[npt.NDArray[Any]]:
    for rows in split_rows(scores.shape):
        yield scores[rows].ravel() if known is None else scores[rows][known[rows]]


def count_above(
    targets: Binary, scores: npt.NDArray[Any], average: Average, known: Known | None, edges: npt.NDArray[Any]
) -> tuple[Floats, Floats]:
    """Return the positives and the cells whose score is at least each edge, by unit: shape (num_edges, num_units).

    The edges are in ascending order. A unit is a label (weighted, macro), an item (samples), or all cells (micro).
    """
    num_items, num_labels = targets.shape
    num_units = 1 if average is Average.micro else num_items if average is Average.samples else num_labels
    counts = np.zeros((2, len(edges), num_units))
    for rows in split_rows(targets.shape):
        part = slice(None) if known is None else known[rows].ravel()
        item, label = (index[part] for index in np.divmod(np.arange(targets[rows].size), num_labels))
        unit = {Average.micro: np.zeros_like(item), Average.samples: item}.get(average, label)
        width = len(targets[rows]) if average is Average.samples else num_units
        highest = np.searchsorted(edges, scores[rows].ravel()[part], side="right") - 1
        cell, above = highest * width + unit, highest >= 0
        target = targets[rows].ravel()[part] > 0
        for count, chosen in zip(counts, (cell[target & above], cell[above]), strict=True):
            of_units = count[:, rows] if average is Average.samples else count
            of_units += np.bincount(chosen, minlength=len(edges) * width).reshape(len(edges), width)
    hits, seen = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    return hits, seen


def _select_range(
    targets: Binary, scores: npt.NDArray[Any], average: Average, known: Known | None, low: Any, high: Any
) -> tuple[npt.NDArray[np.intp], Binary, Floats]:
    """Return unit, target and score of the known cells with low <= score < high."""
    cells = []
    for rows in split_rows(scores.shape):
        within = (scores[rows] >= low) & (scores[rows] < high)
        cells.append(np.flatnonzero(within if known is None else within & known[rows]) + rows.start * scores.shape[1])
    chosen = np.concatenate(cells)
    item, label = np.divmod(chosen, scores.shape[1])
    unit = {Average.micro: np.zeros_like(item), Average.samples: item}.get(average, label)
    return unit, targets[item, label], scores[item, label].astype(np.float64)

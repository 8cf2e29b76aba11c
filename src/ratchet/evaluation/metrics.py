"""Compute metrics of multi-label decisions and scores, for one weighting of the records or many at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.config import Average

Floats = npt.NDArray[np.float64]
Binary = npt.NDArray[np.uint8]
_CELLS = 4_000_000  # weights held at once


@dataclass(frozen=True)
class Counts:
    """True positives, predicted and actual positives, each of shape (..., num_labels)."""

    true_positives: Floats
    predicted: Floats
    actual: Floats

    @classmethod
    def of(cls, targets: Binary, decisions: Binary, weights: npt.ArrayLike | None = None) -> "Counts":
        """Counts of (num_items, num_labels) arrays, under `weights` of shape (..., num_items)."""
        weight = np.ones(len(targets)) if weights is None else np.asarray(weights, dtype=np.float64)
        both = (targets & decisions).astype(np.float64)
        return cls(weight @ both, weight @ decisions.astype(np.float64), weight @ targets.astype(np.float64))


def _ratio(numerator: Any, denominator: Any) -> Floats:
    numerator, denominator = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    ratio: Floats = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
    return ratio


def precision(counts: Counts) -> Floats:
    """Precision of each label, shape (..., num_labels)."""
    return _ratio(counts.true_positives, counts.predicted)


def recall(counts: Counts) -> Floats:
    """Recall of each label, shape (..., num_labels)."""
    return _ratio(counts.true_positives, counts.actual)


def f1(counts: Counts) -> Floats:
    """F1 of each label, shape (..., num_labels)."""
    return _ratio(2 * counts.true_positives, counts.predicted + counts.actual)


_METRICS = {"precision": precision, "recall": recall, "f1": f1}


def pooled(counts: Counts) -> Counts:
    """The counts of all labels together, as one label: what micro averages are made of."""
    each = (counts.true_positives, counts.predicted, counts.actual)
    return Counts(*(array.sum(axis=-1, keepdims=True) for array in each))


def mean_over_labels(values: Floats, actual: Floats, average: Average) -> Floats:
    """The weighted or macro mean of per-label `values` (..., num_labels), given the labels' support."""
    weights = actual if average is Average.weighted else (actual > 0).astype(np.float64)
    return _ratio((values * weights).sum(axis=-1), weights.sum(axis=-1))


def averaged(targets: Binary, decisions: Binary, weights: npt.ArrayLike | None = None) -> dict[str, Floats]:
    """`precision_weighted`, `recall_macro`, `f1_samples`, ...: every metric under every average."""
    return averages_of(Counts.of(targets, decisions, weights)) | over_samples(targets, decisions, weights)


def averages_of(counts: Counts) -> dict[str, Floats]:
    """The averages that the counts of all labels tell: weighted, macro and micro."""
    together = pooled(counts)
    result = {}
    for name, metric in _METRICS.items():
        by_label = metric(counts)
        result[f"{name}_weighted"] = mean_over_labels(by_label, counts.actual, Average.weighted)
        result[f"{name}_macro"] = mean_over_labels(by_label, counts.actual, Average.macro)
        result[f"{name}_micro"] = metric(together)[..., 0]
    return result


def average_of(counts: Counts, name: str) -> Floats:
    """One of them: `f1_weighted`, `precision_micro`, ..."""
    metric, _, average = name.partition("_")
    if average == Average.micro.name:
        return _METRICS[metric](pooled(counts))[..., 0]
    return mean_over_labels(_METRICS[metric](counts), counts.actual, Average[average])


def over_samples(targets: Binary, decisions: Binary, weights: npt.ArrayLike | None = None) -> dict[str, Floats]:
    """`precision_samples`, `recall_samples`, `f1_samples`: means over records of what each reaches by itself."""
    by_item = item_metrics(targets, decisions)
    return {f"{name}_samples": _mean_over_items(values, weights) for name, values in by_item.items()}


def item_metrics(targets: Binary, decisions: Binary) -> dict[str, Floats]:
    """Precision, recall and F1 of each record by itself, shape (num_items,)."""
    counts = _item_counts(targets, decisions)
    return {name: metric(counts)[:, 0] for name, metric in _METRICS.items()}


def _item_counts(targets: Binary, decisions: Binary) -> Counts:
    """Counts of each item by itself, shape (num_items, 1)."""
    sums = [array.sum(axis=1, keepdims=True, dtype=np.float64) for array in (targets & decisions, decisions, targets)]
    return Counts(*sums)


def _mean_over_items(values: Floats, weights: npt.ArrayLike | None) -> Floats:
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    return _ratio(weight @ values, weight.sum(axis=-1))


def average_precision(targets: Binary, scores: npt.NDArray[Any], weights: npt.ArrayLike | None = None) -> Floats:
    """Average precision of each label, shape (..., num_labels), NaN without support; equal scores count as one step.

    The area under precision over recall without interpolation, as scikit-learn's average_precision_score.
    """
    weight = np.ones(len(targets)) if weights is None else np.asarray(weights, dtype=np.float64)
    columns = [_average_precision(targets[:, j], scores[:, j], weight) for j in range(targets.shape[1])]
    return np.stack(columns, axis=-1) if columns else np.zeros((*weight.shape[:-1], 0))


def _average_precision(target: Binary, score: npt.NDArray[Any], weight: Floats) -> Floats:
    order = np.argsort(-score, kind="stable")
    last_of_step = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    seen = np.cumsum(weight[..., order], axis=-1)[..., last_of_step]
    hits = np.cumsum(weight[..., order] * target[order], axis=-1)[..., last_of_step]
    gained = np.diff(hits, axis=-1, prepend=0.0)
    support = hits[..., -1]
    area = (gained * _ratio(hits, seen)).sum(axis=-1)
    value: Floats = np.divide(area, support, out=np.full_like(area, np.nan), where=support > 0)
    return value


def at_k(targets: Binary, scores: npt.NDArray[Any], k: int) -> tuple[float, float]:
    """Mean precision@k over items and mean recall@k over items that have a label; equal scores: first label first."""
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(targets, top, axis=1).sum(axis=1)
    actual = targets.sum(axis=1)
    precision_at_k = float((hits / min(k, targets.shape[1])).mean())
    with_labels = actual > 0
    recall_at_k = float((hits[with_labels] / actual[with_labels]).mean()) if with_labels.any() else float("nan")
    return precision_at_k, recall_at_k


def resampled_weights(num_items: int, resamples: int, seed: int = 20_210_401) -> Iterator[npt.NDArray[np.float64]]:
    """How often each replicate draws each item, in blocks of shape (block, num_items); equal draws for equal seeds."""
    generator = np.random.default_rng(seed)
    block = max(1, min(resamples, _CELLS // max(num_items, 1)))
    share = np.full(num_items, 1 / num_items)
    for start in range(0, resamples, block):
        yield generator.multinomial(num_items, share, size=min(block, resamples - start)).astype(np.float64)


def intervals(
    targets: Binary, decisions: Binary, ranking: npt.NDArray[Any] | None, resamples: int
) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of every averaged metric, and of macro average precision where there is a ranking.

    Thresholds stay as they are: the intervals cover the draw of test records, not of training or tuning.
    """
    drawn: dict[str, list[npt.NDArray[np.float64]]] = {}
    for weights in resampled_weights(len(targets), resamples):
        values = averaged(targets, decisions, weights)
        if ranking is not None:
            by_label = average_precision(targets, ranking, weights)
            supported = ~np.isnan(by_label)
            total, labels = np.where(supported, by_label, 0).sum(-1), supported.sum(-1)
            values["average_precision_macro"] = np.where(labels > 0, total / np.maximum(labels, 1), np.nan)
        for name, value in values.items():
            drawn.setdefault(name, []).append(value)
    low_high = {name: _quantiles(np.concatenate(values)) for name, values in drawn.items()}
    return {name: (float(low), float(high)) for name, (low, high) in low_high.items()}


def _quantiles(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The ends of the interval, without draws that have nothing to measure."""
    measured = values[~np.isnan(values)]
    ends: npt.NDArray[np.float64] = np.quantile(measured, [0.025, 0.975]) if measured.size else np.full(2, np.nan)
    return ends

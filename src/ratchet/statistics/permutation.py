"""Compute p-values by a paired permutation test, and adjust them for multiple testing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ratchet.evaluation.metrics import Counts, compute_average, compute_item_metrics, f1
from ratchet.statistics.bootstrap import Advance, RunDecisions, slice_f1
from ratchet.statistics.estimates import Floats, mean_without_nan

_BLOCK = 1_000  # resamples computed at once, which bounds memory
_TIE = 1e-9  # sums of F1 values that differ by less count as equal


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted to control the family-wise error rate (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, dtype=np.float64)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else steps
    return [float(value) for value in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted to control the false discovery rate (Benjamini & Hochberg 1995)."""
    from scipy.stats import false_discovery_control

    return [float(value) for value in false_discovery_control(p_values)] if len(p_values) else []


def permutation_p_values(
    left: Sequence[RunDecisions],
    right: Sequence[RunDecisions],
    metric: str,
    num_ids: int,
    resamples: int,
    *,
    seed: int = 20_210_903,
    advance: Advance = lambda steps: None,
) -> dict[str, Floats]:
    """Return the p-values of the differences in `metric`, `labels` and `slices/<name>` by a paired permutation test.

    The null hypothesis is that the two candidates are exchangeable. In each resample the predictions of the two
    candidates for an id are swapped or not, in all repeats at once (an approximate randomization test,
    Yeh 2000): p = (b + 1) / (B + 1), where b of B resamples have a difference that is at least as large.
    """
    pairs = _pair_runs(left, right)
    observed = _average_over_splits(pairs, [_differences(*pair, metric, np.ones((1, num_ids))) for pair in pairs])
    larger = {name: np.zeros(value.shape[1:]) for name, value in observed.items()}
    for swaps in _generate_swaps(num_ids, resamples, seed):
        parts = [_differences(*pair, metric, swaps) for pair in pairs]
        for name, value in _average_over_splits(pairs, parts).items():
            smaller = np.abs(value) < np.abs(observed[name]) - _TIE
            larger[name] += (~smaller).sum(axis=0)  # NaN counts as at least as large
        advance(len(swaps))
    return {name: (count + 1) / (resamples + 1) for name, count in larger.items()}


def _pair_runs(left: Sequence[RunDecisions], right: Sequence[RunDecisions]) -> list[tuple[RunDecisions, RunDecisions]]:
    """Pair the runs of each split: seed by seed if both have equally many, else all combinations."""
    pairs = []
    for split in dict.fromkeys(run.split for run in left):
        ours, theirs = ([run for run in runs if run.split == split] for runs in (left, right))
        equal = len(ours) == len(theirs)
        pairs += list(zip(ours, theirs, strict=True)) if equal else [(a, b) for a in ours for b in theirs]
    return pairs


def _generate_swaps(num_ids: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield blocks of shape (num_swaps, num_ids): 1 keeps an id's predictions, 0 swaps them."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _BLOCK):
        yield generator.integers(0, 2, size=(min(_BLOCK, resamples - start), num_ids)).astype(np.float64)


def _differences(left: RunDecisions, right: RunDecisions, metric: str, keeps: Floats) -> dict[str, Floats]:
    """Return the differences after swapping, of shape (num_swaps,); of labels (num_swaps, num_labels)."""
    keep = keeps[:, left.rows]
    ours, theirs = _count_after_swaps(left, right, keep)
    differences = {}
    if metric.endswith("_samples"):
        name = metric.removesuffix("_samples")
        by_item = [compute_item_metrics(run.targets, run.decisions)[name] for run in (left, right)]
        differences[metric] = (2 * keep - 1) @ (by_item[0] - by_item[1]) / len(left.rows)
    else:
        differences[metric] = compute_average(ours, metric) - compute_average(theirs, metric)
    differences["labels"] = np.where(ours.actual > 0, f1(ours) - f1(theirs), np.nan)
    for name in left.slices.keys() & right.slices.keys():
        rows = left.slices[name]
        ours, theirs = _count_after_swaps(left, right, keep[:, rows], rows)
        differences[f"slices/{name}"] = slice_f1(ours) - slice_f1(theirs)
    return differences


def _count_after_swaps(
    left: RunDecisions, right: RunDecisions, keep: Floats, rows: Any = slice(None)
) -> tuple[Counts, Counts]:
    """Return the counts of both runs after swapping their predictions where `keep` is 0."""
    targets, ours, theirs = (
        array[rows].astype(np.float64) for array in (left.targets, left.decisions, right.decisions)
    )
    actual = targets.sum(axis=0)
    # one matrix product for all swaps: start from all predictions of `right`, add the difference where they are kept
    columns = np.concatenate([targets * (ours - theirs), ours - theirs], axis=1)
    gained = np.split(keep @ columns, 2, axis=1)
    hits, predicted = ((targets * theirs).sum(axis=0) + gained[0], theirs.sum(axis=0) + gained[1])
    # what one side gains the other loses: their sum does not depend on the swaps
    both = (targets * (ours + theirs)).sum(axis=0), (ours + theirs).sum(axis=0)
    return Counts(hits, predicted, actual), Counts(both[0] - hits, both[1] - predicted, actual)


def _average_over_splits(
    pairs: Sequence[tuple[RunDecisions, RunDecisions]], parts: Sequence[Mapping[str, Floats]]
) -> dict[str, Floats]:
    """Average over the pairs of a split, then over splits. Slices that some pair lacks are left out."""
    splits: dict[str, list[int]] = {}
    for index, (left, _) in enumerate(pairs):
        splits.setdefault(left.split, []).append(index)
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {
        name: mean_without_nan(
            np.stack([mean_without_nan(np.stack([parts[row][name] for row in rows]), 0) for rows in splits.values()]), 0
        )
        for name in names
    }

"""Compute p-values by a paired permutation test, and adjust them for multiple testing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ratchet.data.known import Indices
from ratchet.evaluation.metrics import MAX_CELLS, Counts, compute_average, f1, measure_items
from ratchet.statistics.bootstrap import Advance, RunDecisions, map_in_threads, slice_f1
from ratchet.statistics.estimates import Floats, mean_without_nan

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_BLOCK = 1_000  # resamples computed at once; fewer of many records, which bounds memory
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


@dataclass(frozen=True)
class RunPair:
    """The runs of two candidates, and whether their labels and slices are tested, too."""

    left: Sequence[RunDecisions]
    right: Sequence[RunDecisions]
    with_groups: bool = True


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
    (p_values,) = permute_pairs([RunPair(left, right)], metric, num_ids, resamples, seed=seed, advance=advance)
    return p_values


def permute_pairs(
    pairs: Sequence[RunPair],
    metric: str,
    num_ids: int,
    resamples: int,
    *,
    seed: int = 20_210_903,
    advance: Advance = lambda steps: None,
) -> list[dict[str, Floats]]:
    """Return what `permutation_p_values` does for each pair. All pairs share the resamples."""
    tests = [_Test.of(pair, metric) for pair in pairs]
    for swaps in _generate_swaps(num_ids, resamples, seed):
        for _ in map_in_threads(partial(_Test.count, keep=swaps), tests):
            advance(swaps.shape[1])
    return [test.compute_p_values(resamples) for test in tests]


@dataclass(frozen=True)
class _Test:
    """The test of one pair: its paired runs, the observed differences, and how many resamples have a larger one.

    `columns` are the labels on which some paired runs decide differently. The others differ in no resample.
    """

    pairs: Sequence["_PairedRuns"]
    metric: str
    columns: Indices
    num_labels: int
    observed: Mapping[str, Floats]
    larger: dict[str, Floats]

    @classmethod
    def of(cls, pair: RunPair, metric: str) -> "_Test":
        runs = _pair_runs(pair.left, pair.right)
        unequal = [(ours.positives.decisions != theirs.positives.decisions).nonzero()[1] for ours, theirs in runs]
        columns = np.unique(np.concatenate(unequal))
        paired = [_PairedRuns.of(ours, theirs, columns, pair.with_groups) for ours, theirs in runs]
        keep_all = np.ones((max(run.rows.max(initial=0) for both in runs for run in both) + 1, 1))
        observed = _average_over_splits(paired, [one.subtract(keep_all, metric) for one in paired])
        larger = {name: np.zeros(value.shape[1:]) for name, value in observed.items()}
        return cls(paired, metric, columns, runs[0][0].positives.targets.shape[1], observed, larger)

    def count(self, keep: Floats) -> None:
        """Count the resamples of this block, shape (num_ids, num_swaps), with a difference at least as large."""
        parts = [pair.subtract(keep, self.metric) for pair in self.pairs]
        for name, value in _average_over_splits(self.pairs, parts).items():
            smaller = np.abs(value) < np.abs(self.observed[name]) - _TIE
            self.larger[name] += (~smaller).sum(axis=0)  # NaN counts as at least as large

    def compute_p_values(self, resamples: int) -> dict[str, Floats]:
        """Return the p-values; 1 for labels without any difference."""
        p_values = {name: (count + 1) / (resamples + 1) for name, count in self.larger.items()}
        if "labels" in p_values:
            of_all = np.ones(self.num_labels)
            of_all[self.columns] = p_values["labels"]
            p_values["labels"] = of_all
        return p_values


def _pair_runs(left: Sequence[RunDecisions], right: Sequence[RunDecisions]) -> list[tuple[RunDecisions, RunDecisions]]:
    """Pair the runs of each split: seed by seed if both have equally many, else all combinations."""
    pairs = []
    for split in dict.fromkeys(run.split for run in left):
        ours, theirs = ([run for run in runs if run.split == split] for runs in (left, right))
        equal = len(ours) == len(theirs)
        pairs += list(zip(ours, theirs, strict=True)) if equal else [(a, b) for a in ours for b in theirs]
    return pairs


def _generate_swaps(num_ids: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield blocks of shape (num_ids, num_swaps): 1 keeps an id's predictions, 0 swaps them."""
    generator = np.random.default_rng(seed)
    block = max(1, min(_BLOCK, MAX_CELLS // max(num_ids, 1)))
    for start in range(0, resamples, block):
        swaps = generator.integers(0, 2, size=(min(block, resamples - start), num_ids))
        yield np.ascontiguousarray(swaps.T, dtype=np.float64)


@dataclass(frozen=True)
class _PairedRuns:
    """Two runs of one split: what swapping changes in their counts, overall and by slice, and in their records."""

    split: str
    rows: Indices
    item_differences: Mapping[str, Floats]
    overall: "_Swapped"
    slices: Mapping[str, "_Swapped"]
    with_labels: bool

    @classmethod
    def of(cls, left: RunDecisions, right: RunDecisions, columns: Indices, with_groups: bool) -> "_PairedRuns":
        by_item = [measure_items(run.positives) for run in (left, right)]
        differences = {name: by_item[0][name] - by_item[1][name] for name in by_item[0]}
        shared = [name for name in left.slices if name in right.slices] if with_groups else []
        slices = {name: _Swapped.of(left, right, columns, left.slices[name]) for name in shared}
        overall = _Swapped.of(left, right, columns, np.arange(len(left.rows)))
        return cls(left.split, left.rows, differences, overall, slices, with_groups)

    def subtract(self, keep: Floats, metric: str) -> dict[str, Floats]:
        """Return the differences after swapping, shape (num_swaps,); of labels (num_swaps, num_columns)."""
        ours, theirs = self.overall.count(keep)
        differences = {}
        if metric.endswith("_samples"):
            gained = self.item_differences[metric.removesuffix("_samples")]
            differences[metric] = gained @ (2 * keep[self.rows] - 1) / len(self.rows)
        else:
            differences[metric] = self.overall.average(ours, metric) - self.overall.average(theirs, metric)
        if self.with_labels:
            differences["labels"] = np.where(ours.actual > 0, f1(ours) - f1(theirs), np.nan)[:, : self.overall.width]
        for name, swapped in self.slices.items():
            ours, theirs = swapped.count(keep)
            differences[f"slices/{name}"] = slice_f1(ours) - slice_f1(theirs)
        return differences


@dataclass(frozen=True)
class _Swapped:
    """The counts of two runs on some records, as a function of the records whose predictions are swapped.

    `gained` holds, for each record that differs, what `left` has more of hits and of predicted labels. `base` are the
    counts of `right`, `total` those of both. Their last column sums all labels on which no pair differs: as one label
    more, whose F1 is the same for both. `num_supported` is the number of labels with support.
    """

    rows: Indices
    gained: "csr_array"
    base: Counts
    total: Counts
    width: int
    num_supported: int

    @classmethod
    def of(cls, left: RunDecisions, right: RunDecisions, columns: Indices, members: Indices) -> "_Swapped":
        from scipy.sparse import hstack

        ours, theirs = left.positives.select(members), right.positives.select(members)
        hits, predicted = ours.both - theirs.both, ours.decisions - theirs.decisions
        gained = hstack([hits[:, columns], predicted[:, columns]], format="csr")
        different = np.flatnonzero(np.diff(gained.indptr))
        counts = [_merge_equal_columns(positives.count(), columns) for positives in (ours, theirs)]
        total = Counts(
            counts[0].true_positives + counts[1].true_positives,
            counts[0].predicted + counts[1].predicted,
            counts[1].actual,
        )
        supported = int((ours.count().actual > 0).sum())
        return cls(left.rows[members][different], gained[different], counts[1], total, len(columns), supported)

    def count(self, keep: Floats) -> tuple[Counts, Counts]:
        """Return the counts of both runs after swapping, shape (num_swaps, num_columns + 1)."""
        gained = np.zeros((2, self.width + 1, keep.shape[1]))
        gained[:, :-1] = (self.gained.T @ keep[self.rows]).reshape(2, self.width, keep.shape[1])
        hits = self.base.true_positives + gained[0].T
        predicted = self.base.predicted + gained[1].T
        # what one side gains the other loses: their sum does not depend on the swaps
        other = Counts(self.total.true_positives - hits, self.total.predicted - predicted, self.base.actual)
        return Counts(hits, predicted, self.base.actual), other

    def average(self, counts: Counts, metric: str) -> Floats:
        """Return an average over labels, except for a term that both runs have."""
        value = compute_average(counts, metric)
        if not metric.endswith("_macro"):
            return value
        merged = int((counts.actual > 0).sum())  # labels without a difference count one by one in a macro average
        return value * (merged / max(self.num_supported, 1))


def _merge_equal_columns(counts: Counts, columns: Indices) -> Counts:
    """Return the counts of these labels, and the sums over all others as one more."""
    arrays = (counts.true_positives, counts.predicted, counts.actual)
    return Counts(*(np.append(array[columns], np.delete(array, columns).sum()) for array in arrays))


def _average_over_splits(pairs: Sequence[_PairedRuns], parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Average over the pairs of a split, then over splits. Slices that some pair lacks are left out."""
    splits: dict[str, list[int]] = {}
    for index, pair in enumerate(pairs):
        splits.setdefault(pair.split, []).append(index)
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {
        name: mean_without_nan(
            np.stack([mean_without_nan(np.stack([parts[row][name] for row in rows]), 0) for rows in splits.values()]), 0
        )
        for name in names
    }

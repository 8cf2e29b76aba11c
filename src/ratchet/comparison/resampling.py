"""Every figure of every run, for the records as they are and for many other draws of them; and the swap test."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.comparison.estimates import Drawn, Floats, mean_of
from ratchet.evaluation.bootstrap import resampled_weights
from ratchet.evaluation.metrics import Binary, Counts, average_of, averaged, f1, item_metrics

Advance = Callable[[int], None]
_BLOCK = 1_000  # swaps drawn at once
SLICE_METRIC = "f1_weighted"
_TIE = 1e-9  # sums of F1 values that differ by less are equal


@dataclass(frozen=True)
class JudgedRun:
    """What one run decided on its part: `rows` are the records' places among all ids, slices are places in `rows`."""

    split: str
    rows: npt.NDArray[np.intp]
    targets: Binary
    decisions: Binary
    slices: Mapping[str, npt.NDArray[np.intp]]


def redraw(
    candidates: Sequence[Sequence[JudgedRun]],
    num_ids: int,
    resamples: int,
    *,
    seed: int = 20_210_401,
    advance: Advance = lambda steps: None,
) -> list[dict[str, Drawn]]:
    """Of each candidate: `f1_weighted` and all other averages, `labels` (F1 of each), `slices/<name>` (weighted F1).

    Each draw takes record ids once, for all candidates and all repeats. Thresholds stay as they were tuned on val.
    """
    drawn: list[list[list[dict[str, Floats]]]] = [[[] for _ in runs] for runs in candidates]
    for weights in resampled_weights(num_ids, resamples, seed):
        for runs, blocks in zip(candidates, drawn, strict=True):
            for run, block in zip(runs, blocks, strict=True):
                block.append(_figures(run, weights))
                advance(len(weights))
    return [_by_figure(runs, blocks) for runs, blocks in zip(candidates, drawn, strict=True)]


def _figures(run: JudgedRun, weights: Floats | None = None) -> dict[str, Floats]:
    weight = np.ones(len(run.rows)) if weights is None else weights[:, run.rows]
    counts = Counts.of(run.targets, run.decisions, weight)
    found = averaged(run.targets, run.decisions, weight)
    found["labels"] = np.where(counts.actual > 0, f1(counts), np.nan)
    for name, places in run.slices.items():
        found[f"slices/{name}"] = _slice(Counts.of(run.targets[places], run.decisions[places], weight[..., places]))
    return found


def _slice(counts: Counts) -> Floats:
    """A slice's figure; NaN without a true label in it."""
    return np.where(counts.actual.sum(axis=-1) > 0, average_of(counts, SLICE_METRIC), np.nan)


def _by_figure(runs: Sequence[JudgedRun], blocks: Sequence[Sequence[dict[str, Floats]]]) -> dict[str, Drawn]:
    """From figures by run to runs by figure; a slice that is not in every run is left out."""
    splits = tuple(run.split for run in runs)
    values = [_figures(run) for run in runs]
    names = [name for name in values[0] if all(name in each for each in values)]
    return {
        name: Drawn(
            np.stack([each[name] for each in values]),
            np.stack([np.concatenate([block[name] for block in run_blocks]) for run_blocks in blocks], axis=1),
            splits,
        )
        for name in names
    }


def swap_p_values(
    left: Sequence[JudgedRun],
    right: Sequence[JudgedRun],
    metric: str,
    num_ids: int,
    resamples: int,
    *,
    seed: int = 20_210_903,
    advance: Advance = lambda steps: None,
) -> dict[str, Floats]:
    """p-values of the differences in `metric`, `labels` and `slices/<name>` if it did not matter who predicted what.

    For each id the two candidates' predictions are swapped or not, in all repeats at once (an approximate
    randomization test, Yeh 2000): p = (b + 1) / (B + 1), with b the swaps whose difference is at least as large.
    """
    pairs = _pairs(left, right)
    observed = _mean_over_splits(pairs, [_differences(*pair, metric, np.ones((1, num_ids))) for pair in pairs])
    larger = {name: np.zeros(value.shape[1:]) for name, value in observed.items()}
    for swaps in _swaps(num_ids, resamples, seed):
        parts = [_differences(*pair, metric, swaps) for pair in pairs]
        for name, value in _mean_over_splits(pairs, parts).items():
            larger[name] += (~(np.abs(value) < np.abs(observed[name]) - _TIE)).sum(axis=0)  # what cannot be told counts
        advance(len(swaps))
    return {name: (count + 1) / (resamples + 1) for name, count in larger.items()}


def _pairs(left: Sequence[JudgedRun], right: Sequence[JudgedRun]) -> list[tuple[JudgedRun, JudgedRun]]:
    """Runs of the same split: seed by seed where both have as many, else each with each."""
    pairs = []
    for split in dict.fromkeys(run.split for run in left):
        ours, theirs = ([run for run in runs if run.split == split] for runs in (left, right))
        equal = len(ours) == len(theirs)
        pairs += list(zip(ours, theirs, strict=True)) if equal else [(a, b) for a in ours for b in theirs]
    return pairs


def _swaps(num_ids: int, resamples: int, seed: int) -> Iterator[Floats]:
    """1 where an id keeps its predictions, 0 where they are swapped; the same draws for the same seed."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _BLOCK):
        yield generator.integers(0, 2, size=(min(_BLOCK, resamples - start), num_ids)).astype(np.float64)


def _differences(left: JudgedRun, right: JudgedRun, metric: str, keeps: Floats) -> dict[str, Floats]:
    """Of the two runs once predictions were swapped; shapes (num_swaps,) and, for labels, (num_swaps, num_labels)."""
    keep = keeps[:, left.rows]
    ours, theirs = _mixed(left, right, keep)
    found = {}
    if metric.endswith("_samples"):
        name = metric.removesuffix("_samples")
        by_item = [item_metrics(run.targets, run.decisions)[name] for run in (left, right)]
        found[metric] = (2 * keep - 1) @ (by_item[0] - by_item[1]) / len(left.rows)
    else:
        found[metric] = average_of(ours, metric) - average_of(theirs, metric)
    found["labels"] = np.where(ours.actual > 0, f1(ours) - f1(theirs), np.nan)
    for name in left.slices.keys() & right.slices.keys():
        places = left.slices[name]
        ours, theirs = _mixed(left, right, keep[:, places], places)
        found[f"slices/{name}"] = _slice(ours) - _slice(theirs)
    return found


def _mixed(left: JudgedRun, right: JudgedRun, keep: Floats, places: Any = slice(None)) -> tuple[Counts, Counts]:
    """The counts of the two runs when they have each other's predictions where `keep` is 0."""
    targets, ours, theirs = (
        array[places].astype(np.float64) for array in (left.targets, left.decisions, right.decisions)
    )
    actual = targets.sum(axis=0)
    columns = np.concatenate([targets * (ours - theirs), ours - theirs], axis=1)
    gained = np.split(keep @ columns, 2, axis=1)
    hits, predicted = ((targets * theirs).sum(axis=0) + gained[0], theirs.sum(axis=0) + gained[1])
    both = (targets * (ours + theirs)).sum(axis=0), (ours + theirs).sum(axis=0)
    return Counts(hits, predicted, actual), Counts(both[0] - hits, both[1] - predicted, actual)


def _mean_over_splits(
    pairs: Sequence[tuple[JudgedRun, JudgedRun]], parts: Sequence[Mapping[str, Floats]]
) -> dict[str, Floats]:
    """Over the pairs of a split, then over splits; a slice that is not in every pair is left out."""
    splits: dict[str, list[int]] = {}
    for index, (left, _) in enumerate(pairs):
        splits.setdefault(left.split, []).append(index)
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {
        name: mean_of(
            np.stack([mean_of(np.stack([parts[row][name] for row in rows]), 0) for rows in splits.values()]), 0
        )
        for name in names
    }

"""Compute every metric of every run for bootstrap samples of the records."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ratchet.evaluation import metrics
from ratchet.evaluation.metrics import (
    Binary,
    Counts,
    Positives,
    average_positives,
    compute_average,
    f1,
    generate_bootstrap_weights,
)
from ratchet.machine import available_cores
from ratchet.statistics.estimates import Floats, ResampledMetric

Item = TypeVar("Item")
Result = TypeVar("Result")
Advance = Callable[[int], None]  # reports how many more steps are done, to a progress bar
SLICE_METRIC = "f1_weighted"
MAX_WEIGHTS = 200_000_000  # records x resamples that are kept, one byte each
ENOUGH_RESAMPLES = 1_000  # give a standard error within 5 %, at 95 % confidence


@dataclass(frozen=True)
class RunDecisions:
    """The true labels and the decisions of one run on its part. Unknown targets are in neither.

    `rows` are the indices of its records among the ids of all runs; `slices` holds indices into `rows` by name.
    """

    split: str
    rows: npt.NDArray[np.intp]
    positives: Positives
    slices: Mapping[str, npt.NDArray[np.intp]]

    @classmethod
    def of(
        cls,
        split: str,
        rows: npt.NDArray[np.intp],
        targets: Binary,
        decisions: Binary,
        slices: Mapping[str, npt.NDArray[np.intp]],
    ) -> "RunDecisions":
        """Return the run with `targets` and `decisions` of shape (num_records, num_labels), 0 at unknown targets."""
        return cls(split, rows, Positives.of(targets, decisions), slices)

    @property
    def targets(self) -> Binary:
        """Return the true labels as a dense array, shape (num_records, num_labels)."""
        targets: Binary = self.positives.targets.toarray().astype(np.uint8)
        return targets

    @property
    def decisions(self) -> Binary:
        """Return the decisions as a dense array, shape (num_records, num_labels)."""
        decisions: Binary = self.positives.decisions.toarray().astype(np.uint8)
        return decisions


@dataclass(frozen=True)
class BootstrapSamples:
    """How often each record id is in each bootstrap sample, shape (num_resamples, num_ids).

    A count has one byte: that a record is drawn 256 times in as many draws as there are records does not happen.
    """

    counts: npt.NDArray[np.uint8]

    @classmethod
    def draw(cls, num_ids: int, resamples: int, seed: int) -> "BootstrapSamples":
        """Draw the samples, fewer than `resamples` if the records are so many that they would not fit in memory."""
        resamples = limit_resamples(num_ids, resamples)
        counts = np.empty((resamples, num_ids), dtype=np.uint8)
        filled = 0
        for weights in generate_bootstrap_weights(num_ids, resamples, seed):
            counts[filled : filled + len(weights)] = weights
            filled += len(weights)
        return cls(counts)

    def iterate_blocks(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the counts in the blocks of `generate_bootstrap_weights`."""
        step = max(1, metrics.MAX_CELLS // max(self.counts.shape[1], 1))
        for start in range(0, len(self.counts), step):
            yield self.counts[start : start + step]


def limit_resamples(num_ids: int, resamples: int) -> int:
    """Return how many of `resamples` bootstrap samples of so many ids are drawn: all, or as many as are enough."""
    return min(resamples, max(ENOUGH_RESAMPLES, MAX_WEIGHTS // max(num_ids, 1)))


class CandidateMetrics(Mapping[str, ResampledMetric]):
    """The resampled metrics of one candidate: all averages (`f1_weighted`, ...), `labels` and `slices/<name>`.

    The averages are kept. `labels` (F1 of each) and slices (weighted F1) are computed when they are asked for: kept for
    every run, they would take far more memory than all else. Slices that some run lacks are left out.
    """

    def __init__(
        self, averages: Mapping[str, ResampledMetric], runs: Sequence[RunDecisions], samples: BootstrapSamples
    ) -> None:
        """Keep the averages, and what the other metrics are computed from."""
        self._averages, self._runs, self._samples = averages, runs, samples
        shared = [name for name in runs[0].slices if all(name in run.slices for run in runs)]
        self._groups = ["labels", *(f"slices/{name}" for name in shared)]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the metrics."""
        return iter([*self._averages, *self._groups])

    def __len__(self) -> int:
        """Return the number of metrics."""
        return len(self._averages) + len(self._groups)

    def __contains__(self, name: object) -> bool:
        """Return whether there is a metric of this name, without computing it."""
        return name in self._averages or name in self._groups

    def __getitem__(self, name: str) -> ResampledMetric:
        """Return a metric."""
        if name in self._averages:
            return self._averages[name]
        if name == "labels":
            return self.measure_labels()
        if name not in self._groups:
            raise KeyError(name)
        members = [run.slices[name.removeprefix("slices/")] for run in self._runs]
        parts = [run.positives.select(rows) for run, rows in zip(self._runs, members, strict=True)]
        ids = [run.rows[rows] for run, rows in zip(self._runs, members, strict=True)]
        return self._measure(parts, ids, slice_f1)

    def measure_labels(self, columns: Any = slice(None)) -> ResampledMetric:
        """Return the F1 of the labels with these indices; NaN for a label that no record of a sample has."""
        parts = [run.positives.select((slice(None), columns)) for run in self._runs]
        return self._measure(parts, [run.rows for run in self._runs], _label_f1)

    def _measure(
        self,
        parts: Sequence[Positives],
        ids: Sequence[npt.NDArray[np.intp]],
        measure: Callable[[Counts], Floats],
    ) -> ResampledMetric:
        values = np.stack([measure(part.count()) for part in parts])
        resampled = np.empty((len(self._samples.counts), *values.shape))
        filled = 0
        for block in self._samples.iterate_blocks():
            for run, (part, rows) in enumerate(zip(parts, ids, strict=True)):
                # selected as bytes, which takes less time than from weights
                resampled[filled : filled + len(block), run] = measure(part.count(block[:, rows].astype(np.float64)))
            filled += len(block)
        return ResampledMetric(values, resampled, tuple(run.split for run in self._runs))


def bootstrap_metrics(
    candidates: Sequence[Sequence[RunDecisions]],
    num_ids: int,
    resamples: int,
    *,
    seed: int = 20_210_401,
    advance: Advance = lambda steps: None,
) -> list[CandidateMetrics]:
    """Return the metrics of each candidate, on `limit_resamples` bootstrap samples.

    All candidates and repeats share each bootstrap sample of record ids, so that differences are paired. Thresholds
    stay as they were tuned on val.
    """
    samples = BootstrapSamples.draw(num_ids, resamples, seed)
    runs = [run for of_candidate in candidates for run in of_candidate]
    blocks_of: list[list[dict[str, Floats]]] = [[] for _ in runs]
    for block in samples.iterate_blocks():
        weights = block.astype(np.float64)
        distinct = {id(run.rows): run.rows for run in runs}  # runs of a split share their rows
        of_rows = {key: weights[:, rows] for key, rows in distinct.items()}
        measured = map_in_threads(partial(_average_run, of_rows=of_rows), runs)
        for blocks, averages in zip(blocks_of, measured, strict=True):
            blocks.append(averages)
            advance(len(weights))
    advance(len(runs) * (resamples - len(samples.counts)))
    remaining = iter(blocks_of)
    return [
        CandidateMetrics(_group_by_metric(of_candidate, [next(remaining) for _ in of_candidate]), of_candidate, samples)
        for of_candidate in candidates
    ]


def _average_run(run: RunDecisions, of_rows: Mapping[int, Floats]) -> dict[str, Floats]:
    return average_positives(run.positives, of_rows[id(run.rows)])


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield the function of each item, in order. numpy computes outside of Python's lock, so that threads share it."""
    with ThreadPoolExecutor(available_cores()) as pool:
        yield from pool.map(function, items)


def slice_f1(counts: Counts) -> Floats:
    """Return the weighted F1 of a slice; NaN if the slice has no true label."""
    return np.where(counts.actual.sum(axis=-1) > 0, compute_average(counts, SLICE_METRIC), np.nan)


def _label_f1(counts: Counts) -> Floats:
    return np.where(counts.actual > 0, f1(counts), np.nan)


def _group_by_metric(
    runs: Sequence[RunDecisions], blocks: Sequence[Sequence[dict[str, Floats]]]
) -> dict[str, ResampledMetric]:
    """Regroup averages by run into runs by average."""
    splits = tuple(run.split for run in runs)
    averages = [average_positives(run.positives, np.ones(len(run.rows))) for run in runs]
    return {
        name: ResampledMetric(
            np.stack([of_run[name] for of_run in averages]),
            np.stack([np.concatenate([block[name] for block in run_blocks]) for run_blocks in blocks], axis=1),
            splits,
        )
        for name in averages[0]
    }

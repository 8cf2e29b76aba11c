"""Compute every metric of every run for bootstrap samples of the records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.metrics import Binary, Counts, compute_average, compute_averages, f1, generate_bootstrap_weights
from ratchet.statistics.estimates import Floats, ResampledMetric

Advance = Callable[[int], None]  # reports how many more steps are done, to a progress bar
SLICE_METRIC = "f1_weighted"


@dataclass(frozen=True)
class RunDecisions:
    """The true labels and the decisions of one run on its part, both of shape (num_records, num_labels).

    Both are 0 at unknown targets, which then count in no metric.

    `rows` are the indices of its records among the ids of all runs; `slices` holds indices into `rows` by name.
    """

    split: str
    rows: npt.NDArray[np.intp]
    targets: Binary
    decisions: Binary
    slices: Mapping[str, npt.NDArray[np.intp]]


def bootstrap_metrics(
    candidates: Sequence[Sequence[RunDecisions]],
    num_ids: int,
    resamples: int,
    *,
    seed: int = 20_210_401,
    advance: Advance = lambda steps: None,
) -> list[dict[str, ResampledMetric]]:
    """Return by candidate all averages (`f1_weighted`, ...), `labels` (F1 of each) and `slices/<name>` (weighted F1).

    All candidates and repeats share each bootstrap sample of record ids, so that differences are paired. Thresholds
    stay as they were tuned on val.
    """
    blocks_of: list[list[list[dict[str, Floats]]]] = [[[] for _ in runs] for runs in candidates]
    for weights in generate_bootstrap_weights(num_ids, resamples, seed):
        for runs, run_blocks in zip(candidates, blocks_of, strict=True):
            for run, blocks in zip(runs, run_blocks, strict=True):
                blocks.append(_compute_metrics(run, weights))
                advance(len(weights))
    return [_group_by_metric(runs, run_blocks) for runs, run_blocks in zip(candidates, blocks_of, strict=True)]


def _compute_metrics(run: RunDecisions, weights: Floats | None = None) -> dict[str, Floats]:
    """Return the metrics of a run, one value for each row of `weights` (num_resamples, num_ids)."""
    weight = np.ones(len(run.rows)) if weights is None else weights[:, run.rows]
    counts = Counts.of(run.targets, run.decisions, weight)
    metrics = compute_averages(run.targets, run.decisions, weight)
    metrics["labels"] = np.where(counts.actual > 0, f1(counts), np.nan)
    for name, rows in run.slices.items():
        metrics[f"slices/{name}"] = slice_f1(Counts.of(run.targets[rows], run.decisions[rows], weight[..., rows]))
    return metrics


def slice_f1(counts: Counts) -> Floats:
    """Return the weighted F1 of a slice; NaN if the slice has no true label."""
    return np.where(counts.actual.sum(axis=-1) > 0, compute_average(counts, SLICE_METRIC), np.nan)


def _group_by_metric(
    runs: Sequence[RunDecisions], blocks: Sequence[Sequence[dict[str, Floats]]]
) -> dict[str, ResampledMetric]:
    """Regroup metrics by run into runs by metric. Slices that some run lacks are left out."""
    splits = tuple(run.split for run in runs)
    metrics = [_compute_metrics(run) for run in runs]
    names = [name for name in metrics[0] if all(name in of_run for of_run in metrics)]
    return {
        name: ResampledMetric(
            np.stack([of_run[name] for of_run in metrics]),
            np.stack([np.concatenate([block[name] for block in run_blocks]) for run_blocks in blocks], axis=1),
            splits,
        )
        for name in names
    }

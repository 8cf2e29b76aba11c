"""Compute every metric of every run for bootstrap samples of the records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.metrics import Binary, Counts, average_of, averaged, f1, resampled_weights
from ratchet.statistics.estimates import Drawn, Floats

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
    """Return by candidate all averages (`f1_weighted`, ...), `labels` (F1 of each) and `slices/<name>` (weighted F1).

    All candidates and repeats share each bootstrap sample of record ids, so that differences are paired. Thresholds
    stay as they were tuned on val.
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
    """Return a slice's metric; NaN if the slice has no true label."""
    return np.where(counts.actual.sum(axis=-1) > 0, average_of(counts, SLICE_METRIC), np.nan)


def _by_figure(runs: Sequence[JudgedRun], blocks: Sequence[Sequence[dict[str, Floats]]]) -> dict[str, Drawn]:
    """Regroup metrics by run into runs by metric. Slices that some run lacks are left out."""
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

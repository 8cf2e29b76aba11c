"""Item bootstrap: how far a figure of this part would move with other records of the same kind."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.metrics import Binary, average_precision, averaged

_CELLS = 4_000_000  # weights held at once


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

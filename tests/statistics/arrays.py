"""Build runs and metrics as arrays, without training or run directories."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.metrics import Binary
from ratchet.statistics.bootstrap import RunDecisions
from ratchet.statistics.estimates import ResampledMetric

IDS = 8  # records of the overlapping candidates
SLICES = {"short": [0, 2, 3], "long": [1, 4, 5]}


def certain(values: Sequence[float] | npt.NDArray[np.float64], splits: Sequence[str] | None = None) -> ResampledMetric:
    """Return a metric without sampling error: every bootstrap sample equals the values; one split per value."""
    array = np.asarray(values, dtype=np.float64)
    names = splits or [f"split {row}" for row in range(len(array))]
    return ResampledMetric(array, np.repeat(array[None], 8, axis=0), tuple(names))


def truth(items: int, labels: int = 4, *, seed: int = 0) -> Binary:
    """Return targets in which every label has support."""
    targets = (np.random.default_rng(seed).random((items, labels)) < 0.35).astype(np.uint8)
    targets[:labels] |= np.eye(labels, dtype=np.uint8)
    return targets


def judged(
    targets: Binary,
    wrong: float | Binary = 0.2,
    *,
    seed: int = 1,
    split: str = "a",
    rows: Sequence[int] | npt.NDArray[np.intp] | None = None,
    slices: Mapping[str, Sequence[int]] | None = None,
) -> RunDecisions:
    """Return a run on `rows`; `wrong` is the share of wrong decisions, or a mask of them."""
    selected = np.arange(len(targets)) if rows is None else np.asarray(rows)
    if isinstance(wrong, float):
        wrong = (np.random.default_rng(seed).random(targets.shape) < wrong).astype(np.uint8)
    return RunDecisions.of(
        split,
        selected,
        targets[selected],
        (targets ^ wrong)[selected],
        {name: np.array(positions, dtype=np.intp) for name, positions in (slices or {}).items()},
    )


def overlapping() -> tuple[list[RunDecisions], list[RunDecisions]]:
    """Return two candidates on two test sets with four common records; on the second, two seeds against one."""
    targets = truth(IDS, 3)
    first, second = [0, 1, 2, 3, 4, 5], [7, 5, 6, 4, 3, 2]
    left = [judged(targets, 0.15, seed=5, rows=first, slices=SLICES)]
    left += [judged(targets, 0.1, seed=seed, rows=second, split="b", slices=SLICES) for seed in (6, 7)]
    right = [judged(targets, 0.4, seed=8, rows=first, slices=SLICES)]
    right += [judged(targets, 0.3, seed=9, rows=second, split="b", slices=SLICES)]
    return left, right

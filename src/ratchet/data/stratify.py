"""Sample a part of the records whose labels have the same proportions as in all of them."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ratchet.data.dataset import Task

Indices = npt.NDArray[np.int64]
Targets = npt.NDArray[np.uint8]


def sample_stratified(task: Task, targets: Targets, size: int, seed: int) -> Indices:
    """Return the sorted positions of about `size` of the rows of `targets` (num_units, num_labels).

    Multi-label rows are divided by iterative stratification, others are stratified by class.

    Raises:
        ValueError: a class is too rare to be stratified.
    """
    if task is Task.multiclass:
        from sklearn.model_selection import StratifiedShuffleSplit

        classes = targets.argmax(axis=1)
        splitter = StratifiedShuffleSplit(n_splits=1, test_size=size, random_state=seed)
        return np.sort(next(splitter.split(classes, classes))[1])
    if targets.shape[1] == 1:  # a second label for "does not have the label", so that both are stratified
        targets = np.hstack([targets, 1 - targets])
    random = np.random.RandomState(seed)
    order = np.arange(len(targets))
    random.shuffle(order)
    shares = np.array([len(targets) - size, size]) / len(targets)
    sampled = _divide_iteratively(targets[order].astype(bool), shares, random)
    return np.sort(order[sampled])


def _divide_iteratively(
    labels: npt.NDArray[np.bool_], shares: npt.NDArray[np.float64], random: np.random.RandomState
) -> npt.NDArray[np.bool_]:
    """Return which rows belong to the second of two parts, by iterative stratification (Sechidis et al. 2011).

    The rarest label that is left is divided first. Each row goes to the part that wants most rows of that label, then
    to that which wants most rows, then to a random one. The result is that of the package iterative-stratification,
    in a tenth of the time: plain numbers instead of arrays of two.
    """
    wanted = (shares * len(labels)).tolist()
    wanted_of = np.outer(shares, labels.sum(axis=0)).tolist()
    row_of, column = np.nonzero(labels)
    starts = np.searchsorted(row_of, np.arange(len(labels) + 1)).tolist()
    columns = column.tolist()
    left = labels.sum(axis=0)
    pending = np.ones(len(labels), dtype=bool)
    is_second = np.zeros(len(labels), dtype=bool)
    while left.any():
        rarest = np.flatnonzero(left == left[left > 0].min())
        label = int(rarest[random.choice(len(rarest))]) if len(rarest) > 1 else int(rarest[0])
        rows = np.flatnonzero(labels[:, label] & pending)
        for row in rows.tolist():
            part = _choose_part(wanted_of[0][label], wanted_of[1][label], wanted, random)
            for other in columns[starts[row] : starts[row + 1]]:
                wanted_of[part][other] -= 1
            wanted[part] -= 1
            is_second[row] = part == 1
        left = left - labels[rows].sum(axis=0)
        pending[rows] = False
    for row in np.flatnonzero(pending).tolist():  # rows without a label
        part = _choose_part(wanted[0], wanted[1], wanted, random)
        wanted[part] -= 1
        is_second[row] = part == 1
    return is_second


def _choose_part(first: float, second: float, wanted: list[float], random: np.random.RandomState) -> int:
    if first != second:
        return int(second > first)
    if wanted[0] != wanted[1]:
        return int(wanted[1] > wanted[0])
    return int(random.choice(2))


def keep_share(task: Task, targets: Targets, sizes: Indices, sampled: Indices, wanted: int, seed: int) -> Indices:
    """Return `sampled`, replaced by a sample of `wanted` records if it is far from that.

    Iterative stratification follows the labels: where many are on one or two records, a part can be several times as
    large as wanted, or empty. Then only labels that are frequent enough are stratified, and units without such labels
    are drawn at random. `sizes` is the number of records of each unit; a unit larger than the part is not drawn.
    """
    tolerance = tolerate(wanted, float(sizes.mean()))
    if abs(int(sizes[sampled].sum()) - wanted) <= tolerance:
        return sampled
    counts = targets.sum(axis=0, dtype=np.int64)
    frequent: npt.NDArray[np.bool_] = (
        counts * wanted >= sizes.sum()
    )  # at least one record with the label is in the part
    if task is Task.multilabel and not frequent.all():
        sampled = _sample_frequent(targets, frequent, wanted / float(sizes.sum()), seed)
    inside = np.zeros(len(targets), dtype=bool)
    inside[sampled] = True
    excess = int(sizes[inside].sum()) - wanted
    commonest = (targets * counts).max(axis=1)
    order = np.random.default_rng(seed).permutation(len(targets))
    order = order[np.argsort(commonest[order], kind="stable")]

    def move(units: Indices, is_wanted: Callable[[int], bool]) -> None:
        nonlocal excess
        for unit in units.tolist():
            if is_wanted(unit):
                inside[unit] = not inside[unit]
                excess += int(sizes[unit]) if inside[unit] else -int(sizes[unit])

    move(order[inside[order]], lambda unit: sizes[unit] > wanted + tolerance)
    if excess > 0:
        move(order[inside[order]], lambda unit: sizes[unit] <= excess)
        return np.flatnonzero(inside)
    outside = targets[~inside].sum(axis=0, dtype=np.int64)

    def leaves_every_label(unit: int) -> bool:
        """Return whether a unit fits, and a record of each of its labels is left; if so, count it as moved."""
        if sizes[unit] > -excess or (outside[targets[unit] > 0] < 2).any():
            return False
        outside[:] -= targets[unit]
        return True

    rare: npt.NDArray[np.bool_] = np.equal(targets[:, frequent].sum(axis=1), 0)
    move(order[~inside[order] & rare[order]], leaves_every_label)
    move(order[~inside[order]], lambda unit: sizes[unit] <= -excess)
    return np.flatnonzero(inside)


def _sample_frequent(targets: Targets, frequent: npt.NDArray[np.bool_], share: float, seed: int) -> Indices:
    """Sample a stratified share of the rows that have a frequent label."""
    rows = np.flatnonzero(targets[:, frequent].any(axis=1))
    size = round(share * len(rows))
    if not 0 < size < len(rows):
        return rows[:0]
    return rows[sample_stratified(Task.multilabel, targets[rows][:, frequent], size, seed)]


def tolerate(wanted: float, unit: float) -> float:
    """Return how many records a part may differ from what is wanted: two units of this mean size, or 5 %."""
    return max(2 * unit, 0.05 * wanted)

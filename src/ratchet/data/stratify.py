"""Sample a part of the records whose labels have the same proportions as in all of them."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ratchet.data.dataset import Task

Indices = npt.NDArray[np.int64]
Targets = npt.NDArray[np.uint8]
_MOST_SUMS = 100_000  # combinations of sizes that are tried: about 0.2 s


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


def measure_deviation(counts: Sequence[int], wanted: Sequence[int]) -> int:
    """Return by how many records the parts differ from what is wanted, at most; what is in no part counts as one."""
    return max(abs(sum(counts) - sum(wanted)), *(abs(count - want) for count, want in zip(counts, wanted, strict=True)))


def divide_groups(task: Task, targets: Targets, sizes: Indices, wanted: Sequence[int], seed: int) -> Indices:
    """Return the part of each unit: the index of its size in `wanted`, or -1 for the rest. No part is empty.

    The sizes of the parts decide: they are as near to what is wanted as units of these sizes allow, up to
    `_MOST_SUMS` combinations; beyond, each unit goes to the part that lacks most records, the largest unit first, so
    that no part differs by more than the largest unit. Labels decide between units of the same size.
    """
    order = np.random.default_rng(seed).permutation(len(sizes))  # several combinations may be as good
    largest_first = order[np.argsort(-sizes[order], kind="stable")]
    part_of = np.empty(len(sizes), dtype=np.int64)
    part_of[largest_first] = _divide_largest_first(sizes[largest_first].tolist(), wanted)
    most = measure_deviation([int(sizes[part_of == part].sum()) for part in range(len(wanted))], wanted)
    exact = _divide_exactly(sizes[order].tolist(), wanted, most)
    if exact is not None:
        part_of[order] = exact
    for size in np.unique(sizes):
        units = np.flatnonzero(sizes == size)
        counts = [int((part_of[units] == part).sum()) for part in range(len(wanted))]
        part_of[units] = -1
        for part, count in enumerate(counts):
            sampled = _sample_number(task, targets[units], count, seed)
            part_of[units[sampled]] = part
            units = np.delete(units, sampled)
    return part_of


def _divide_largest_first(sizes: Sequence[int], wanted: Sequence[int]) -> Indices:
    """Return the part of each unit (-1: the rest): the one that lacks most records when its turn comes."""
    lacking = [sum(sizes) - sum(wanted), *wanted]
    parts = np.empty(len(sizes), dtype=np.int64)
    for unit, size in enumerate(sizes):
        most = max(range(len(lacking)), key=lacking.__getitem__)
        lacking[most] -= size
        parts[unit] = most - 1
    for part in range(-1, len(wanted)):
        if not (parts == part).any():  # take the smallest unit of the part that has most units
            values, counts = np.unique(parts, return_counts=True)
            parts[np.flatnonzero(parts == values[counts.argmax()])[-1]] = part
    return parts


def _divide_exactly(sizes: Sequence[int], wanted: Sequence[int], most: int) -> Indices | None:
    """Return the parts of the smallest deviation; None if there are too many combinations.

    `most` is a deviation that is known to be possible: a part that exceeds what is wanted by more is not continued.
    """
    start = (0,) * len(wanted)
    steps: list[dict[tuple[int, ...], int]] = [{start: -1}]  # the sums of the parts, with the part of the last unit
    tried = 0
    for size in sizes:
        step = dict.fromkeys(steps[-1], -1)
        for sums in steps[-1]:
            for part, want in enumerate(wanted):
                if sums[part] + size <= want + most:
                    step.setdefault((*sums[:part], sums[part] + size, *sums[part + 1 :]), part)
        steps.append(step)
        tried += len(step)
        if tried > _MOST_SUMS:
            return None
    complete = [sums for sums in steps[-1] if all(sums) and sum(sums) < sum(sizes)]
    if not complete:
        return None
    sums = min(complete, key=lambda sums: (measure_deviation(sums, wanted), math.dist(sums, wanted), sums))
    parts = np.empty(len(sizes), dtype=np.int64)
    for unit in range(len(sizes) - 1, -1, -1):
        parts[unit] = part = steps[unit + 1][sums]
        if part >= 0:
            sums = (*sums[:part], sums[part] - sizes[unit], *sums[part + 1 :])
    return parts


def _sample_number(task: Task, targets: Targets, number: int, seed: int) -> Indices:
    """Sample exactly `number` rows, stratified as far as that is possible. Return their sorted positions."""
    order = np.random.default_rng(seed).permutation(len(targets))
    sampled = order[:0]
    if 0 < number < len(targets):
        try:
            sampled = sample_stratified(task, targets, number, seed)
        except ValueError:  # a class is too rare
            sampled = order[:0]
    is_sampled = np.isin(order, sampled)
    return np.sort(np.concatenate([order[is_sampled], order[~is_sampled]])[:number])


def cut_by_size(sizes: Indices, wanted: Sequence[int]) -> tuple[int, int]:
    """Return where val and test begin in units that are sorted by their date: nearest to the `wanted` sizes of both.

    There must be at least three units, so that no part is empty.
    """
    newer = np.cumsum(sizes[::-1])  # records of the newest unit, of the newest two, ...
    val, test = wanted
    both = newer[1:-1]  # val and test together
    ideal = test + (both - val - test) / 2
    right = np.clip(np.searchsorted(newer, ideal), 0, np.arange(len(both)))
    left = np.clip(right - 1, 0, None)
    tests = np.where(np.abs(newer[left] - ideal) <= np.abs(newer[right] - ideal), left, right)
    far = np.max([np.abs(newer[tests] - test), np.abs(both - newer[tests] - val), np.abs(both - val - test)], axis=0)
    best = int(far.argmin())
    return len(sizes) - best - 2, len(sizes) - int(tests[best]) - 1

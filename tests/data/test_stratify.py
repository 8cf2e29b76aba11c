import itertools
import warnings

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

from ratchet.data import stratify
from ratchet.data.dataset import Task
from ratchet.data.stratify import cut_by_size, divide_groups, keep_share, measure_deviation, sample_stratified


def make_targets(size: int, labels: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    shares = generator.uniform(0.01, 0.6, labels)
    return (generator.random((size, labels)) < shares).astype(np.uint8)


@pytest.mark.parametrize(("size", "labels"), [(20, 2), (60, 3), (200, 12), (300, 150), (40, 1)])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_rows_are_those_of_iterative_stratification(size: int, labels: int, seed: int) -> None:
    targets = make_targets(size, labels, seed)
    splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=size // 5, random_state=seed)
    both = np.hstack([targets, 1 - targets]) if labels == 1 else targets
    with warnings.catch_warnings(action="ignore"):
        expected = next(splitter.split(np.zeros((size, 1)), both))[1]
    sampled = sample_stratified(Task.multilabel, targets, size // 5, seed)
    assert sampled.tolist() == sorted(expected.tolist())


def test_rows_without_labels_are_divided_too() -> None:
    targets = np.zeros((100, 3), dtype=np.uint8)
    targets[:10, 0] = 1
    sampled = sample_stratified(Task.multilabel, targets, 20, seed=0)
    assert len(sampled) == 20
    assert (sampled < 10).sum() == 2


def test_sample_near_its_share_is_not_changed() -> None:
    targets = make_targets(200, 4, seed=0)
    sampled = np.arange(38)
    assert keep_share(Task.multilabel, targets, np.ones(200, dtype=np.int64), sampled, 40, seed=0) is sampled


@pytest.mark.parametrize("sampled", [0, 3, 90, 200])
def test_sample_far_from_its_share_gets_it(sampled: int) -> None:
    targets = make_targets(200, 4, seed=0)
    kept = keep_share(Task.multilabel, targets, np.ones(200, dtype=np.int64), np.arange(sampled), 40, seed=0)
    assert len(set(kept.tolist())) == 40


def test_records_with_the_rarest_labels_move_first() -> None:
    targets = np.zeros((100, 2), dtype=np.uint8)
    targets[:90, 0] = 1
    targets[90:, 1] = 1
    kept = keep_share(Task.multilabel, targets, np.ones(100, dtype=np.int64), np.arange(10, 20), 20, seed=0)
    assert kept.tolist() == [*range(10, 20), *range(90, 100)]


def test_unit_larger_than_the_part_leaves_it() -> None:
    sizes = np.array([70] + [1] * 30)
    kept = keep_share(Task.multilabel, make_targets(31, 3, seed=0), sizes, np.arange(5), 15, seed=0)
    assert 0 not in kept
    assert len(kept) == 15


@st.composite
def sizes_and_wanted(draw: st.DrawFn, least: int, most: int) -> tuple[list[int], list[int]]:
    sizes = draw(st.lists(st.integers(1, 60), min_size=least, max_size=most))
    shares = draw(st.sampled_from([(0.15, 0.15), (0.1, 0.3), (0.2,), (0.4, 0.4)]))
    return sizes, [max(1, round(share * sum(sizes))) for share in shares]


def count_parts(part_of: npt.NDArray[np.int64], sizes: list[int], parts: int) -> list[int]:
    return [int(np.array(sizes)[part_of == part].sum()) for part in range(parts)]


@settings(max_examples=30)
@given(data=sizes_and_wanted(10, 60), seed=st.integers(0, 3), task=st.sampled_from(Task))
def test_no_part_differs_by_more_than_the_largest_group(
    data: tuple[list[int], list[int]], seed: int, task: Task
) -> None:
    sizes, wanted = data
    targets = np.eye(3, dtype=np.uint8)[np.arange(len(sizes)) % 3]
    part_of = divide_groups(task, targets, np.array(sizes), wanted, seed)
    assert set(part_of.tolist()) == {-1, *range(len(wanted))}
    assert measure_deviation(count_parts(part_of, sizes, len(wanted)), wanted) <= max(sizes)
    np.testing.assert_array_equal(part_of, divide_groups(task, targets, np.array(sizes), wanted, seed))


@given(data=sizes_and_wanted(3, 7))
def test_few_groups_are_divided_as_well_as_possible(data: tuple[list[int], list[int]]) -> None:
    sizes, wanted = data
    parts = range(-1, len(wanted))
    best = min(
        measure_deviation(count_parts(np.array(choice), sizes, len(wanted)), wanted)
        for choice in itertools.product(parts, repeat=len(sizes))
        if set(choice) == set(parts)
    )
    targets = np.ones((len(sizes), 1), dtype=np.uint8)
    part_of = divide_groups(Task.multilabel, targets, np.array(sizes), wanted, 0)
    assert measure_deviation(count_parts(part_of, sizes, len(wanted)), wanted) == best


@given(data=sizes_and_wanted(10, 60))
def test_largest_first_alone_keeps_the_bound(data: tuple[list[int], list[int]]) -> None:
    """It is used where there are too many combinations."""
    sizes, wanted = sorted(data[0], reverse=True), data[1]
    part_of = stratify._divide_largest_first(sizes, wanted)
    assert set(part_of.tolist()) == {-1, *range(len(wanted))}
    assert measure_deviation(count_parts(part_of, sizes, len(wanted)), wanted) <= max(sizes)


def test_group_larger_than_the_share_of_train_is_in_train() -> None:
    sizes = np.array([1] * 10 + [90] + [2] * 5)
    targets = np.ones((len(sizes), 1), dtype=np.uint8)
    part_of = divide_groups(Task.multilabel, targets, sizes, [16, 16], 0)
    assert part_of[10] == -1
    assert count_parts(part_of, sizes.tolist(), 2) == [10, 10]


def test_labels_decide_between_groups_of_the_same_size() -> None:
    targets = np.zeros((40, 2), dtype=np.uint8)
    targets[:20, 0] = targets[20:, 1] = 1
    for seed in range(3):
        part_of = divide_groups(Task.multilabel, targets, np.full(40, 10), [80, 80], seed)
        for part in (0, 1):
            assert targets[part_of == part].sum(axis=0).tolist() == [4, 4]


@given(
    sizes=st.lists(st.integers(1, 60), min_size=3, max_size=12),
    shares=st.sampled_from([(0.15, 0.15), (0.1, 0.3), (0.4, 0.4)]),
)
def test_dates_are_cut_where_sizes_fit_best(sizes: list[int], shares: tuple[float, float]) -> None:
    wanted = [round(share * sum(sizes)) for share in shares]

    def deviate(val: int, test: int) -> int:
        return measure_deviation([sum(sizes[val:test]), sum(sizes[test:])], wanted)

    best = min(deviate(val, test) for val, test in itertools.combinations(range(1, len(sizes)), 2))
    assert deviate(*cut_by_size(np.array(sizes), wanted)) == best

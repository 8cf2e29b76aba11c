import warnings

import numpy as np
import pytest
from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

from ratchet.data.dataset import Task
from ratchet.data.stratify import keep_share, sample_stratified


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

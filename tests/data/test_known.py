"""Tests of the rule for unknown targets, and of the data that a tagger receives with them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tests.datasets import build_dataset

from ratchet.data.dataset import Dataset, Task
from ratchet.data.known import Known, group_labels, hide_unknown, list_measured_rows, prepare_fit, select_known_cells
from ratchet.data.taxonomy import Taxonomy

TARGETS = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 1]], dtype=np.uint8)
KNOWN = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=6)


def test_unknown_cells_are_hidden_without_a_change_of_type() -> None:
    hidden = hide_unknown(TARGETS, KNOWN)
    assert hidden.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert hidden.dtype == np.uint8
    assert hide_unknown(TARGETS, None) is TARGETS


def test_rows_without_a_known_cell_are_not_measured() -> None:
    assert list_measured_rows(KNOWN, 4).tolist() == [0, 1, 2]
    assert list_measured_rows(None, 4).tolist() == [0, 1, 2, 3]


def test_known_cells_become_items_of_one_label() -> None:
    assert select_known_cells(TARGETS, KNOWN).tolist() == [[1], [0], [1], [0]]
    assert select_known_cells(TARGETS, None) is TARGETS


def test_label_that_is_never_known_is_fitted_as_one_that_no_text_has() -> None:
    targets, known = prepare_fit(TARGETS, KNOWN)
    assert known is not None
    assert known.tolist() == [[1, 1, 1], [0, 1, 1], [1, 0, 1], [0, 0, 1]]
    assert targets[:, 2].tolist() == [0, 0, 0, 0]
    assert prepare_fit(TARGETS, None) == (TARGETS, None)


@given(known=arrays(np.bool_, SHAPES))
def test_groups_share_their_rows_and_cover_every_label_once(known: Known) -> None:
    groups = list(group_labels(known))
    assert sorted(np.concatenate([columns for _, columns in groups]).tolist()) == list(range(known.shape[1]))
    for rows, columns in groups:
        for column in columns:
            assert np.flatnonzero(known[:, column]).tolist() == rows.tolist()
    assert len({tuple(rows) for rows, _ in groups}) == len(groups)


def test_dataset_of_known_targets_has_no_mask() -> None:
    """So that every computation is the one of data without unknown targets, in the last bit."""
    taxonomy = Taxonomy.from_labels(["a"])
    targets = np.ones((2, 1), dtype=np.uint8)
    known = np.array([[True], [True]])
    assert Dataset(["0", "1"], ["x", "y"], targets, ["a"], taxonomy, known=known).known is None
    known = np.array([[True], [False]])
    assert Dataset(["0", "1"], ["x", "y"], targets, ["a"], taxonomy, known=known).known is known


@given(data=st.data(), shape=SHAPES)
def test_class_of_a_record_is_never_unknown(data: st.DataObject, shape: tuple[int, int]) -> None:
    known = data.draw(arrays(np.bool_, shape))
    dataset = build_dataset(["text"] * shape[0], np.eye(*shape), task=Task.multiclass)
    if known.all():
        return
    with pytest.raises(AssertionError):
        Dataset(dataset.ids, dataset.texts, dataset.targets, dataset.labels, dataset.taxonomy, Task.multiclass, known)

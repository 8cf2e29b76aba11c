"""Tests for predictions/<part>.parquet, which other programs read, and for the check of its scores."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.errors import UserError
from ratchet.runs.predictions import Predictions, read_predictions, write_predictions
from ratchet.taggers import check_scores


def make_predictions(size: int = 5, labels: int = 3) -> Predictions:
    generator = np.random.default_rng(0)
    return Predictions(
        ids=[f"id-{index}" for index in range(size)],
        targets=generator.integers(0, 2, (size, labels), dtype=np.uint8),
        scores=generator.random((size, labels), dtype=np.float32),
        slices=[["short_text", "date=2020-Q1"] if index % 2 else [] for index in range(size)],
    )


def assert_equal(first: Predictions, second: Predictions) -> None:
    assert (first.ids, first.slices) == (second.ids, second.slices)
    for name, kind in (("targets", np.uint8), ("scores", np.float32)):
        left, right = getattr(first, name), getattr(second, name)
        assert left.dtype == right.dtype == kind
        assert left.shape == right.shape
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("labels", [1, 2, 40])
def test_predictions_round_trip(tmp_path: Path, size: int, labels: int) -> None:
    path = tmp_path / "predictions" / "test.parquet"  # the directory is created
    write_predictions(path, make_predictions(size, labels))
    assert_equal(read_predictions(path), make_predictions(size, labels))


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=6), min_size=1, max_size=5))
def test_ids_and_slices_may_be_any_text(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("predictions") / "val.parquet"
    size = len(texts)
    zeros = np.zeros((size, 2), dtype=np.uint8)
    written = Predictions(texts, zeros, zeros.astype(np.float32), [texts[:index] for index in range(size)])
    write_predictions(path, written)
    assert_equal(read_predictions(path), written)


def test_columns_match_documented_schema(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    write_predictions(path, make_predictions(labels=3))
    assert dict(pl.read_parquet_schema(path)) == {
        "id": pl.String,
        "targets": pl.Array(pl.UInt8, 3),
        "scores": pl.Array(pl.Float32, 3),
        "slices": pl.List(pl.String),
    }


def test_columns_keep_types_without_slices(tmp_path: Path) -> None:
    predictions = make_predictions()
    path = tmp_path / "test.parquet"
    write_predictions(
        path, Predictions(predictions.ids, predictions.targets, predictions.scores, [[] for _ in predictions.ids])
    )
    assert pl.read_parquet_schema(path)["slices"] == pl.List(pl.String)
    assert read_predictions(path).slices == [[]] * 5


def test_equal_predictions_give_equal_bytes(tmp_path: Path) -> None:
    write_predictions(tmp_path / "a.parquet", make_predictions(200))
    write_predictions(tmp_path / "b.parquet", make_predictions(200))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    write_predictions(tmp_path / "c.parquet", make_predictions(201))
    assert (tmp_path / "a.parquet").read_bytes() != (tmp_path / "c.parquet").read_bytes()


def test_failed_write_keeps_old_file(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    write_predictions(path, make_predictions())
    predictions = make_predictions()
    with pytest.raises(pl.exceptions.PolarsError):
        write_predictions(
            path, Predictions(predictions.ids[:2], predictions.targets, predictions.scores, predictions.slices)
        )
    assert_equal(read_predictions(path), make_predictions())
    assert [entry.name for entry in tmp_path.iterdir()] == ["test.parquet"]


def test_missing_or_invalid_file_error_names_it(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 but not really")
    pl.DataFrame({"id": ["a"]}).write_parquet(tmp_path / "other.parquet")
    for name in ("missing.parquet", "broken.parquet", "other.parquet"):
        with pytest.raises(UserError, match=f"{name}: "):
            read_predictions(tmp_path / name)


GOOD = np.array([[0.0, 0.5], [1.0, 0.25]], dtype=np.float32)


def test_valid_scores_are_returned_unchanged() -> None:
    assert check_scores(GOOD, (2, 2)) is GOOD
    assert check_scores(GOOD[:0], (0, 2)).shape == (0, 2)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (GOOD.astype(np.float64), "float64"),
        (GOOD.astype(np.float16), "float16"),
        (GOOD[:1], "(1, 2)"),
        (GOOD[:, :1], "(2, 1)"),
        (GOOD[0], "(2,)"),
        (GOOD[None], "(1, 2, 2)"),
        (GOOD.tolist(), "list"),
        (None, "NoneType"),
    ],
    ids=["float64", "float16", "a row short", "a column short", "one axis", "three axes", "a list", "nothing"],
)
def test_scores_of_wrong_type_or_shape_raise(scores: Any, expected: str) -> None:
    with pytest.raises(ValueError, match="predict_proba") as error:
        check_scores(scores, (2, 2))
    assert expected in str(error.value)
    assert "float32 (2, 2)" in str(error.value)


@pytest.mark.parametrize("value", [-0.001, 1.001, np.nan, np.inf, -np.inf])
def test_scores_outside_0_and_1_raise(value: float) -> None:
    scores = GOOD.copy()
    scores[1, 1] = value
    with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
        check_scores(scores, (2, 2))


def test_unknown_targets_are_stored_in_a_column_of_their_own(tmp_path: Path) -> None:
    known = np.random.default_rng(1).random((5, 3)) < 0.5
    predictions = dataclasses.replace(make_predictions(), known=known)
    path = tmp_path / "test.parquet"
    write_predictions(path, predictions)
    assert dict(pl.read_parquet_schema(path))["known"] == pl.Array(pl.Boolean, 3)
    read = read_predictions(path)
    assert read.known is not None
    assert read.known.dtype == np.bool_
    np.testing.assert_array_equal(read.known, known)
    np.testing.assert_array_equal(read.targets, predictions.targets * known)
    np.testing.assert_array_equal(read.hide_unknown(np.ones((5, 3), np.uint8)), known.astype(np.uint8))


def test_predictions_without_unknown_targets_have_no_such_column(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    write_predictions(path, make_predictions())
    assert "known" not in pl.read_parquet_schema(path)
    read = read_predictions(path)
    assert read.known is None
    decisions = np.ones((5, 3), np.uint8)
    assert read.hide_unknown(decisions) is decisions

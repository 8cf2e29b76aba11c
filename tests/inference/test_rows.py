import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inference.naming import JSON

from ratchet.inference.rows import batched, cell, column_type, json_text, kinds, series


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([True, None], pl.Boolean()),
        ([1, 2**63 - 1], pl.Int64()),
        ([1, 2.5], pl.Float64()),
        ([2**60, 2.5], pl.String()),
        ([2**63], pl.String()),
        (["a", None], pl.String()),
        (["a", 1], pl.String()),
        ([1, True], pl.String()),
        ([None], pl.String()),
        ([["a"], [], None], pl.List(pl.String())),
        ([[1, None], [2.5]], pl.List(pl.Float64())),
        ([["a", 1]], pl.String()),
        ([["a"], "a"], pl.String()),
        ([[["a"]]], pl.String()),
        ([{"a": 1}], pl.String()),
    ],
)
def test_column_type_fits_all_values(values: list[Any], dtype: pl.DataType) -> None:
    assert column_type(kind for value in values for kind in kinds(value)) == dtype


@given(st.lists(JSON, max_size=5))
def test_series_holds_values_or_their_text(values: list[Any]) -> None:
    dtype = column_type(kind for value in values for kind in kinds(value))
    stored_values = series("a", values, dtype).to_list()
    for value, stored in zip(values, stored_values, strict=True):
        as_text = None if value is None else cell(value).encode("utf-8", "backslashreplace").decode()
        assert stored == (as_text if dtype == pl.String() else value)


def test_lone_surrogate_is_escaped() -> None:
    assert series("a", ["\ud83d", "b"], pl.String()).to_list() == ["\\ud83d", "b"]
    assert series("a", [["\ud83d"], None], pl.List(pl.String())).to_list() == [["\\ud83d"], None]


@pytest.mark.parametrize(
    ("value", "text"),
    [("007", "007"), (None, ""), (True, "true"), (1.5, "1.5"), (10**20, str(10**20)), (["é"], '["é"]'), (b"a", "a")],
)
def test_values_are_formatted_as_csv_cells(value: Any, text: str) -> None:
    assert cell(value) == text


def test_json_text_writes_nan_and_infinity_as_null() -> None:
    assert json.loads(json_text({"a": [float("nan"), 1.0], "b": float("inf")})) == {"a": [None, 1.0], "b": None}


def test_batched_reads_only_needed_items() -> None:
    items = iter(range(10))
    assert next(batched(items, 4)) == [0, 1, 2, 3]
    assert next(items) == 4
    assert [len(batch) for batch in batched(range(10), 4)] == [4, 4, 2]

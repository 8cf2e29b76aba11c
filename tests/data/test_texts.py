"""Tests for building the text of one record; tests/data/test_records.py tests it as part of a data set."""

from pathlib import Path
from typing import Any

import pytest

from ratchet.config import compose
from ratchet.data.texts import TextColumns
from ratchet.data.values import NotText
from ratchet.errors import UserError


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["A title", "and more"], "A title / and more"),
        (["", "and more"], "and more"),
        ([None, float("nan")], ""),
        ([7.0, 2.5], "7 / 2.5"),
        (["\ud83d", "\ude00"], "\ud83d / \ude00"),
    ],
)
def test_empty_values_are_omitted_from_the_text(values: list[Any], text: str) -> None:
    assert TextColumns(("title", "description"), " / ").text(values) == text


def test_adjacent_surrogates_are_merged_to_one_character() -> None:
    assert TextColumns(("a", "b"), "").text(["\ud83d", "\ude00"]) == "😀"


@pytest.mark.parametrize("encoding", ["utf-9", "hex"])
def test_unknown_encoding_of_files_is_refused(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    with pytest.raises(UserError, match=f"data.encoding='{encoding}'"):
        TextColumns(("file",), files=("file",), encoding=encoding).text(["a.txt"], tmp_path)


def test_list_is_rejected_as_text() -> None:
    with pytest.raises(NotText, match=r"description .*list"):
        TextColumns(("title", "description")).text(["a", ["b"]])


@pytest.mark.parametrize("value", [{"a": "b"}, b"bytes", ("a",), {}])
def test_no_text_is_the_repr_of_a_value(value: Any) -> None:
    with pytest.raises(NotText, match=r"^title must hold text"):
        TextColumns(("title", "description")).text([value, "text"])


def test_text_columns_are_read_from_the_config() -> None:
    assert TextColumns.from_config(compose([]).data) == TextColumns(("title", "description"), " ")

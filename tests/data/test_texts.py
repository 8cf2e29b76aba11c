"""What makes the text of a record; tests/data/test_records.py has it as part of a data set."""

from typing import Any

import pytest

from ratchet.config import compose
from ratchet.data.texts import NotText, TextColumns


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
def test_empty_values_are_left_out_of_the_text(values: list[Any], text: str) -> None:
    assert TextColumns(("title", "description"), " / ").text(values) == text


def test_halves_of_a_character_that_meet_are_the_character() -> None:
    assert TextColumns(("a", "b"), "").text(["\ud83d", "\ude00"]) == "😀"


def test_a_list_is_no_text() -> None:
    with pytest.raises(NotText, match=r"description .*list"):
        TextColumns(("title", "description")).text(["a", ["b"]])


def test_those_of_a_data_set() -> None:
    assert TextColumns.from_config(compose([]).data) == TextColumns(("title", "description"), " ")

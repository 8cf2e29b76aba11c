"""Tests for looking up values in rows, and for converting them to text."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.data.values import (
    BadValue,
    NotText,
    check_characters,
    get_value,
    has_value,
    is_blank,
    list_paths,
    make_getter,
    to_string,
)

ROW = {
    "meta.tags": "literal",
    "meta": {"tags": ["a", "b"], "x.y": {"z": 1}, "none": None},
    "notes": [{"result": [{"kind": "a"}, {"kind": "b"}]}, {"result": [{"kind": "c"}]}, {}],
    "items[0]": "named so",
    "empty": [],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("meta.tags", "literal"),
        ("meta.x.y.z", 1),
        ("meta.tags[1]", "b"),
        ("meta.tags[2]", None),
        ("meta.none", None),
        ("notes[0].result[1].kind", "b"),
        ("notes[1].result.kind", ["c"]),
        ("notes.result.kind", ["a", "b", "c"]),
        ("notes.result[0].kind", ["a", "c"]),
        ("notes[2].result", None),
        ("items[0]", "named so"),
        ("empty.kind", []),
        ("nothing.at.all", None),
        ("meta.tags.x", None),
    ],
)
def test_values_are_found_by_column_then_by_path(name: str, value: Any) -> None:
    assert get_value(ROW, name) == value
    assert make_getter(name)(ROW) == value


@pytest.mark.parametrize(
    ("name", "exists"),
    [("meta.none", True), ("empty", True), ("empty.kind", True), ("meta.non", False), ("notes.resul", False)],
)
def test_a_null_is_a_value_and_an_absent_key_is_not(name: str, exists: bool) -> None:
    assert has_value(ROW, name) is exists


def test_every_listed_path_leads_to_a_value() -> None:
    paths = list(list_paths(ROW))
    assert "notes[0].result[0].kind" in paths
    assert [path for path in paths if not has_value(ROW, path)] == []


@given(st.text(max_size=12), st.dictionaries(st.text(max_size=3), st.lists(st.integers(), max_size=2), max_size=3))
def test_any_text_can_be_looked_up(name: str, row: dict[str, Any]) -> None:
    value = get_value(row, name)
    assert value == row[name] if name in row else value is None or isinstance(value, (int, list))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (Decimal("NaN"), ""),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (7.0, "7"),
        (0.5, "0.5"),
        (float("inf"), "inf"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 2, 28), "2026-02-28"),
        (datetime(2026, 2, 28, 13), "2026-02-28 13:00:00"),
        (" x ", " x "),
    ],
)
def test_plain_values_have_a_text(value: Any, text: str) -> None:
    assert to_string(value) == text


@pytest.mark.parametrize("value", [{"a": 1}, {}, [1], [], b"bytes", ("a",), {"a"}, object(), 1j, bytearray(b"x")])
def test_values_without_a_text_are_refused_with_their_column(value: Any) -> None:
    with pytest.raises(NotText, match=r"tags must hold text"):
        to_string(value, "tags")


@given(st.recursive(st.none() | st.binary() | st.integers(), lambda inner: st.lists(inner) | st.tuples(inner)))
def test_no_value_becomes_its_repr(value: Any) -> None:
    try:
        text = to_string(value)
    except NotText:
        return
    assert not set(text) & set("[](){}'")


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("login\ud83d", "half a character", "\\ud83d"),
        ("\udc00", "half a character", "\\udc00"),
        ("a\x00", "control character", "\\x00"),
        ("a\nb", "control character", "\\x0a"),
        ("a\tb", "control character", "\\x09"),
        ("a\x85b", "control character", "\\x85"),
        ("a\u2028b", "control character", "\\u2028"),
    ],
)
def test_characters_that_cannot_be_stored_or_shown_are_named(text: str, kind: str, shown: str) -> None:
    with pytest.raises(BadValue) as caught:
        check_characters(text, "label")
    assert caught.value.kind == kind
    assert f"({shown})" in str(caught.value)
    str(caught.value).encode("ascii")  # the message itself can be shown anywhere


@given(st.text())
def test_what_passes_the_check_can_be_stored_on_one_line(text: str) -> None:
    try:
        check_characters(text, "label")
    except BadValue:
        return
    assert text.encode("utf-8").decode("utf-8").splitlines() == [text][: len(text)]
    assert json.loads(json.dumps(text)) == text


@pytest.mark.parametrize(
    "text", ["", " \n", "\u200b\ufeff", "\u00a0\u3000", "\u00ad", "\x00\x07", "\u2028", "\u2066\u2069"]
)
def test_texts_of_invisible_characters_are_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "...", "\u200ba", "\u4e2d", "\U0001f600", "\ud83d"])
def test_visible_texts_are_not_blank(text: str) -> None:
    assert not is_blank(text)

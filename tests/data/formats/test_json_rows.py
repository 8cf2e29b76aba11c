import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.formats.reading_files import Read, make_reader

from ratchet.errors import UserError

ROWS = [{"text": "one", "labels": ["a"]}, {"text": "two", "labels": []}]
USED = ["text", "labels"]
VALUES = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False) | st.text()


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes a file and reads it."""
    return make_reader(tmp_path)


# --- JSON Lines -------------------------------------------------------------------------------------------------------
def test_invalid_lines_are_reported_with_line_and_column(read: Read) -> None:
    lines = ['{"text": "one"}', '{"text": "two', "", "[3]", '{"text": "five"}', '{"text" "six"}', '"seven"']
    table = read("file.jsonl", "\n".join(lines))
    assert table.columns == {"text": ["one", "five"]}
    assert table.numbers == [1, 5]
    assert [(problem.place, problem.outcome) for problem in table.problems] == [
        (f"file.jsonl, line {number}", "stops") for number in (2, 4, 6, 7)
    ]
    messages = [problem.message for problem in table.problems]
    assert "column 10" in messages[0]  # start of the unterminated string
    assert "list" in messages[1]
    assert "column 9" in messages[2]
    assert "str" in messages[3]


def test_missing_keys_are_read_as_null(read: Read) -> None:
    table = read("file.jsonl", '{"text": "one", "id": 1}\n{"labels": ["a"], "text": "two"}')
    assert table.columns == {"text": ["one", "two"], "id": [1, None], "labels": [None, ["a"]]}


def test_windows_and_trailing_line_ends_are_accepted(read: Read) -> None:
    assert read("file.jsonl", '{"text": "one"}\r\n{"text": "two"}\r\n').columns == {"text": ["one", "two"]}


def test_json_of_a_line_is_kept_as_written(read: Read) -> None:
    lines = ['{"text":  "one", "n": 1.50}', '{ "text": "tw\\u00f6" }']
    assert [row.written for row in read("file.jsonl", "\n".join(lines)).rows] == lines


@pytest.mark.parametrize(
    "line", ["[" * 100_000, '{"text": ' + "1" * 5000 + "}"], ids=["nested too deeply", "too many digits"]
)
def test_line_that_cannot_be_parsed_is_reported(line: str, read: Read) -> None:
    table = read("file.jsonl", '{"text": "one"}\n' + line)
    assert table.columns == {"text": ["one"]}
    assert "line 2: not valid JSON" in table.message


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(ROWS, indent=1),
        json.dumps(ROWS),
        "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]",
        json.dumps({"items": ROWS}, indent=2),
        "[" + ",\n".join(map(json.dumps, ROWS)) + "]",
    ],
)
def test_one_list_in_json_lines_names_the_format(data: str, read: Read) -> None:
    with pytest.raises(UserError, match=r"file\.jsonl, line 1: .*data\.format=json"):
        read("file.jsonl", data)


def test_empty_file_is_reported_where_columns_are_needed(read: Read) -> None:
    with pytest.raises(UserError, match=r"file\.jsonl: the file is empty"):
        read("file.jsonl", "", USED)
    assert read("file.jsonl", "").rows == []


# --- lists of records -------------------------------------------------------------------------------------------------
def test_item_that_is_no_object_is_reported(read: Read) -> None:
    table = read("file.json", '[{"text": "one"}, "two", null]')
    assert table.columns == {"text": ["one"]}
    assert [problem.place for problem in table.problems] == ["file.json, item 2", "file.json, item 3"]


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ('[{"text": "one"},\n {"text" "two"}]', "line 2"),
        ("", "the file is empty"),
        ("\n ", "the file is empty"),
        ('{"text": "one"}', "dict"),
        ('"text"', "str"),
        ('{\n"text": "one"}\n{\n"text": "two"}\n', "JSON Lines"),
        ("[" * 100_000, "not valid JSON"),
        ('[{"text": ' + "1" * 5000 + "}]", "not valid JSON"),
    ],
)
def test_json_without_a_list_of_records_is_rejected(data: str, part: str, read: Read) -> None:
    with pytest.raises(UserError, match=r"file\.json") as caught:
        read("file.json", data)
    assert part in str(caught.value)


@pytest.mark.parametrize("before", ["", "\n\n", "\ufeff"])
def test_json_lines_in_a_json_file_are_read(before: str, read: Read) -> None:
    table = read("file.json", before + "\n".join(map(json.dumps, ROWS)) + "\n")
    assert table.values == ROWS
    assert table.locations[0].startswith("file.json, line ")


def test_json_list_on_one_line_is_no_json_lines(read: Read) -> None:
    table = read("file.json", json.dumps(ROWS) + "\n\n")
    assert table.values == ROWS
    assert table.locations[1] == "file.json, item 2"


@pytest.mark.parametrize(
    ("content", "under"),
    [
        ({"items": ROWS}, "items"),
        ({"version": 1, "data": {"train": ROWS, "size": [2]}}, "data.train"),
        ({"a.b": ROWS}, "a.b"),
        ({"dev": ROWS, "train": ROWS * 2}, "train"),
    ],
)
def test_list_below_a_key_is_read_and_the_message_names_it(content: Any, under: str, read: Read) -> None:
    assert read("file.json", json.dumps(content), USED, under=under).values[:2] == ROWS
    with pytest.raises(UserError, match=rf"file\.json: .*data\.records\.under={under}( |$)"):
        read("file.json", json.dumps(content), USED)


def test_key_without_a_list_is_reported(read: Read) -> None:
    data = json.dumps({"items": ROWS, "meta": {"n": 2}})
    with pytest.raises(UserError, match=r"'item' \(data\.records\.under\); did you mean 'items'"):
        read("file.json", data, USED, under="item")
    with pytest.raises(UserError, match="must be a list of records, but is a dict"):
        read("file.json", data, USED, under="meta")


def test_key_of_a_list_is_reported(read: Read) -> None:
    with pytest.raises(UserError, match=r"'items' \(data\.records\.under\), but is a list"):
        read("file.json", json.dumps(ROWS), USED, under="items")


# --- lists in place of objects ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["file.json", "file.jsonl", "lines.json"])
def test_lists_of_values_are_rows(name: str, read: Read) -> None:
    pairs = [["one", "a"], ["two", "b"]]
    data = json.dumps(pairs) if name == "file.json" else "\n".join(map(json.dumps, pairs))
    assert read(name, data).columns == {"1": ["one", "two"], "2": ["a", "b"]}
    assert read(name, data, column_names=("text", "labels")).columns == {"text": ["one", "two"], "labels": ["a", "b"]}


def test_list_of_another_length_is_no_record(read: Read) -> None:
    data = '[["one", "a"], ["two"], {"text": "three"}, ["four", "b"]]'
    table = read("file.json", data)
    assert table.columns["1"] == ["one", "four"]
    assert [problem.place for problem in table.problems] == ["file.json, item 2", "file.json, item 3"]
    assert "data.column_names has 3" in read("file.json", '[["one", "a"]]', column_names=("a", "b", "c")).message


# --- parallel lists ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "content",
    [
        {"text": ["one", "two"], "labels": [["a"], []]},
        {"text": {"0": "one", "1": "two"}, "labels": {"0": ["a"], "1": []}, "note": {"0": 1, "1": 2}},
        {"text": {"0": "one", "1": "two"}, "labels": {"1": [], "0": ["a"]}},
        {"text": ["one", "two"], "labels": [["a"], []], "other": [1, 2, 3], "more": 1},
    ],
)
def test_parallel_columns_are_joined_into_rows(content: Any, read: Read) -> None:
    table = read("file.json", json.dumps(content), USED)
    assert [{name: row[name] for name in USED} for row in table.values] == ROWS


@pytest.mark.parametrize(
    "content", [{"text": ["one", "two"], "labels": [["a"]]}, {"text": {"0": "one"}, "labels": {"1": ["a"]}}]
)
def test_parallel_columns_of_different_rows_are_rejected(content: Any, read: Read) -> None:
    with pytest.raises(UserError, match=r"file\.json"):
        read("file.json", json.dumps(content), USED)


# --- arbitrary values -------------------------------------------------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries({"text": VALUES, "a": VALUES, "é": VALUES}), min_size=1, max_size=5))
def test_any_values_survive(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    read = make_reader(tmp_path_factory.mktemp("any"))
    lines = "\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
    assert read("file.jsonl", lines).values == read("file.json", json.dumps(rows)).values == rows

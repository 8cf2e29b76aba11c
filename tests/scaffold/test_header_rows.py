import csv
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scaffold.ticket_files import inspect_and_read, join_labels, make_rows, to_csv, write

from ratchet.errors import UserError
from ratchet.scaffold.header_rows import detect_header, find_header
from ratchet.scaffold.inspecting import inspect_file

RECORDS = [["the page is slow", "speed", "1"], ["cannot sign in", "login", "2"], ["charged twice", "billing", "3"]]
NAMES = ["message", "topic", "number"]


@pytest.mark.parametrize(
    ("first", "named", "has_header"),
    [
        (NAMES, [], True),
        (["message", "topic", ""], [], True),
        (["topic", "topic", "number"], [], True),
        (["a note on the page that is slow", "speed", "n"], [], False),
        (["x" * 61, "topic", "number"], [], False),
        (["message", "topic", "4"], [], False),
        (["message", "topic", "2026-01-31T10:00:00Z"], [], False),
        (["message", "speed", "number"], [], False),
        (["message", "speed", "4"], ["speed"], True),
        (["4", "speed", "number"], ["1"], False),
        (["message", "speed", "1"], ["3"], False),
        (["message", "topic", "2026"], ["3", "2"], False),
        (["1", "topic", "number"], ["1"], True),
    ],
)
def test_first_row_is_a_header_unless_it_looks_like_a_record(
    first: list[str], named: list[str], has_header: bool
) -> None:
    is_header, reason = detect_header("a.csv", [first, *RECORDS], named)
    assert is_header is has_header
    assert reason


@pytest.mark.parametrize(
    ("titles", "after_blank", "index"),
    [
        ([], (), 0),
        ([["Tickets of May"]], (), 1),
        ([["Tickets of May", "", ""], ["made by Ann", "", ""]], (), 2),
        ([["Tickets of May"], ["by Ann", "2 June", "2026"]], (2,), 2),
        ([["by Ann", "2 June", "x"]], (1,), 0),
    ],
)
def test_header_is_below_the_titles(titles: list[list[str]], after_blank: tuple[int, ...], index: int) -> None:
    assert find_header([*titles, NAMES, *RECORDS], 3, after_blank, []) == index


def test_record_after_a_blank_line_is_not_a_header() -> None:
    assert find_header([["Tickets"], NAMES, *RECORDS], 3, {3}, []) == 1


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([NAMES, *RECORDS], ["1", "2"]),
        ([["text", "1", "2"], ["slow", "0", "1"], ["late", "1", "0"], ["odd", "1", "1"]], ["2", "3"]),
        ([["text", "0", "1"], ["slow", "0", "1"], ["late", "1", "0"], ["odd", "1", "1"]], []),
        ([["speed", "slow"], ["speed", "late"], ["login", "locked"], ["speed", "waits"]], ["speed"]),
    ],
)
def test_uncertain_header_is_refused_unless_it_is_stated(rows: list[list[str]], named: list[str]) -> None:
    with pytest.raises(UserError, match=r"a\.csv.*header=false.*header=true") as caught:
        detect_header("a.csv", rows, named)
    assert ", ".join(rows[0]) in str(caught.value)
    for stated in (True, False):
        assert detect_header("a.csv", rows, named, stated)[0] is stated


NUMBERS = st.integers(0, 9).map(str)


@given(st.lists(st.tuples(NUMBERS, st.text("ab ", min_size=1), NUMBERS), min_size=12, max_size=40))
def test_row_of_class_numbers_is_never_taken_for_a_header(rows: list[tuple[str, str, str]]) -> None:
    for named in ([], ["1"], ["2", "1"], ["3"]):
        assert detect_header("a.csv", rows, named)[0] is False


# --- files ------------------------------------------------------------------------------------------------------------
def write_numbers(path: Path) -> Path:
    """Write a file without a header, with the number of a class, a title and a text."""
    rows = [
        {"class": number % 4 + 1, "title": f"a title of words {number}", "text": row["body"]}
        for number, row in enumerate(make_rows())
    ]
    return write(path, to_csv(rows, header=False, quoting=csv.QUOTE_ALL))


@pytest.mark.parametrize(
    "named", [{"labels": "1"}, {"labels": "1", "text": ["2", "3"]}, {"labels": "1", "header": False}]
)
def test_columns_without_a_header_are_named_by_number_and_no_row_is_lost(tmp_path: Path, named: dict[str, Any]) -> None:
    data, prepared, inspection = inspect_and_read(write_numbers(tmp_path / "a.csv"), **named)
    assert inspection.num_records == len(prepared.records) == 60
    assert (data.header, data.labels.column, data.text) == (False, "1", ["2", "3"])
    assert dict(inspection.findings)["header"].startswith("false, ")


def test_missing_header_is_part_of_the_message_about_labels(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"labels=NAME.*Columns: 1, 2, 3 \(no header"):
        inspect_file(path)
    with pytest.raises(UserError, match=r"'topic' \(labels\).*no header.*header=true"):
        inspect_file(path, labels="topic")


def test_stated_header_is_used(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", to_csv(join_labels(make_rows())))
    with pytest.raises(UserError, match="header=false"):
        inspect_file(path, labels="3")
    data, _, inspection = inspect_and_read(path, labels="topics", header=True)
    assert (data.header, inspection.num_records) == (True, 60)
    assert inspect_file(path, labels="3", text=["2"], header=False).num_records == 61


def test_stated_header_of_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="header=false"):
        inspect_file(write(tmp_path / "a.json", json.dumps(make_rows())), header=False)


@pytest.mark.parametrize("suffix", [".tsv", ".xlsx"])
def test_class_numbers_in_the_last_column_are_read_without_a_header(tmp_path: Path, suffix: str) -> None:
    rows = [(row["body"], number % 3) for number, row in enumerate(make_rows())]
    path = tmp_path / f"a{suffix}"
    if suffix == ".xlsx":
        workbook = openpyxl.Workbook()
        for row in rows:
            workbook.active.append(row)
        workbook.save(path)
    else:
        path.write_text("".join(f"{text}\t{number}\n" for text, number in rows), encoding="utf-8")
    inspection = inspect_file(path, labels="2")
    assert inspection.num_records == 60
    assert dict(inspection.findings)["header"].startswith("false, ")
    with pytest.raises(UserError, match="no header"):
        inspect_file(path)

import csv
import io
import json
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.config import DataConfig, FileConfig, Format, LabelsConfig
from ratchet.data.reading import Outcome, Problem, Report, Table, decode, read_table
from ratchet.data.sources import Content
from ratchet.errors import UserError

ROWS = [
    {"id": "1", "text": 'She said "graphs, mostly"', "labels": "graphs"},
    {"id": "2", "text": "two\nlines\r\nand\ttabs", "labels": "audio|vision"},
    {"id": "3", "text": " naïve, Übermut, 模型 🎉 ", "labels": "vision"},
    {"id": "4", "text": "007", "labels": "true"},
    {"id": "5", "text": "#no comment", "labels": "null"},
]
# --- any text at all --------------------------------------------------------------------------------------------------
CELLS = st.text(st.sampled_from('\r\n\t",; a') | st.characters(codec="utf-8"))
VALUES = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False) | st.text()


def problem(number: int, outcome: Outcome, kind: str = "bad date") -> Problem:
    return Problem(kind, f"file.csv, row {number}", f"reason {number}", outcome)


def test_counts_are_by_kind_and_outcome_most_frequent_first() -> None:
    report = Report(problems=[problem(1, "kept", "rare"), problem(2, "dropped"), problem(3, "dropped")])
    assert list(report.count_problems().items()) == [(("bad date", "dropped"), 2), (("rare", "kept"), 1)]


def test_what_was_dropped_or_kept_stops_nothing() -> None:
    Report(problems=[problem(1, "dropped"), problem(2, "kept")]).stop_if_fatal()


def test_every_fatal_finding_is_in_one_message_with_its_place_and_the_way_on() -> None:
    report = Report(problems=[problem(1, "stops"), problem(2, "dropped"), problem(3, "stops", "no id")])
    with pytest.raises(UserError) as caught:
        report.stop_if_fatal()
    message = str(caught.value)
    assert "2 bad rows" in message
    assert "file.csv, row 1: reason 1" in message
    assert "file.csv, row 3: reason 3" in message
    assert "row 2" not in message
    assert "data.drop_bad_rows=true" in message


def test_a_long_listing_is_cut_and_says_how_much() -> None:
    report = Report(problems=[problem(number, "stops") for number in range(1, 21)])
    with pytest.raises(UserError) as caught:
        report.stop_if_fatal()
    shown = [line for line in str(caught.value).splitlines() if "file.csv, row" in line]
    assert "20 bad rows" in str(caught.value)
    assert f"{20 - len(shown)} more" in str(caught.value)
    assert 1 < len(shown) < 20


def content(name: str, data: bytes | str) -> Content:
    return Content(name, data if isinstance(data, bytes) else data.encode(), "")


def configured(**given: Any) -> DataConfig:
    required = {"name": "x", "records": FileConfig(path="x"), "text": ["text"], "labels": LabelsConfig(column="labels")}
    return DataConfig(**{**required, **given})


def read(name: str, data: bytes | str, **given: Any) -> Table:
    return read_table(content(name, data), configured(**given))


def as_csv(rows: list[list[str]], **dialect: Any) -> str:
    written = io.StringIO(newline="")
    csv.writer(written, **dialect).writerows(rows)
    return written.getvalue()


def in_format(suffix: str, rows: list[dict[str, Any]]) -> bytes:
    if suffix in ("csv", "tsv"):
        table = [list(rows[0]), *(list(row.values()) for row in rows)]
        return as_csv(table, delimiter="," if suffix == "csv" else "\t").encode()
    if suffix == "json":
        return json.dumps(rows).encode()
    if suffix == "jsonl":
        return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    written = io.BytesIO()
    pl.DataFrame(rows).write_parquet(written)
    return written.getvalue()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_the_same_records_give_the_same_columns_in_every_format(suffix: str) -> None:
    table = read(f"file.{suffix}", in_format(suffix, ROWS))
    assert table.columns == {key: [row[key] for row in ROWS] for key in ROWS[0]}
    assert list(table.columns) == ["id", "text", "labels"]
    assert table.problems == []


@pytest.mark.parametrize(
    ("suffix", "place"),
    [
        ("csv", "file.csv, row 3"),  # the header is row 1
        ("tsv", "file.tsv, row 3"),
        ("json", "file.json, item 2"),
        ("jsonl", "file.jsonl, line 2"),
        ("parquet", "file.parquet, row 2"),
    ],
)
def test_a_value_has_its_place(suffix: str, place: str) -> None:
    assert read(f"file.{suffix}", in_format(suffix, ROWS)).location(1) == place


@pytest.mark.parametrize(
    ("name", "form"), [("a.tab", "tsv"), ("a.ndjson", "jsonl"), ("a.pq", "parquet"), ("A.CSV", "csv")]
)
def test_other_suffixes_of_a_format_are_known(name: str, form: str) -> None:
    assert read(name, in_format(form, ROWS)).columns["text"] == [row["text"] for row in ROWS]


def test_the_configured_format_beats_the_suffix() -> None:
    table = read("file.txt", in_format("jsonl", ROWS), format=Format.jsonl)
    assert table.columns["id"] == [row["id"] for row in ROWS]


def test_an_unknown_suffix_asks_for_the_format() -> None:
    with pytest.raises(UserError, match=r"file\.xlsx.*data\.format"):
        read("file.xlsx", b"")


# --- text encodings ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(suffix: str) -> None:
    table = read(f"file.{suffix}", b"\xef\xbb\xbf" + in_format(suffix, ROWS))
    assert table.columns["id"] == [row["id"] for row in ROWS]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_wrong_byte_is_named_with_its_line(suffix: str) -> None:
    with pytest.raises(UserError) as caught:
        read(f"file.{suffix}", b"first\nsecond\ncaf\xe9\nfourth")
    message = str(caught.value)
    assert f"file.{suffix}, line 3" in message
    assert "0xe9" in message
    assert "utf-8" in message
    assert "data.encoding" in message


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_a_configured_encoding_is_used(encoding: str) -> None:
    assert read("file.csv", "text\ncafé".encode(encoding), encoding=encoding).columns == {"text": ["café"]}


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(UserError, match=r"data\.encoding='utf-9'"):
        decode(content("file.csv", b"text"), "utf-9")


# --- CSV and TSV ------------------------------------------------------------------------------------------------------
def test_without_a_header_columns_are_numbered_from_one() -> None:
    table = read("file.csv", "a,b\nc,d\n", header=False)
    assert table.columns == {"1": ["a", "c"], "2": ["b", "d"]}
    assert table.rows == [1, 2]


def test_without_a_header_the_configured_names_are_used() -> None:
    assert read("file.tsv", "a\tb\n", header=False, column_names=["text", "labels"]).columns == {
        "text": ["a"],
        "labels": ["b"],
    }


def test_a_wrong_number_of_column_names_is_refused() -> None:
    with pytest.raises(UserError, match=r"\b2 columns.*data\.column_names.*\b3\b"):
        read("file.csv", "a,b\n", header=False, column_names=["a", "b", "c"])


def test_a_column_name_given_twice_is_refused() -> None:
    with pytest.raises(UserError, match=r"data\.column_names"):
        read("file.csv", "a,b\n", header=False, column_names=["text", "text"])


def test_a_column_twice_in_the_first_row_is_refused() -> None:
    with pytest.raises(UserError, match=r"file\.csv.*'text'.*first row"):
        read("file.csv", "text,labels,text\na,b,c\n")


def test_rows_are_counted_as_rows_where_fields_span_lines() -> None:
    table = read("file.csv", 'text,labels\n"one\n\nmore\n",a\ntwo,b\n')
    assert table.columns["text"] == ["one\n\nmore\n", "two"]
    assert table.location(1) == "file.csv, row 3"


def test_blank_lines_are_skipped_and_counted() -> None:
    table = read("file.csv", "text,labels\n\none,a\n\n\ntwo,b\n")
    assert table.columns["text"] == ["one", "two"]
    assert table.rows == [3, 6]


@pytest.mark.parametrize("quoted", ["old\r", "\rold", "old\r\n", "old\rMac"])
def test_line_ends_inside_quotes_are_kept(quoted: str) -> None:
    table = read("file.csv", f'text,labels\r\n"{quoted}",a\r\nb,"{quoted}"\r\n')
    assert table.columns == {"text": [quoted, "b"], "labels": ["a", quoted]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_separates_rows(end: str) -> None:
    assert read("file.csv", end.join(["text,labels", "one,a", "two,b"])).columns["labels"] == ["a", "b"]


def test_a_text_longer_than_the_csv_modules_own_limit_is_read() -> None:
    long = "word " * 50_000
    assert read("file.csv", f"text,labels\n{long},a\n").columns["text"] == [long]


@pytest.mark.parametrize(
    ("drop_bad_rows", "outcome"), [pytest.param(False, "stops", id="stops"), pytest.param(True, "dropped", id="drops")]
)
def test_rows_of_another_width_are_set_apart(drop_bad_rows: bool, outcome: str) -> None:
    data = "text,labels\none,a\ntwo, or more,b\nthree\nfour,d\n"
    table = read("file.csv", data, drop_bad_rows=drop_bad_rows)
    assert table.columns == {"text": ["one", "four"], "labels": ["a", "d"]}
    assert table.rows == [2, 5]
    assert [(problem.place, problem.outcome) for problem in table.problems] == [
        ("file.csv, row 3", outcome),
        ("file.csv, row 4", outcome),
    ]
    assert "3 fields" in table.problems[0].message
    assert "1 field" in table.problems[1].message


@pytest.mark.parametrize(
    "data",
    [
        pytest.param('text,labels\none,a\n"two,b\n', id="a quote that is never closed"),
        pytest.param('text,labels\none,a\n"two" more,b\n', id="text after a closing quote"),
    ],
)
def test_broken_quotes_are_refused_with_their_place(data: str) -> None:
    with pytest.raises(UserError, match=r"file\.csv, after row 2"):
        read("file.csv", data)


@pytest.mark.parametrize("data", ["", "\n\n", "\ufeff"])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_an_empty_table_is_said_to_be_empty(suffix: str, data: str) -> None:
    with pytest.raises(UserError, match=rf"file\.{suffix}: .*empty"):
        read(f"file.{suffix}", data)


def test_a_header_alone_is_a_table_without_rows() -> None:
    assert read("file.csv", "text,labels\n").columns == {"text": [], "labels": []}


# --- JSON and JSONL ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("drop_bad_rows", "outcome"), [pytest.param(False, "stops", id="stops"), pytest.param(True, "dropped", id="drops")]
)
def test_broken_lines_are_set_apart_with_line_and_column(drop_bad_rows: bool, outcome: str) -> None:
    lines = ['{"text": "one"}', '{"text": "two', "", "[3]", '{"text": "five"}', '{"text" "six"}']
    table = read("file.jsonl", "\n".join(lines), drop_bad_rows=drop_bad_rows)
    assert table.columns == {"text": ["one", "five"]}
    assert table.rows == [1, 5]
    assert {problem.place: problem.outcome for problem in table.problems} == {
        "file.jsonl, line 2": outcome,
        "file.jsonl, line 4": outcome,
        "file.jsonl, line 6": outcome,
    }
    messages = {problem.place[-1]: problem.message for problem in table.problems}
    assert "column 10" in messages["2"]  # where the string begins that is never closed
    assert "list" in messages["4"]
    assert "column 9" in messages["6"]


def test_an_item_that_is_no_object_is_set_apart() -> None:
    table = read("file.json", '[{"text": "one"}, "two", null]')
    assert table.columns == {"text": ["one"]}
    assert [problem.place for problem in table.problems] == ["file.json, item 2", "file.json, item 3"]


def test_keys_that_only_some_objects_have_are_null_in_the_others() -> None:
    table = read("file.jsonl", '{"text": "one", "id": 1}\n{"labels": ["a"], "text": "two"}')
    assert table.columns == {"text": ["one", "two"], "id": [1, None], "labels": [None, ["a"]]}


def test_windows_line_ends_and_a_trailing_line_end_do_no_harm() -> None:
    assert read("file.jsonl", '{"text": "one"}\r\n{"text": "two"}\r\n').columns == {"text": ["one", "two"]}


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ('[{"text": "one"},\n {"text" "two"}]', "line 2"),
        ("", "not valid JSON"),
        ('{"text": "one"}', "dict"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_json_that_is_no_list_of_records_is_refused(data: str, part: str) -> None:
    with pytest.raises(UserError, match=r"file\.json") as caught:
        read("file.json", data)
    assert part in str(caught.value)


def test_a_line_too_deep_to_parse_is_set_apart() -> None:
    table = read("file.jsonl", '{"text": "one"}\n' + "[" * 100_000)
    assert table.columns == {"text": ["one"]}
    assert [problem.place for problem in table.problems] == ["file.jsonl, line 2"]


def test_a_number_too_long_for_python_is_set_apart_like_any_broken_line() -> None:
    table = read("file.jsonl", '{"text": "one"}\n{"text": ' + "1" * 5000 + "}")
    assert table.columns == {"text": ["one"]}
    assert [problem.place for problem in table.problems] == ["file.jsonl, line 2"]


def test_a_number_too_long_for_python_is_refused_in_a_json_file() -> None:
    with pytest.raises(UserError, match=r"file\.json"):
        read("file.json", '[{"text": ' + "1" * 5000 + "}]")


# --- Parquet ----------------------------------------------------------------------------------------------------------
def parquet(columns: dict[str, list[Any]]) -> bytes:
    written = io.BytesIO()
    pl.DataFrame(columns).write_parquet(written)
    return written.getvalue()


def test_parquet_keeps_lists_numbers_dates_and_nulls() -> None:
    columns = {
        "labels": [["a", "b"], [], None],
        "id": [1, 2, 3],
        "created_at": [date(2026, 1, 1), None, date(2026, 1, 3)],
    }
    table = read("file.parquet", parquet(columns))
    assert table.columns == columns
    assert table.rows == [1, 2, 3]


def test_text_that_parquet_holds_as_bytes_is_read_as_text() -> None:
    assert read("file.parquet", parquet({"text": ["naïve".encode()]})).columns == {"text": ["naïve"]}


@pytest.mark.parametrize("data", [b"", b"text,labels\none,a\n", b"PAR1 cut off PAR1"])
def test_what_is_no_parquet_file_is_refused(data: bytes) -> None:
    with pytest.raises(UserError, match=r"file\.parquet: .*Parquet"):
        read("file.parquet", data)


def test_a_parquet_file_that_makes_polars_panic_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(_: object) -> None:  # as damaged pages do; which ones depends on the version
        raise pl.exceptions.PanicException("called `Result::unwrap()` on an `Err` value")

    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(UserError, match=r"file\.parquet: .*Parquet"):
        read("file.parquet", b"PAR1")


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=6))


@settings(max_examples=60, deadline=None)
@given(
    rows=tables(),
    suffix=st.sampled_from(["csv", "tsv"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_whatever_the_csv_module_writes_reads_back(rows: list[list[str]], suffix: str, quoting: int) -> None:
    names = [f"column {index}" for index in range(len(rows[0]))]
    written = as_csv([names, *rows], delimiter="," if suffix == "csv" else "\t", quoting=quoting)
    table = read(f"file.{suffix}", written)
    assert table.problems == []
    assert table.rows == list(range(2, len(rows) + 2))
    columns = [[value or "" for value in table.columns[name]] for name in names]  # CSV does not tell null from ""
    assert [list(row) for row in zip(*columns, strict=True)] == rows


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({"text": st.text(), "other": VALUES, "labels": st.lists(VALUES)}), min_size=1),
    suffix=st.sampled_from(["json", "jsonl"]),
    ascii_only=st.booleans(),
)
def test_whatever_the_json_module_writes_reads_back(rows: list[dict[str, Any]], suffix: str, ascii_only: bool) -> None:
    if suffix == "json":
        written = json.dumps(rows, ensure_ascii=ascii_only, indent=1)
    else:
        written = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    table = read(f"file.{suffix}", written)
    assert table.problems == []
    assert table.columns == {key: [row[key] for row in rows] for key in rows[0]}


@st.composite
def damaged_files(draw: st.DrawFn) -> tuple[str, bytes]:
    suffix = draw(st.sampled_from(["csv", "tsv", "json", "jsonl"]))  # a damaged Parquet file can abort polars' process
    whole = in_format(suffix, ROWS)
    start, end = sorted(draw(st.tuples(st.integers(0, len(whole)), st.integers(0, len(whole)))))
    return suffix, whole[:start] + draw(st.binary(max_size=8)) + whole[end:]


@settings(max_examples=60, deadline=None)
@given(file=damaged_files())
def test_a_damaged_file_is_read_or_refused_by_name(file: tuple[str, bytes]) -> None:
    suffix, data = file
    try:
        table = read(f"file.{suffix}", data)
        outcome = "read" if all(len(each) == len(table.rows) for each in table.columns.values()) else "ragged"
    except UserError as error:
        outcome = str(error).partition(f"file.{suffix}")[1]
    assert outcome in ("read", f"file.{suffix}")

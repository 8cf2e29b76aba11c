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
# --- arbitrary texts and values ---------------------------------------------------------------------------------------
CELLS = st.text(st.sampled_from('\r\n\t",; a') | st.characters(codec="utf-8"))
VALUES = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False) | st.text()


def make_problem(number: int, outcome: Outcome, kind: str = "bad date") -> Problem:
    return Problem(kind, f"file.csv, row {number}", f"reason {number}", outcome)


def test_problems_are_counted_with_the_most_frequent_first() -> None:
    report = Report(problems=[make_problem(1, "kept", "rare"), make_problem(2, "dropped"), make_problem(3, "dropped")])
    assert list(report.count_problems().items()) == [(("bad date", "dropped"), 2), (("rare", "kept"), 1)]


def test_dropped_and_kept_problems_are_not_fatal() -> None:
    Report(problems=[make_problem(1, "dropped"), make_problem(2, "kept")]).stop_if_fatal()


def test_all_fatal_problems_are_listed_in_one_error() -> None:
    report = Report(problems=[make_problem(1, "stops"), make_problem(2, "dropped"), make_problem(3, "stops", "no id")])
    with pytest.raises(UserError) as caught:
        report.stop_if_fatal()
    message = str(caught.value)
    assert "2 bad rows" in message
    assert "file.csv, row 1: reason 1" in message
    assert "file.csv, row 3: reason 3" in message
    assert "row 2" not in message
    assert "data.drop_bad_rows=true" in message


def test_long_list_of_problems_is_counted_and_truncated() -> None:
    report = Report(problems=[make_problem(number, "stops") for number in range(1, 21)])
    with pytest.raises(UserError) as caught:
        report.stop_if_fatal()
    shown = [line for line in str(caught.value).splitlines() if "file.csv, row" in line]
    assert "20 bad rows" in str(caught.value)
    assert f"{20 - len(shown)} more" in str(caught.value)
    assert 1 < len(shown) < 20


def make_content(name: str, data: bytes | str) -> Content:
    return Content(name, data if isinstance(data, bytes) else data.encode(), "")


def make_config(**settings: Any) -> DataConfig:
    required = {"name": "x", "records": FileConfig(path="x"), "text": ["text"], "labels": LabelsConfig(column="labels")}
    return DataConfig(**{**required, **settings})


def read(name: str, data: bytes | str, **settings: Any) -> Table:
    return read_table(make_content(name, data), make_config(**settings))


def to_csv(rows: list[list[str]], **dialect: Any) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, **dialect).writerows(rows)
    return buffer.getvalue()


def to_format(suffix: str, rows: list[dict[str, Any]]) -> bytes:
    if suffix in ("csv", "tsv"):
        table = [list(rows[0]), *(list(row.values()) for row in rows)]
        return to_csv(table, delimiter="," if suffix == "csv" else "\t").encode()
    if suffix == "json":
        return json.dumps(rows).encode()
    if suffix == "jsonl":
        return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_all_formats_give_the_same_columns(suffix: str) -> None:
    table = read(f"file.{suffix}", to_format(suffix, ROWS))
    assert table.columns == {key: [row[key] for row in ROWS] for key in ROWS[0]}
    assert list(table.columns) == ["id", "text", "labels"]
    assert table.problems == []


@pytest.mark.parametrize(
    ("suffix", "location"),
    [
        ("csv", "file.csv, row 3"),  # the header is row 1
        ("tsv", "file.tsv, row 3"),
        ("json", "file.json, item 2"),
        ("jsonl", "file.jsonl, line 2"),
        ("parquet", "file.parquet, row 2"),
    ],
)
def test_location_names_file_and_row(suffix: str, location: str) -> None:
    assert read(f"file.{suffix}", to_format(suffix, ROWS)).location(1) == location


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.tab", "tsv"), ("a.ndjson", "jsonl"), ("a.pq", "parquet"), ("A.CSV", "csv")]
)
def test_alternative_suffixes_of_a_format_are_recognised(name: str, suffix: str) -> None:
    assert read(name, to_format(suffix, ROWS)).columns["text"] == [row["text"] for row in ROWS]


def test_configured_format_overrides_the_suffix() -> None:
    table = read("file.txt", to_format("jsonl", ROWS), format=Format.jsonl)
    assert table.columns["id"] == [row["id"] for row in ROWS]


def test_unknown_suffix_error_asks_for_the_format() -> None:
    with pytest.raises(UserError, match=r"file\.xlsx.*data\.format"):
        read("file.xlsx", b"")


# --- text encodings ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl"])
def test_byte_order_mark_is_removed_from_the_first_column_name(suffix: str) -> None:
    table = read(f"file.{suffix}", b"\xef\xbb\xbf" + to_format(suffix, ROWS))
    assert table.columns["id"] == [row["id"] for row in ROWS]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_invalid_byte_error_names_byte_and_line(suffix: str) -> None:
    with pytest.raises(UserError) as caught:
        read(f"file.{suffix}", b"first\nsecond\ncaf\xe9\nfourth")
    message = str(caught.value)
    assert f"file.{suffix}, line 3" in message
    assert "0xe9" in message
    assert "utf-8" in message
    assert "data.encoding" in message


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_configured_encoding_is_used_for_decoding(encoding: str) -> None:
    assert read("file.csv", "text\ncafé".encode(encoding), encoding=encoding).columns == {"text": ["café"]}


def test_unknown_encoding_is_named_in_the_error() -> None:
    with pytest.raises(UserError, match=r"data\.encoding='utf-9'"):
        decode(make_content("file.csv", b"text"), "utf-9")


# --- CSV and TSV ------------------------------------------------------------------------------------------------------
def test_columns_without_header_are_numbered_from_one() -> None:
    table = read("file.csv", "a,b\nc,d\n", header=False)
    assert table.columns == {"1": ["a", "c"], "2": ["b", "d"]}
    assert table.rows == [1, 2]


def test_columns_without_header_use_configured_names() -> None:
    assert read("file.tsv", "a\tb\n", header=False, column_names=["text", "labels"]).columns == {
        "text": ["a"],
        "labels": ["b"],
    }


def test_wrong_number_of_column_names_is_rejected() -> None:
    with pytest.raises(UserError, match=r"\b2 columns.*data\.column_names.*\b3\b"):
        read("file.csv", "a,b\n", header=False, column_names=["a", "b", "c"])


def test_duplicate_configured_column_name_is_rejected() -> None:
    with pytest.raises(UserError, match=r"data\.column_names"):
        read("file.csv", "a,b\n", header=False, column_names=["text", "text"])


def test_duplicate_column_in_header_is_rejected() -> None:
    with pytest.raises(UserError, match=r"file\.csv.*'text'.*first row"):
        read("file.csv", "text,labels,text\na,b,c\n")


def test_multiline_fields_count_as_one_row() -> None:
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


def test_text_above_the_csv_field_size_limit_is_read() -> None:
    long_text = "word " * 50_000
    assert read("file.csv", f"text,labels\n{long_text},a\n").columns["text"] == [long_text]


@pytest.mark.parametrize(
    ("drop_bad_rows", "outcome"), [pytest.param(False, "stops", id="stops"), pytest.param(True, "dropped", id="drops")]
)
def test_rows_of_wrong_width_are_reported_as_problems(drop_bad_rows: bool, outcome: str) -> None:
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
def test_invalid_quoting_error_names_the_row(data: str) -> None:
    with pytest.raises(UserError, match=r"file\.csv, after row 2"):
        read("file.csv", data)


@pytest.mark.parametrize("data", ["", "\n\n", "\ufeff"])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_empty_file_is_reported_as_empty(suffix: str, data: str) -> None:
    with pytest.raises(UserError, match=rf"file\.{suffix}: .*empty"):
        read(f"file.{suffix}", data)


def test_header_only_file_gives_no_rows() -> None:
    assert read("file.csv", "text,labels\n").columns == {"text": [], "labels": []}


# --- JSON and JSONL ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("drop_bad_rows", "outcome"), [pytest.param(False, "stops", id="stops"), pytest.param(True, "dropped", id="drops")]
)
def test_invalid_jsonl_lines_are_reported_with_line_and_column(drop_bad_rows: bool, outcome: str) -> None:
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
    assert "column 10" in messages["2"]  # start of the unterminated string
    assert "list" in messages["4"]
    assert "column 9" in messages["6"]


def test_json_item_that_is_not_an_object_is_reported() -> None:
    table = read("file.json", '[{"text": "one"}, "two", null]')
    assert table.columns == {"text": ["one"]}
    assert [problem.place for problem in table.problems] == ["file.json, item 2", "file.json, item 3"]


def test_missing_json_keys_are_read_as_null() -> None:
    table = read("file.jsonl", '{"text": "one", "id": 1}\n{"labels": ["a"], "text": "two"}')
    assert table.columns == {"text": ["one", "two"], "id": [1, None], "labels": [None, ["a"]]}


def test_windows_and_trailing_line_ends_are_accepted() -> None:
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
def test_json_without_a_list_of_records_is_rejected(data: str, part: str) -> None:
    with pytest.raises(UserError, match=r"file\.json") as caught:
        read("file.json", data)
    assert part in str(caught.value)


def test_too_deeply_nested_jsonl_line_is_reported() -> None:
    table = read("file.jsonl", '{"text": "one"}\n' + "[" * 100_000)
    assert table.columns == {"text": ["one"]}
    assert [problem.place for problem in table.problems] == ["file.jsonl, line 2"]


def test_too_long_number_in_jsonl_is_reported() -> None:
    table = read("file.jsonl", '{"text": "one"}\n{"text": ' + "1" * 5000 + "}")
    assert table.columns == {"text": ["one"]}
    assert [problem.place for problem in table.problems] == ["file.jsonl, line 2"]


def test_too_long_number_in_json_is_rejected() -> None:
    with pytest.raises(UserError, match=r"file\.json"):
        read("file.json", '[{"text": ' + "1" * 5000 + "}]")


# --- Parquet ----------------------------------------------------------------------------------------------------------
def to_parquet(columns: dict[str, list[Any]]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


def test_parquet_keeps_lists_numbers_dates_and_nulls() -> None:
    columns = {
        "labels": [["a", "b"], [], None],
        "id": [1, 2, 3],
        "created_at": [date(2026, 1, 1), None, date(2026, 1, 3)],
    }
    table = read("file.parquet", to_parquet(columns))
    assert table.columns == columns
    assert table.rows == [1, 2, 3]


def test_binary_parquet_column_is_read_as_text() -> None:
    assert read("file.parquet", to_parquet({"text": ["naïve".encode()]})).columns == {"text": ["naïve"]}


@pytest.mark.parametrize("data", [b"", b"text,labels\none,a\n", b"PAR1 cut off PAR1"])
def test_invalid_parquet_file_is_rejected(data: bytes) -> None:
    with pytest.raises(UserError, match=r"file\.parquet: .*Parquet"):
        read("file.parquet", data)


def test_parquet_file_that_causes_polars_panic_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(_: object) -> None:  # damaged pages cause this, depending on the version
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
def test_csv_module_output_reads_back_unchanged(rows: list[list[str]], suffix: str, quoting: int) -> None:
    names = [f"column {index}" for index in range(len(rows[0]))]
    written = to_csv([names, *rows], delimiter="," if suffix == "csv" else "\t", quoting=quoting)
    table = read(f"file.{suffix}", written)
    assert table.problems == []
    assert table.rows == list(range(2, len(rows) + 2))
    columns = [[value or "" for value in table.columns[name]] for name in names]  # CSV cannot distinguish null from ""
    assert [list(row) for row in zip(*columns, strict=True)] == rows


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({"text": st.text(), "other": VALUES, "labels": st.lists(VALUES)}), min_size=1),
    suffix=st.sampled_from(["json", "jsonl"]),
    ascii_only=st.booleans(),
)
def test_json_module_output_reads_back_unchanged(rows: list[dict[str, Any]], suffix: str, ascii_only: bool) -> None:
    if suffix == "json":
        written = json.dumps(rows, ensure_ascii=ascii_only, indent=1)
    else:
        written = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    table = read(f"file.{suffix}", written)
    assert table.problems == []
    assert table.columns == {key: [row[key] for row in rows] for key in rows[0]}


@st.composite
def damaged_files(draw: st.DrawFn) -> tuple[str, bytes]:
    suffix = draw(st.sampled_from(["csv", "tsv", "json", "jsonl"]))  # a damaged Parquet file can abort the process
    content = to_format(suffix, ROWS)
    start, end = sorted(draw(st.tuples(st.integers(0, len(content)), st.integers(0, len(content)))))
    return suffix, content[:start] + draw(st.binary(max_size=8)) + content[end:]


@settings(max_examples=60, deadline=None)
@given(file=damaged_files())
def test_damaged_file_is_read_or_named_in_the_error(file: tuple[str, bytes]) -> None:
    suffix, data = file
    try:
        table = read(f"file.{suffix}", data)
        outcome = "read" if all(len(column) == len(table.rows) for column in table.columns.values()) else "ragged"
    except UserError as error:
        outcome = str(error).partition(f"file.{suffix}")[1]
    assert outcome in ("read", f"file.{suffix}")

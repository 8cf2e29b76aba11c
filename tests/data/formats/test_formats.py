import csv
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.formats.reading_files import Read, make_reader

from ratchet.config import DataConfig, Format, LabelKind, LabelsConfig, RecordsConfig
from ratchet.data.formats import Dialect, detect_format
from ratchet.data.formats.rows import is_used
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


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes a file and reads it."""
    return make_reader(tmp_path)


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
def test_all_formats_give_the_same_columns(suffix: str, read: Read) -> None:
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
def test_location_names_file_and_row(suffix: str, location: str, read: Read) -> None:
    assert read(f"file.{suffix}", to_format(suffix, ROWS)).locations[1] == location


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.tab", "tsv"), ("a.ndjson", "jsonl"), ("a.pq", "parquet"), ("A.CSV", "csv")]
)
def test_alternative_suffixes_of_a_format_are_recognised(name: str, suffix: str, read: Read) -> None:
    assert read(name, to_format(suffix, ROWS)).columns["text"] == [row["text"] for row in ROWS]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("dir.d/a.csv.gz", Format.csv),
        ("a.b.TSV.ZST", Format.tsv),
        ("a.jsonl.bz2", Format.jsonl),
        ("a.json.xz", Format.json),
        ("a.feather", Format.arrow),
        ("a.xls", Format.excel),
        ("a.db", Format.sqlite),
        ("a.ft", Format.fasttext),
    ],
)
def test_suffix_before_that_of_the_compression_decides(name: str, form: Format) -> None:
    assert detect_format(name, Dialect()) is form
    assert detect_format(name, Dialect(Format.csv)) is Format.csv


def test_configured_format_overrides_the_suffix(read: Read) -> None:
    table = read("file.txt", to_format("jsonl", ROWS), format=Format.jsonl)
    assert table.columns["id"] == [row["id"] for row in ROWS]


@pytest.mark.parametrize("name", ["file.docx", "file", "file.gz", ".csv", "file.csv.zip"])
def test_unknown_suffix_error_asks_for_the_format(name: str, read: Read) -> None:
    with pytest.raises(UserError, match=rf"{name}.*data\.format.*csv.*excel"):
        read(name, b"x")


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("a.zip", b"PK\x03\x04", "ZIP archive"),
        ("a.tar", bytes(257) + b"ustar\x0000", "TAR archive"),
        ("a.dat", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a", b"SQLite format 3\x00", "data.format=sqlite"),
    ],
)
def test_content_of_a_file_with_an_unknown_suffix_is_named(name: str, data: bytes, part: str, read: Read) -> None:
    with pytest.raises(UserError, match=part):
        read(name, data)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl"])
def test_byte_order_mark_is_removed_from_the_first_column_name(suffix: str, read: Read) -> None:
    table = read(f"file.{suffix}", b"\xef\xbb\xbf" + to_format(suffix, ROWS))
    assert table.columns["id"] == [row["id"] for row in ROWS]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_configured_encoding_is_used_for_decoding(encoding: str, read: Read) -> None:
    assert read("file.csv", "text\ncafé".encode(encoding), encoding=encoding).columns == {"text": ["café"]}


def test_files_are_read_again_by_each_iteration(tmp_path: Path) -> None:
    from ratchet.data.formats import open_rows

    for suffix in ("csv", "tsv", "json", "jsonl", "parquet"):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(to_format(suffix, ROWS))
        table = open_rows(path, "a", Dialect(Format[suffix]))
        assert list(table) == list(table)


@pytest.mark.parametrize(
    ("column", "used", "expected"),
    [
        ("text", ["text"], True),
        ("data", ["data.text"], True),
        ("data", ["data[0].text"], True),
        ("data", ["database"], False),
        ("text", [], False),
        ("text", None, True),
    ],
)
def test_column_is_used_by_its_name_or_a_path(column: str, used: list[str] | None, expected: bool) -> None:
    assert is_used(column, used) is expected


def test_dialect_follows_the_configuration_and_names_its_keys() -> None:
    config = DataConfig(
        name="x",
        records=RecordsConfig(path="x", under="items", sheet="one"),
        text=["text"],
        separator=";",
        quote=None,
        skip_rows=2,
        labels=LabelsConfig(column="label", kind=LabelKind.names),
    )
    dialect = Dialect.from_config(config)
    assert (dialect.separator, dialect.quote, dialect.skip_rows, dialect.under) == (";", None, 2, "items")
    assert dialect.repeated == ("label",)
    assert (dialect.key("quote"), dialect.key("under")) == ("data.quote", "data.records.under")
    assert Dialect(option_prefix="input_").key("under") == "input_under"


# --- round trips ------------------------------------------------------------------------------------------------------
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
def test_csv_module_output_reads_back_unchanged(
    rows: list[list[str]], suffix: str, quoting: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = [f"column {index}" for index in range(len(rows[0]))]
    separator = "," if suffix == "csv" else "\t"
    written = to_csv([names, *rows], delimiter=separator, quoting=quoting)
    read = make_reader(tmp_path_factory.mktemp("any"))
    # Texts with tabs and line ends may look like rows of TSV without quotation marks: read them as CSV.
    table = read(f"file.{suffix}", written, format=Format.csv, separator=separator)
    assert table.problems == []
    assert table.numbers == list(range(2, len(rows) + 2))
    columns = [[value or "" for value in table.columns[name]] for name in names]  # CSV cannot distinguish null from ""
    assert [list(row) for row in zip(*columns, strict=True)] == rows


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({"text": st.text(), "other": VALUES, "labels": st.lists(VALUES)}), min_size=1),
    suffix=st.sampled_from(["json", "jsonl"]),
    ascii_only=st.booleans(),
)
def test_json_module_output_reads_back_unchanged(
    rows: list[dict[str, Any]], suffix: str, ascii_only: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if suffix == "json":
        written = json.dumps(rows, ensure_ascii=ascii_only, indent=1)
    else:
        written = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    table = make_reader(tmp_path_factory.mktemp("any"))(f"file.{suffix}", written)
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
def test_damaged_file_is_read_or_named_in_the_error(
    file: tuple[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    suffix, data = file
    read = make_reader(tmp_path_factory.mktemp("any"))
    try:
        table = read(f"file.{suffix}", data)
        outcome = "read" if all(len(column) == len(table.rows) for column in table.columns.values()) else "ragged"
    except UserError as error:
        outcome = str(error).partition(f"file.{suffix}")[1]
    assert outcome in ("read", f"file.{suffix}")

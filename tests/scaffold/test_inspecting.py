import csv
import io
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.datasets import TOPICS
from tests.scaffold.ticket_files import (
    Row,
    compose_yaml,
    find_comment,
    inspect_and_read,
    join_labels,
    keep_first_label,
    make_rows,
    read_back,
    to_csv,
    write,
)

from ratchet.config import Format, LabelKind
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import SAMPLE
from ratchet.scaffold.inspecting import inspect_file


# --- formats ----------------------------------------------------------------------------------------------------------
def test_columns_of_a_csv_file_are_guessed(tmp_path: Path) -> None:
    path = write(tmp_path / "tickets.csv", to_csv(join_labels(make_rows())))
    data, prepared, inspection = inspect_and_read(path)
    assert (data.id, data.text, data.labels.column) == ("ticket", ["body"], "topics")
    assert (data.labels.kind, data.labels.separator) == (LabelKind.separated, ";")
    assert (data.format, data.header, data.created_at) == (Format.csv, True, None)
    assert prepared.labels == sorted(TOPICS)
    assert (inspection.name, inspection.num_records, inspection.is_multiclass) == ("tickets", 60, False)
    assert '";" between labels in 15 of 60 rows' in find_comment(inspection, "labels")


def test_named_columns_are_used_in_their_order(tmp_path: Path) -> None:
    rows = join_labels(make_rows(subject=lambda number: f"Ticket {number}"))
    data, prepared, _ = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)), text=["subject", "body"], id="ticket")
    assert data.text == ["subject", "body"]
    assert prepared.records[0].text.startswith("Ticket 0 ")


@pytest.mark.parametrize("separator", [";", "|", ",", "/", " ", ", "])
def test_separator_of_labels_is_found(tmp_path: Path, separator: str) -> None:
    path = write(tmp_path / "a.csv", to_csv(join_labels(make_rows(), separator)))
    data, prepared, _ = inspect_and_read(path, labels="topics")
    assert data.labels.separator == (separator.strip() or " ")
    assert prepared.labels == sorted(TOPICS)


def test_single_labels_are_multi_class(tmp_path: Path) -> None:
    data, prepared, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(keep_first_label(make_rows()))))
    assert data.labels.kind is LabelKind.single
    assert inspection.is_multiclass
    assert len(prepared.records) == 60


def test_comma_inside_a_class_name_does_not_divide_it(tmp_path: Path) -> None:
    names = ["Credit card, prepaid card", "Mortgage", "Payday loan, title loan"]
    rows = [row | {"topics": names[number % 3]} for number, row in enumerate(make_rows())]
    _, prepared, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert prepared.labels == names
    assert "# labels: {column: topics, kind: separated" in inspection.yaml, "the alternative must be shown"


def test_csv_file_separated_by_tabs_is_tsv(tmp_path: Path) -> None:
    data, prepared, _ = inspect_and_read(write(tmp_path / "a.csv", to_csv(join_labels(make_rows()), "\t")))
    assert data.format is Format.tsv
    assert len(prepared.records) == 60


def test_suffix_is_not_needed(tmp_path: Path) -> None:
    contents = {
        Format.csv: to_csv(join_labels(make_rows())),
        Format.tsv: to_csv(join_labels(make_rows()), "\t"),
        Format.json: json.dumps(make_rows()),
        Format.jsonl: "\n".join(map(json.dumps, make_rows())),
    }
    for file_format, text in contents.items():
        data, prepared, _ = inspect_and_read(write(tmp_path / f"{file_format.name}.txt", text))
        assert (data.format, len(prepared.records)) == (file_format, 60)


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".json"])
def test_json_lines_with_lists_are_read(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", "\n".join(map(json.dumps, make_rows())))
    data, prepared, _ = inspect_and_read(path)
    assert (data.format, data.labels.kind) == (Format.jsonl, LabelKind.list)
    assert prepared.labels == sorted(TOPICS)


def test_parquet_with_lists_and_dates_is_read(tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    pl.DataFrame(make_rows(opened=lambda number: start + timedelta(days=number))).write_parquet(tmp_path / "a.parquet")
    data, prepared, inspection = inspect_and_read(tmp_path / "a.parquet")
    assert (data.format, data.labels.kind, data.created_at) == (Format.parquet, LabelKind.list, "opened")
    assert prepared.records[0].created_at == datetime(2026, 1, 1)
    assert "encoding:" not in inspection.yaml


def test_columns_of_a_file_without_a_header_are_numbered(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", to_csv(keep_first_label(make_rows()), header=False))
    data, prepared, _ = inspect_and_read(path)
    assert (data.header, data.text, data.labels.column) == (False, ["2"], "3")
    assert len(prepared.records) == 60
    assert inspect_and_read(path, text=["2"], labels="3")[0].text == ["2"]


def test_quoted_line_breaks_belong_to_the_text(tmp_path: Path) -> None:
    rows = [row | {"body": row["body"].replace(" ", "\n", 3) + ', "quoted", end'} for row in join_labels(make_rows())]
    data, prepared, _ = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert data.format is Format.csv
    assert {record.text for record in prepared.records} == {row["body"] for row in rows}


# --- encodings --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    rows = join_labels(make_rows(place=lambda number: ["Köln", "Zürich"][number % 2]))
    data, prepared, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows), encoding))
    assert data.encoding == encoding
    assert data.id == "ticket", "a byte order mark must not become part of the first name"
    assert {record.columns["place"] for record in prepared.records} == {"Köln", "Zürich"}
    assert ("Köln" in find_comment(inspection, "encoding")) == (encoding == "cp1252"), "a guess shows words to check"


@pytest.mark.parametrize("columns", [{}, {"note": lambda number: ["K\xf6ln", "\x8d"][number % 2], "number": str}])
def test_latin_1_is_found_by_its_control_characters(tmp_path: Path, columns: dict[str, Any]) -> None:
    rows = join_labels(make_rows(**columns))
    if not columns:
        rows = [row | {"body": f"{row['body']} K\xf6ln \x8d"} for row in rows]
    data, _, _ = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows), "latin-1"))
    assert data.encoding == "latin-1"


# --- dates, ids, parts, groups ----------------------------------------------------------------------------------------


def test_large_file_is_sampled_and_then_checked_on_all_rows(tmp_path: Path) -> None:
    rows = make_rows(SAMPLE + 1_000)
    rows[2_345]["ticket"] = rows[0]["ticket"]
    rows[4_567]["topics"] = 7
    inspection = inspect_file(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert f"{SAMPLE:,}" in inspection.yaml.splitlines()[0]
    assert "record 2,346" in dict(inspection.findings)["id"]
    assert "line 4568" in dict(inspection.findings)["bad labels"]
    assert inspection.num_records == len(rows) - 1


# --- names and comments -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("My Tickets (März).csv", "my-tickets-maerz"),
        (".hidden.csv", "hidden"),
        ("2026.csv", "data-2026"),
        ("base_data.csv", "data-base_data"),
        ("日本.csv", "data"),
        ("a ${x} #b.csv", "a-x-b"),
    ],
)
def test_name_of_the_data_set_can_be_typed(tmp_path: Path, file: str, name: str) -> None:
    _, _, inspection = inspect_and_read(write(tmp_path / file, to_csv(join_labels(make_rows()))))
    assert inspection.name == name


def test_given_name_is_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", to_csv(join_labels(make_rows())))
    assert inspect_file(path, name="B.2").name == "B.2"
    with pytest.raises(UserError, match="name='a/b'"):
        inspect_file(path, name="a/b")


def test_schema_comment_is_the_first_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", to_csv(join_labels(make_rows())))
    inspection = inspect_file(path, schema_comment="# yaml-language-server: $schema=../schema.json")
    assert inspection.yaml.splitlines()[0] == "# yaml-language-server: $schema=../schema.json"
    assert read_back(inspection, tmp_path)[0].name == "a"


@pytest.mark.parametrize(
    "column", ["yes", "1e3", "a: b", "${x}", "\\${x}", "#", "ü\u2028x", '"', "null", "[a]", "\x7f"]
)
def test_any_column_name_can_be_written(tmp_path: Path, column: str) -> None:
    rows = [{column: row["body"], "topics": row["topics"]} for row in make_rows()]
    data, prepared, _ = inspect_and_read(write(tmp_path / "a.json", json.dumps(rows)))
    assert data.text == [column]
    assert len(prepared.records) == 60


# --- what is only reported --------------------------------------------------------------------------------------------


# --- refusals ---------------------------------------------------------------------------------------------------------
def test_misspelt_column_gets_the_nearest_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", to_csv(join_labels(make_rows())))
    for named in ({"labels": "topcs"}, {"text": ["topcs"]}, {"id": "topcs"}):
        with pytest.raises(UserError, match=r"'topcs' \((labels|text|id)\); did you mean 'topics'"):
            inspect_file(path, **named)


def test_several_columns_that_may_be_labels_are_listed(tmp_path: Path) -> None:
    rows = [row | {"tags": row["topics"]} for row in join_labels(make_rows())]
    with pytest.raises(UserError, match="labels=topics, labels=tags"):
        inspect_file(write(tmp_path / "a.csv", to_csv(rows)))


def test_findings_have_values_as_yaml(tmp_path: Path) -> None:
    text = to_csv(join_labels(make_rows()), separator=";").replace(";", "; ")
    findings = inspect_file(write(tmp_path / "a.csv", text)).findings
    assert [key for key, _ in findings][:5] == ["format", "encoding", "header", "separator", "skip_initial_space"]
    values = {key: value.partition(",")[0] for key, value in findings}
    assert values["encoding"] == "utf-8"
    assert values["separator"] == '";"'
    assert values["skip_initial_space"] == "true"
    bare = "body,topic\n" + "".join(f'the 1" disk {number} is full,{"ab"[number % 2]}\n' for number in range(20))
    assert dict(inspect_file(write(tmp_path / "b.csv", bare)).findings).get("quote", "null,").startswith("null,")


def swap(rows: list[Row], **columns: Any) -> str:
    return to_csv([row | columns for row in rows])


@pytest.mark.parametrize(
    ("text", "named", "message"),
    [
        (" \n", {}, "empty"),
        ("\ufeff\n", {}, "empty"),
        ("word\n" * 20, {}, "not a table"),
        ("body,topics\n", {}, "no rows, only the columns body, topics"),
        ("body,topics\n", {"labels": "topics"}, "no rows"),
        (to_csv(join_labels(make_rows(9))), {}, "9 records"),
        (swap(make_rows(), topics="all"), {"labels": "topics"}, "only one label, 'all'"),
        (swap(make_rows(), topics=""), {"labels": "topics"}, "no value"),
        (to_csv(join_labels(make_rows())), {"labels": "ticket"}, "does not look like labels"),
        (to_csv(join_labels(make_rows())), {"labels": "body"}, "does not look like labels"),
        (to_csv(join_labels(make_rows())), {"labels": "topics", "text": ["topics"]}, "both text and labels"),
        (to_csv([row | {"topics": "<a><b>"} for row in make_rows()]), {}, "angle brackets"),
        ("it's,bug\n" + "'it is','bug'\n" * 8 + "'it's','ui'\n" * 12, {}, "single quotes"),
        ("".join(f"{i};{'ab'[i % 2]};3,5\n" for i in range(20)), {}, "text=NAME"),
        (
            to_csv([{"body": f"five words in text {i}", "bug": 0, "ui": i % 2} for i in range(20)]),
            {},
            "columns bug, ui",
        ),
        ("a,b,a\n" + "x,y,z\n" * 20, {}, "text=NAME"),
        ("body,number\n" + "".join(f"a text of many words {i},{i}\n" for i in range(20)), {}, "labels=NAME"),
        (to_csv([{"topics": "ab"[number % 2], "n": number} for number in range(20)]), {}, "text=NAME"),
    ],
)
def test_unusable_csv_is_refused(tmp_path: Path, text: str, named: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        inspect_file(write(tmp_path / "a.csv", text), **named)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"data": "none"}, "one JSON object"),
        ("text", "JSON str"),
        ([1, 2, 3], "item 1"),
        ([row | {"topics": [{"name": "x"}]} for row in make_rows()], "only one label"),
        ([row | {"topics": {"x": 1}} for row in make_rows()], "has objects"),
    ],
)
def test_unusable_json_is_refused(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        inspect_file(write(tmp_path / "a.json", json.dumps(value)))


def test_text_column_of_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'topics' holds lists"):
        inspect_file(write(tmp_path / "a.json", json.dumps(make_rows(kind="x"))), text=["topics"], labels="kind")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 something", "ZIP archive: unpack it"),
        (b"\x1f\x8b\x08 something", "gzip"),
        (b"PAR1 something", "not a Parquet file"),
        (bytes(range(256)) * 20, "binary"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(100), "binary"),
    ],
)
def test_binary_file_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        inspect_file(path)


def test_path_that_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        inspect_file(tmp_path / "a.csv")
    with pytest.raises(UserError, match="the directory is empty"):
        inspect_file(tmp_path)
    path = write(tmp_path / "a.csv", "a,b")
    path.chmod(0)
    if not os.access(path, os.R_OK):
        with pytest.raises(UserError, match="cannot be read"):
            inspect_file(path)


# --- arbitrary tables -------------------------------------------------------------------------------------------------
PRINTABLE = st.characters(codec="utf-8", exclude_categories=["Cc"])  # many control characters mean a binary file
NAMES = st.text(st.sampled_from('ab1 .-_:#"${}\\ü\u2028') | PRINTABLE, min_size=1, max_size=8)
CELLS = st.text(st.sampled_from("\r\n\t\",;|a '") | PRINTABLE, max_size=20)
ENCODINGS = ["utf-8", "utf-16"]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """Draw a table of text, class and any other columns."""
    names = draw(
        st.lists(NAMES.filter(lambda name: name.strip() and name != "???"), min_size=2, max_size=5, unique=True)
    )
    size = draw(st.integers(10, 25))
    others = st.lists(CELLS | st.sampled_from(["train", "test", "2026-01-01"]), min_size=size, max_size=size)
    columns = [draw(others) for _ in names]
    columns[0] = [f"text {number} {cell}" for number, cell in enumerate(columns[0])]
    columns[1] = [f"class{number % 2}" for number in range(size)]
    return names, [list(row) for row in zip(*columns, strict=True)]


@settings(max_examples=60)
@given(table=tables(), suffix=st.sampled_from([".csv", ".tsv", ".json", ".jsonl"]))
def test_any_table_is_described_so_that_every_row_is_read(
    tmp_path_factory: pytest.TempPathFactory, table: tuple[list[str], list[list[str]]], suffix: str
) -> None:
    names, rows = table
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    texts = {
        ".csv": lambda: to_csv(objects),
        ".tsv": lambda: to_csv(objects, "\t"),
        ".json": lambda: json.dumps(objects),
        ".jsonl": lambda: "\n".join(map(json.dumps, objects)),
    }
    directory = tmp_path_factory.mktemp("any")
    path = write(directory / f"table{suffix}", texts[suffix]())
    inspection = inspect_file(path, text=names[:1], labels=names[1])
    data, prepared = read_back(inspection, directory)
    assert (data.text, data.labels.column, data.labels.kind) == (names[:1], names[1], LabelKind.single)
    assert len(prepared.records) == inspection.num_records == len(rows)
    assert [record.text for record in sorted(prepared.records, key=lambda record: int(record.text.split()[1]))] == [
        row[0] for row in rows
    ]


@settings(max_examples=60)
@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=20), encoding=st.sampled_from(["utf-8", "utf-16"])
)
def test_any_content_is_described_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: Sequence[list[str]], encoding: str
) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    directory = tmp_path_factory.mktemp("any")
    path = write(directory / "table.csv", buffer.getvalue(), encoding)
    refusal = ""
    try:
        compose_yaml(inspect_file(path), directory)
    except UserError as error:
        refusal = str(error)
    assert refusal == "" or refusal.startswith(str(path))

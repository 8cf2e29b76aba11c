"""Test the dialects that `init` detects: the YAML that it writes gives the records that were written."""

import bz2
import csv
import gzip
import io
import json
import lzma
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.scaffold.conftest import ReadBack
from tests.scaffold.ticket_files import write

from ratchet.config import DataConfig, Format
from ratchet.errors import UserError
from ratchet.scaffold.dialects import detect_dialect
from ratchet.scaffold.inspecting import Inspection, inspect_file

SIZE = 24
LABELS = ["login", "billing", "speed"]
WORDS = ["the page is slow today", "my card was charged twice", "I cannot sign in any more"]
TEXTS = [f"{WORDS[number % 3]} since day {number}" for number in range(SIZE)]
EXPECTED = {text: LABELS[number % 3] for number, text in enumerate(TEXTS)}


def to_csv(texts: list[str] = TEXTS, *, header: bool = True, **dialect: Any) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n", **dialect)
    if header:
        writer.writerow(["message", "topic"])
    writer.writerows((text, LABELS[number % 3]) for number, text in enumerate(texts))
    return buffer.getvalue()


def make_objects(**columns: Any) -> list[dict[str, Any]]:
    return [{"message": text, "topic": label, **columns} for text, label in EXPECTED.items()]


@pytest.fixture
def check(read_back: ReadBack) -> Callable[..., tuple[DataConfig, Inspection]]:
    """Return a function that inspects a file, and compares the records of its YAML with those expected."""

    def inspect(path: Path, expected: dict[str, str] = EXPECTED, **named: Any) -> tuple[DataConfig, Inspection]:
        inspection = inspect_file(path, **named)
        config, prepared = read_back(inspection)
        assert {record.text: ",".join(record.labels) for record in prepared.records} == expected
        assert inspection.num_records == len(expected)
        return config.data, inspection

    return inspect


Check = Callable[..., tuple[DataConfig, Inspection]]
QUOTED = [text.replace("the ", 'the "new" ') for text in TEXTS]
BARE = [f'"{text}" she wrote' if number % 4 == 0 else text for number, text in enumerate(TEXTS)]
PATHS = [f'{text} in "C:\\dir", I think' for text in TEXTS]


def by_text(texts: list[str]) -> dict[str, str]:
    return {text: LABELS[number % 3] for number, text in enumerate(texts)}


@pytest.mark.parametrize(
    ("content", "keys", "texts"),
    [
        (to_csv(delimiter=";"), {"separator": ";"}, TEXTS),
        (to_csv(delimiter="|"), {"separator": "|"}, TEXTS),
        (to_csv(delimiter="^"), {"separator": "^"}, TEXTS),
        (to_csv(delimiter="\x1f"), {"separator": "\x1f"}, TEXTS),
        (to_csv(delimiter=";", header=False), {"separator": ";", "header": False}, TEXTS),
        (to_csv([f"{text}; yes" for text in TEXTS], delimiter=";"), {"separator": ";"}, [f"{t}; yes" for t in TEXTS]),
        ("sep=;\n" + to_csv(delimiter=";"), {"separator": None}, TEXTS),
        ('"sep=|"\n' + to_csv(delimiter="|"), {"separator": None}, TEXTS),
        (
            to_csv(BARE, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None),
            {"format": Format.tsv, "quote": None},
            BARE,
        ),
        (
            to_csv(['"' + text if number % 5 == 0 else text for number, text in enumerate(TEXTS)], delimiter="\t")
            .replace('"""', '"')
            .replace('"\t', "\t"),
            {"format": Format.tsv, "quote": None},
            ['"' + text if number % 5 == 0 else text for number, text in enumerate(TEXTS)],
        ),
        (to_csv(QUOTED, doublequote=False, escapechar="\\", quoting=csv.QUOTE_ALL), {"escape": "\\"}, QUOTED),
        (to_csv(PATHS[:12] + QUOTED[12:]), {"escape": None}, PATHS[:12] + QUOTED[12:]),
        (to_csv([f"{t}, yes" for t in TEXTS], quotechar="'"), {"quote": "'"}, [f"{t}, yes" for t in TEXTS]),
        (to_csv(quotechar="'", quoting=csv.QUOTE_ALL), {"quote": "'"}, TEXTS),
        (to_csv().replace(",", ", "), {"skip_initial_space": True}, TEXTS),
        (to_csv(quoting=csv.QUOTE_ALL).replace('","', '", "'), {"skip_initial_space": True}, TEXTS),
        ("# exported, by me, today\n" + to_csv(), {"comment": "#"}, TEXTS),
        ("// it's \"old\n" + to_csv() + "// the end\n", {"comment": "//"}, TEXTS),
        (to_csv().replace("message", "#message"), {"comment": None}, TEXTS),
        ("Tickets of May\n\n" + to_csv(), {"skip_rows": 2}, TEXTS),
        ("Tickets of May\nby Ann, 2 June\n\n" + to_csv(), {"skip_rows": 3}, TEXTS),
        (to_csv().replace("\n", "\n\n", 3), {"skip_rows": 0}, TEXTS),
        (
            "Report;;\nmade by;;\n" + to_csv(delimiter=";").replace("\n", ";x\n").replace("topic;x", "topic;note"),
            {"skip_rows": 2},
            TEXTS,
        ),
        ("sep=;\nA title\n" + to_csv(delimiter=";"), {"skip_rows": 2, "separator": None}, TEXTS),
        (to_csv(delimiter="\t"), {"format": Format.tsv, "quote": '"'}, TEXTS),
        (to_csv(TEXTS, delimiter=";").replace("\n", "\r\n"), {"separator": ";"}, TEXTS),
    ],
)
def test_keys_of_a_delimited_file_are_found(
    tmp_path: Path, check: Check, content: str, keys: dict[str, Any], texts: list[str]
) -> None:
    data, inspection = check(write(tmp_path / "a.csv", content), by_text(texts))
    assert {key: getattr(data, key) for key in keys} == keys
    for key, value in keys.items():
        if value != getattr(DataConfig(name="", text=[]), key):
            assert f"{key}: " in inspection.yaml
            assert (
                inspection.yaml.partition(f"\n{key}: ")[0].rpartition("\n")[2].startswith("#")
                or "#" in (inspection.yaml.partition(f"\n{key}: ")[2].partition("\n")[0])
            ), "each key has its evidence"


def test_numbered_rows_of_r_get_the_names_of_the_header(tmp_path: Path, check: Check) -> None:
    lines = ["message\ttopic", *(f"{n}\t{text}\t{label}" for n, (text, label) in enumerate(EXPECTED.items(), 1))]
    data, _ = check(write(tmp_path / "a.tsv", "\n".join(lines)), text=["message"], labels="topic")
    assert (data.header, data.skip_rows, data.column_names) == (False, 1, ["row", "message", "topic"])


def test_row_that_begins_with_a_number_sign_is_no_comment(tmp_path: Path, check: Check) -> None:
    texts = [f"#{number} {text}" if number % 6 == 0 else text for number, text in enumerate(TEXTS)]
    data, _ = check(write(tmp_path / "a.csv", to_csv(texts)), by_text(texts))
    assert data.comment is None


def test_line_separator_of_unicode_does_not_end_a_row(tmp_path: Path, check: Check) -> None:
    texts = [f"{text}\u2028next" for text in TEXTS]
    check(write(tmp_path / "a.csv", to_csv(texts, delimiter=";")), by_text(texts))


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstd.compress)],
)
@pytest.mark.parametrize("form", [".csv", ".jsonl"])
def test_compressed_file_is_read(
    tmp_path: Path, check: Check, suffix: str, pack: Callable[[bytes], bytes], form: str
) -> None:
    lines = "\n".join(map(json.dumps, make_objects()))
    content = to_csv(delimiter=";") if form == ".csv" else lines
    data, inspection = check(write(tmp_path / f"tickets{form}{suffix}", pack(content.encode())))
    assert inspection.name == "tickets"
    assert data.separator == (";" if form == ".csv" else None)


def test_compression_that_the_name_hides_is_refused_with_the_name_to_give(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rename it to .*a\.csv\.gz"):
        inspect_file(write(tmp_path / "a.csv", gzip.compress(to_csv().encode())))


# --- JSON -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("file", "content", "under", "form"),
    [
        ("a.json", {"items": make_objects()}, "items", Format.json),
        ("a.json", {"meta": {"v": 1}, "data": {"rows": make_objects()}}, "data.rows", Format.json),
        ("a.json", {"users": [{"id": 1}], "items": make_objects()}, "items", Format.json),
        ("a.json", make_objects(), None, Format.json),
        ("a.txt", make_objects(), None, Format.json),
        ("a.jsonl", make_objects(), None, Format.json),
        ("a.json", {"message": list(EXPECTED), "topic": list(EXPECTED.values())}, None, Format.json),
        (
            "a.json",
            {"message": dict(enumerate(EXPECTED)), "topic": dict(enumerate(EXPECTED.values()))},
            None,
            Format.json,
        ),
    ],
)
def test_records_in_json_are_found(
    tmp_path: Path, check: Check, file: str, content: Any, under: str | None, form: Format
) -> None:
    data, _ = check(write(tmp_path / file, json.dumps(content, indent=1)))
    assert (data.format, data.records.under) == (form, under)


@pytest.mark.parametrize("file", ["a.json", "a.jsonl", "a.txt"])
@pytest.mark.parametrize("as_lists", [True, False])
def test_json_lines_are_found_in_any_file(tmp_path: Path, check: Check, file: str, as_lists: bool) -> None:
    lines = [list(row.values()) if as_lists else row for row in make_objects()]
    data, _ = check(write(tmp_path / file, "\n".join(map(json.dumps, lines))))
    assert data.format is Format.jsonl
    assert data.text == (["1"] if as_lists else ["message"])


def test_array_of_pairs_is_read(tmp_path: Path, check: Check) -> None:
    data, _ = check(write(tmp_path / "a.json", json.dumps([list(pair) for pair in EXPECTED.items()])))
    assert (data.text, data.labels.column) == (["1"], "2")


def test_parts_under_keys_of_json_are_given(tmp_path: Path, check: Check) -> None:
    objects = make_objects()
    parts = {"training": objects[:16], "dev": objects[16:20], "test": objects[20:]}
    data, inspection = check(write(tmp_path / "a.json", json.dumps(parts)))
    assert data.records.keys == {"train": "training", "val": "dev", "test": "test"}
    assert data.split.method.name == "given"
    assert "training" in dict(inspection.findings)["split"]


# --- other formats ----------------------------------------------------------------------------------------------------
def test_fasttext_is_found(tmp_path: Path, check: Check) -> None:
    lines = "\n".join(f"__label__{label} {text}" for text, label in EXPECTED.items())
    for name in ("a.txt", "a.ft"):
        data, _ = check(write(tmp_path / name, lines))
        assert (data.format, data.text, data.labels.column) == (Format.fasttext, ["text"], "labels")


def test_arrow_and_parquet_are_found_by_content(tmp_path: Path, check: Check) -> None:
    pl.DataFrame(make_objects()).write_ipc(tmp_path / "a.feather")
    pl.DataFrame(make_objects()).write_parquet(tmp_path / "a.bin")
    assert check(tmp_path / "a.feather")[0].format is Format.arrow
    assert check(tmp_path / "a.bin")[0].format is Format.parquet


@pytest.mark.parametrize("table", ["tickets", 'the "table"'])
def test_query_of_the_only_table_is_written(tmp_path: Path, check: Check, table: str) -> None:
    make_database(tmp_path / "a.db", {table: make_objects()})
    data, _ = check(tmp_path / "a.db")
    assert data.format is Format.sqlite
    assert str(data.records.query).startswith("SELECT * FROM ")


def test_named_columns_choose_the_table_else_the_largest(tmp_path: Path, check: Check) -> None:
    others = [{"note": text, "kind": label} for text, label in EXPECTED.items()]
    make_database(tmp_path / "a.db", {"notes": [*others, *others[:1]], "tickets": make_objects()})
    data, inspection = check(tmp_path / "a.db", text=["message"])
    assert data.records.query == "SELECT * FROM tickets"
    inspection = inspect_file(tmp_path / "a.db")
    assert "SELECT * FROM notes" in inspection.yaml
    assert "SELECT * FROM tickets" in inspection.yaml, "the other table is suggested"
    with pytest.raises(UserError, match="no table with the columns body"):
        inspect_file(tmp_path / "a.db", text=["body"])


def make_database(path: Path, tables: dict[str, list[dict[str, Any]]]) -> None:
    connection = sqlite3.connect(path)
    for name, rows in tables.items():
        quoted = name.replace('"', '""')
        connection.execute(f'CREATE TABLE "{quoted}" ({", ".join(rows[0])})')
        connection.executemany(f'INSERT INTO "{quoted}" VALUES (?, ?)', [tuple(row.values()) for row in rows])
    connection.commit()
    connection.close()


@pytest.mark.parametrize("titles", [[], [["Tickets of May"], []]])
@pytest.mark.parametrize("cover", [False, True])
def test_sheet_and_title_rows_of_a_workbook_are_found(
    tmp_path: Path, check: Check, titles: list[list[str]], cover: bool
) -> None:
    pytest.importorskip("python_calamine")
    workbook = openpyxl.Workbook()
    if cover:
        workbook.create_sheet("Tickets")
    sheet = workbook.worksheets[-1]
    for row in [*titles, ["message", "topic"], *map(list, EXPECTED.items())]:
        sheet.append(row)
    workbook.save(tmp_path / "a.xlsx")
    data, _ = check(tmp_path / "a.xlsx")
    assert (data.format, data.skip_rows) == (Format.excel, len(titles))
    assert data.records.sheet == ("Tickets" if cover else None)


# --- arbitrary dialects -----------------------------------------------------------------------------------------------
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(st.tuples(st.text("ab \"',;|\t#\n", max_size=12), st.sampled_from(LABELS)), min_size=3, max_size=12),
    separator=st.sampled_from(",;\t|^"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_quoted_rows_of_any_text_are_read_as_written(
    tmp_path: Path, rows: list[tuple[str, str]], separator: str, quoting: int
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=separator, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([("message", "topic"), *((f"text {text} end", label) for text, label in rows)])
    path = write(tmp_path / "a.csv", buffer.getvalue())
    dialect = detect_dialect([path], ["message"])
    is_own = separator == {Format.csv: ",", Format.tsv: "\t"}[dialect.format]  # the separator of the format itself
    expected = None if is_own else separator
    assert (dialect.separator, dialect.quote, dialect.escape, dialect.skip_rows) == (expected, '"', None, 0)
    assert dialect.comment is None


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    content=st.text(st.sampled_from("ab1,;\t|\"'\\#\n\r =^") | st.characters(exclude_categories=["Cs"]), max_size=80)
)
def test_any_text_has_a_dialect_or_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    path = write(tmp_path / "a.csv", content)
    refusal = ""
    try:
        detect_dialect([path], [])
    except UserError as error:
        refusal = str(error)
    assert refusal == "" or refusal.startswith(str(path))

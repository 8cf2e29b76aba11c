import bz2
import gzip
import json
import lzma
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from tests.inference.naming import predict, read_text

from ratchet.config import Format
from ratchet.data.formats import Dialect
from ratchet.data.texts import TextColumns
from ratchet.errors import UserError
from ratchet.inference.readers import INPUT_DIALECT, reader_of

TITLE = TextColumns(("title",))
CSV = b"title,description\naudio,and graphs\nvision,\n"


def ignore(rows: int) -> None:
    pass


def make_dialect(**fields: object) -> Dialect:
    return Dialect(option_prefix="input_", **fields)  # type: ignore[arg-type]


def zstd(data: bytes) -> bytes:
    from backports.zstd import compress

    return compress(data)


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstd)]
)
def test_every_compression_is_read(suffix: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_bytes(CSV)
    (tmp_path / f"texts.csv{suffix}").write_bytes(pack(CSV))
    predict(tmp_path / "texts.csv", tmp_path / "out.csv")
    predict(tmp_path / f"texts.csv{suffix}", tmp_path / "packed.csv")
    assert read_text(tmp_path / "packed.csv") == read_text(tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        (b"id;title;description\n1;audio;a, b\n", make_dialect(separator=";")),
        (b"sep=;\nid;title;description\n1;audio;a, b\n", make_dialect()),
        (b'Report\n\nid,title,description\n1,audio,"a, b"\n', make_dialect(skip_rows=2)),
        (b'# made by hand\nid,title,description\n# nothing\n1,audio,"a, b"\n', make_dialect(comment="#")),
        (b'id, title, description\n1, audio, "a, b"\n', make_dialect(skip_initial_space=True)),
        ('id,title,description\n1,audio,"a, b"\n'.encode("utf-16"), make_dialect(encoding="utf-16")),
    ],
)
def test_dialects_of_training_are_options_of_the_input(content: bytes, dialect: Dialect, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_bytes(content)
    summary = predict(tmp_path / "texts.csv", tmp_path / "out.csv", dialect=dialect)
    assert summary.rows == 1
    assert read_text(tmp_path / "out.csv").splitlines()[1] == '1,audio,"a, b",audio,0.9'


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", b"id;title\n1;a\n", 'input_separator=";"'),
        ("a.csv", b"id\ttitle\n1\ta\n", "input_format=tsv"),
        ("a.csv", b"Report of May\nid,title\n1,a\n", "input_skip_rows=1"),
        ("a.csv", b'id,title\n1,"say \\"a\\", please"\n', 'input_escape="'),
        ("a.tsv", b'id\ttitle\n1\t"a" word\n', "input_quote=null"),
        ("a.csv", "id,title\n1,a\n".encode("utf-16"), "input_encoding=utf-16"),
        ("a.csv", b"id,title\n1,caf\xe9\n", "input_encoding"),
        ("a.csv", b"id,title\n1,a\nid,title\n2,b\n", "row 3: repeats the header"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        ("a.parquet", b"<!DOCTYPE html><html>", "HTML"),
        ("a.jsonl", b'[\n{"title": "a"}\n]\n', "input_format=json"),
        ("a.json", b'{"items": [{"title": "a"}]}', "input_under=items"),
        ("a.docx", b"title\n", "input_format"),
    ],
)
def test_message_about_another_dialect_names_the_option(name: str, content: bytes, part: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        reader_of(tmp_path / name).scan(TITLE, ignore)
    assert name in str(caught.value)
    assert part in str(caught.value)


def test_json_list_and_lists_below_a_key_are_read(tmp_path: Path) -> None:
    rows = [{"title": "audio", "description": "x"}, {"title": None, "description": "vision"}]
    (tmp_path / "list.json").write_text(json.dumps(rows))
    (tmp_path / "key.json").write_text(json.dumps({"data": {"items": rows}}))
    (tmp_path / "lines.json").write_text("\n".join(map(json.dumps, rows)))
    predict(tmp_path / "list.json", tmp_path / "list.jsonl")
    predict(tmp_path / "lines.json", tmp_path / "lines.jsonl")
    predict(tmp_path / "key.json", tmp_path / "key.jsonl", dialect=make_dialect(under="data.items"))
    expected = read_text(tmp_path / "list.jsonl")
    assert [json.loads(line)["predicted"] for line in expected.splitlines()] == [["audio"], ["vision"]]
    assert read_text(tmp_path / "lines.jsonl") == read_text(tmp_path / "key.jsonl") == expected


def test_sqlite_and_arrow_are_read(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("create table texts (title, description)")
        connection.executemany("insert into texts values (?, ?)", [("audio", "and graphs"), ("vision", None)])
        connection.commit()
    frame = pl.DataFrame({"title": ["audio", "vision"], "description": ["and graphs", None]})
    frame.write_ipc(tmp_path / "a.arrow")
    predict(tmp_path / "a.arrow", tmp_path / "arrow.csv")
    predict(tmp_path / "a.db", tmp_path / "db.csv", dialect=make_dialect(query="select * from texts"))
    expected = "title,description,predicted,scores\naudio,and graphs,audio;graphs,0.9;0.9\nvision,,vision,0.9\n"
    assert read_text(tmp_path / "arrow.csv") == read_text(tmp_path / "db.csv") == expected
    with pytest.raises(UserError, match="input_query"):
        reader_of(tmp_path / "a.db").scan(TITLE, ignore)


@pytest.mark.parametrize("output", ["out.csv", "out.jsonl", "out.parquet"])
def test_cells_of_excel_keep_their_values(output: str, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [["id", "title", "day", "n"], ["007", "audio", date(2026, 3, 1), 2], ["008", "vision", None, None]]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    predict(tmp_path / "a.xlsx", tmp_path / output, text=TITLE)
    if output == "out.csv":
        assert read_text(tmp_path / output).splitlines()[1:] == [
            "007,audio,2026-03-01,2,audio,0.9",
            "008,vision,,,vision,0.9",
        ]
    else:
        read = pl.read_parquet if output == "out.parquet" else pl.read_ndjson
        rows = read(tmp_path / output).select("id", "title", "day", "n").rows()
        assert rows == [("007", "audio", "2026-03-01", 2), ("008", "vision", None, None)]


def test_text_is_read_from_nested_objects(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"data": {"title": "audio"}}\n{"data": {"title": "vision"}}\n')
    summary = predict(tmp_path / "a.jsonl", tmp_path / "out.jsonl", text=TextColumns(("data.title",)))
    assert (summary.labels, summary.without_text) == (2, 0)
    with pytest.raises(UserError, match=r"no row has 'data\.titel'"):
        predict(tmp_path / "a.jsonl", tmp_path / "other.jsonl", text=TextColumns(("data.titel",)))


def test_texts_that_show_nothing_and_texts_without_words_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("title\naudio\n...\n\u200b\u200b\n \n", encoding="utf-8")
    summary = predict(tmp_path / "a.csv", tmp_path / "out.csv", text=TITLE)
    assert (summary.rows, summary.without_text, summary.without_words) == (4, 2, 1)


def test_another_dialect_prevents_resuming_only_if_it_differs(tmp_path: Path) -> None:
    from tests.inference.naming import request

    before = request(tmp_path / "a.csv", tmp_path / "b.csv").options()
    after = request(tmp_path / "a.csv", tmp_path / "b.csv", dialect=make_dialect(separator=";")).options()
    assert after == {**before, "input_separator": ";"}


def test_invalid_byte_is_reported_with_its_line(tmp_path: Path) -> None:
    """Decoders read ahead, so the line must not be that of the buffer's end."""
    lines = [b"title\n", *[b"good\n"] * 50_000]
    lines[40_000] = b"b\xe4d\n"
    for name, data in (("a.csv", b"".join(lines)), ("a.csv.gz", gzip.compress(b"".join(lines)))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=f"{name}, line 40001: byte 0xe4 is not utf-8"):
            reader_of(tmp_path / name).scan(TITLE, ignore)


@pytest.mark.parametrize(
    "data", [b"no gzip", gzip.compress(b'{"title": "a"}\n' * 1000, mtime=0)[:-20]], ids=["another file", "cut"]
)
def test_broken_gzip_file_is_reported(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.jsonl\.gz: cannot be read"):
        reader_of(tmp_path / "a.jsonl.gz").scan(TITLE, ignore)


def test_scan_counts_rows_and_collects_column_types(tmp_path: Path) -> None:
    progress: list[int] = []
    path = tmp_path / "a.jsonl"
    path.write_text('{"title": "a", "n": 1}\n' * 2000 + '{"title": null, "more": [1]}\n')
    scan = reader_of(path).scan(TITLE, progress.append)
    assert scan.rows == 2001
    assert scan.columns == {"title": ["NoneType", "str"], "n": ["int"], "more": ["[int]"]}
    assert progress == [1024]


def test_missing_column_error_suggests_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("titel,text\n" + "a\n")
    with pytest.raises(UserError, match=r"no column 'title'.*did you mean 'titel'\? The file has: titel, text"):
        reader_of(tmp_path / "a.csv").scan(TITLE, ignore)


def test_columns_of_a_file_without_header_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('x\t"audio" and more\ny\tvision\n')
    dialect = make_dialect(header=False, quote=None)
    summary = predict(tmp_path / "a.tsv", tmp_path / "out.csv", text=TextColumns(("2",)), dialect=dialect)
    assert (summary.rows, summary.labels) == (2, 2)
    assert read_text(tmp_path / "out.csv").splitlines()[:2] == [
        "1,2,predicted,scores",
        'x,"""audio"" and more",audio,0.9',
    ]


def test_format_of_the_input_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("__label__x __label__y audio and graphs\n__label__x\n")
    reader = reader_of(tmp_path / "a.txt", make_dialect(format=Format.fasttext))
    scan = reader.scan(TextColumns(("text",)), ignore)
    assert (scan.rows, scan.columns) == (2, {"labels": ["[str]"], "text": ["str"]})
    assert INPUT_DIALECT.format is Format.auto

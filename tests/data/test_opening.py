import bz2
import gzip
import io
import lzma
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.config import Format
from ratchet.data.formats import Dialect, open_rows
from ratchet.data.opening import decode, open_binary, open_text, parse_json, refuse_other_content
from ratchet.data.sources import Content
from ratchet.errors import UserError

TEXT = "id,text\n1,naïve 模型\n" * 3
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
PAGE = b"\n<!DOCTYPE html>\n<html><body>sign in</body></html>"


def pack_zstd(data: bytes) -> bytes:
    from backports.zstd import compress

    return compress(data)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": pack_zstd,
}


def write(directory: Path, name: str, data: bytes) -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def read_text(path: Path, encoding: str = "utf-8") -> str:
    with open_text(path, path.name, encoding) as file:
        return file.read()


def find_refusal(path: Path, encoding: str = "utf-8") -> str:
    with pytest.raises(UserError) as caught:
        read_text(path, encoding)
    return str(caught.value)


def make_workbook(part: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(part, "x")
    return buffer.getvalue()


# --- compressed files -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", PACKERS)
def test_packed_files_are_unpacked(suffix: str, tmp_path: Path) -> None:
    pack = PACKERS[suffix]
    path = write(tmp_path, f"a.csv{suffix.upper()}", pack(b"\xef\xbb\xbf" + TEXT.encode()) + pack(b"joined"))
    assert read_text(path) == TEXT + "joined"
    with open_binary(path, "a") as file:
        assert file.read(5) == b"\xef\xbb\xbfid"


@pytest.mark.parametrize("suffix", PACKERS)
def test_packed_file_that_is_cut_off_is_reported(suffix: str, tmp_path: Path) -> None:
    data = PACKERS[suffix](bytes(range(1, 256)) * 500 + TEXT.encode())
    path = write(tmp_path, f"a.csv{suffix}", data[: len(data) - 9])
    assert find_refusal(path, "latin-1").startswith(f"a.csv{suffix}: cannot be read: ")


@pytest.mark.parametrize("suffix", PACKERS)
def test_packed_file_under_another_name_is_refused(suffix: str, tmp_path: Path) -> None:
    data = PACKERS[suffix](TEXT.encode())
    assert f"rename it to a.csv{suffix}" in find_refusal(write(tmp_path, "a.csv", data))
    other = ".gz" if suffix != ".gz" else ".xz"
    assert f"rename it to b.csv{suffix}" in find_refusal(write(tmp_path, f"b.csv{other}", data))
    assert "rename it to c.csv" in find_refusal(write(tmp_path, f"c.csv{suffix}", TEXT.encode()))


@pytest.mark.parametrize("suffix", PACKERS)
def test_cause_is_named_within_and_in_place_of_packed_files(suffix: str, tmp_path: Path) -> None:
    assert "git lfs pull" in find_refusal(write(tmp_path, f"a.csv{suffix}", POINTER))
    assert "HTML" in find_refusal(write(tmp_path, f"b.csv{suffix}", PACKERS[suffix](PAGE)))
    assert "empty" in find_refusal(write(tmp_path, f"c.csv{suffix}", b""))
    assert "empty" in find_refusal(write(tmp_path, f"d.csv{suffix}", PACKERS[suffix](b"")))


# --- files that are something else ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "part"),
    [
        (POINTER, "git lfs pull"),
        (PAGE, "HTML page (a login?)"),
        (b"\xef\xbb\xbf<html lang='en'>", "HTML page"),
        (b'<?xml version="1.0"?><records/>', "XML"),
        (b"%PDF-1.7\n", "PDF"),
        (b"SQLite format 3\x00\x10", "data.format=sqlite and data.records.query"),
        (b"PAR1\x15\x04", "data.format=parquet"),
        (b"ARROW1\x00\x00", "data.format=arrow"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "data.format=excel"),
        (make_workbook("xl/workbook.xml"), "data.format=excel (needs ratchet-ml[excel])"),
        (make_workbook("texts.csv"), "ZIP archive: unpack it"),
        (b"", "the file is empty"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.ft"])
def test_content_of_another_kind_is_named(name: str, data: bytes, part: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        open_rows(write(tmp_path, name, data), name, Dialect(), ["text"])
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert part in message


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.xlsx", "a.sqlite"])
@pytest.mark.parametrize("data", [POINTER, PAGE, b"", gzip.compress(b"x")], ids=["pointer", "page", "empty", "gzip"])
def test_content_of_another_kind_is_named_for_binary_formats(name: str, data: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^{name}: .*(lfs pull|HTML|empty|gzip)"):
        open_rows(write(tmp_path, name, data), name, Dialect(), ["text"])


def test_content_of_its_own_kind_is_accepted(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["a"]}).write_parquet(tmp_path / "a.parquet")
    refuse_other_content(tmp_path / "a.parquet", "a", Format.parquet)
    sqlite3.connect(tmp_path / "a.db").execute("create table a (b)").connection.close()
    refuse_other_content(tmp_path / "a.db", "a", Format.sqlite)
    with pytest.raises(UserError, match=r"data\.format=parquet"):
        refuse_other_content(tmp_path / "a.parquet", "a", Format.excel)


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.csv: cannot be read: No such file"):
        read_text(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"a\.db: cannot be read: No such file"):
        refuse_other_content(tmp_path / "a.db", "a.db", Format.sqlite)


# --- encodings --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("configured", ["utf-8", "latin-1", "cp1252"])
def test_byte_order_mark_names_the_encoding(encoding: str, configured: str, tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", TEXT.encode(encoding))
    assert f"data.encoding={encoding}" in find_refusal(path, configured)
    assert read_text(path, encoding) == TEXT


@pytest.mark.parametrize(("encoding", "mark"), [("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")])
def test_utf_16_is_recognised_without_a_mark(encoding: str, mark: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "id,text\n1,hello\n".encode(encoding))
    assert f"data.encoding={encoding}" in find_refusal(path)
    assert f"data.encoding={encoding}" in find_refusal(path, "latin-1")
    assert read_text(path, encoding).startswith("id,")
    assert read_text(write(tmp_path, "b.csv", mark + TEXT.encode(encoding)), encoding) == TEXT


def test_utf_8_with_a_mark_is_not_read_as_latin_1(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b"\xef\xbb\xbf" + TEXT.encode())
    assert read_text(path) == read_text(path, "utf-8-sig") == TEXT
    assert "data.encoding=utf-8" in find_refusal(path, "cp1252")


def test_zero_bytes_are_no_text_in_one_byte_encodings(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b"id,text\n1,a\x00b\n")
    assert "zero bytes" in find_refusal(path, "latin-1")
    assert read_text(path) == "id,text\n1,a\x00b\n"


@pytest.mark.parametrize("data", [bytes(80), bytes(30) + b"id,text\n1,a\n", b"\x00\x00\x00a" * 20])
def test_a_file_with_many_zero_bytes_may_be_binary(data: bytes, tmp_path: Path) -> None:
    assert "it may be a binary file" in find_refusal(write(tmp_path, "a.csv", data))


@pytest.mark.parametrize("suffix", ["", *PACKERS])
def test_invalid_byte_is_reported_with_its_line(suffix: str, tmp_path: Path) -> None:
    data = b"text\n" * 300_000 + "naïve\n".encode() + b"b\xe4d\n"
    path = write(tmp_path, f"a.csv{suffix}", PACKERS[suffix](data) if suffix else data)
    message = find_refusal(path)
    assert f"a.csv{suffix}, line 300002: byte 0xe4 is not utf-8" in message
    assert "data.encoding" in message


def test_text_that_ends_within_a_character_is_reported(tmp_path: Path) -> None:
    assert "line 2: byte 0xc3" in find_refusal(write(tmp_path, "a.csv", b"text\ncaf\xc3"))


def test_unknown_encoding_is_named(tmp_path: Path) -> None:
    assert "data.encoding='utf-9'" in find_refusal(write(tmp_path, "a.csv", b"text"), "utf-9")


@pytest.mark.parametrize("encoding", ["hex", "rot13", "undefined", "utf\0", ""])
def test_what_is_no_text_encoding_is_named(encoding: str, tmp_path: Path) -> None:
    assert "data.encoding=" in find_refusal(write(tmp_path, "a.csv", b"text"), encoding)


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_missing_byte_order_mark_names_the_byte_order(encoding: str, order: str, tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", TEXT.encode(f"{encoding}-{order}"))
    assert find_refusal(path, encoding).endswith(f"data.encoding={encoding}-{order}")
    assert read_text(path, f"{encoding}-{order}") == TEXT


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=60), name=st.sampled_from(["a.csv", "a.tsv", "a.json", "a.jsonl", "a.ft", "a.csv.gz"]))
def test_any_bytes_are_read_or_refused(data: bytes, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write(tmp_path_factory.mktemp("any"), name, data)
    message = name
    try:
        rows = list(open_rows(path, name, Dialect(), ["text"]))
    except UserError as error:
        message, rows = str(error), []
    assert message.startswith(name)
    assert len(rows) <= 1 + data.count(b"\n") + data.count(b"\r")


# --- small files ------------------------------------------------------------------------------------------------------
def make_content(data: bytes, name: str = "labels.txt") -> Content:
    return Content(name, data, "")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "utf-16"])
def test_small_file_is_decoded(encoding: str) -> None:
    assert decode(make_content("café".encode(encoding)), encoding) == "café"


def test_small_file_is_decoded_without_its_mark() -> None:
    assert decode(make_content(b"\xef\xbb\xbfcaf\xc3\xa9"), "utf-8") == "café"


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"first\nsecond\ncaf\xe9\n", "labels.txt, line 3: byte 0xe9 is not utf-8"),
        (POINTER, "git lfs pull"),
        (PAGE, "HTML"),
        ("a\nb".encode("utf-16"), "data.encoding=utf-16"),
        (gzip.compress(b"a", mtime=0), "gzip"),
    ],
)
def test_small_file_that_is_something_else_is_refused(data: bytes, part: str) -> None:
    with pytest.raises(UserError, match="labels") as caught:
        decode(make_content(data), "utf-8")
    assert part in str(caught.value)


def test_unknown_encoding_of_a_small_file_is_named() -> None:
    with pytest.raises(UserError, match=r"data\.encoding='utf-9'"):
        decode(make_content(b"text"), "utf-9")


@pytest.mark.parametrize(
    ("text", "part"), [("[1,\n 2 3]", "a.json, line 2"), ("", "the file is empty"), ("[" * 100_000, "not valid JSON")]
)
def test_invalid_json_is_reported(text: str, part: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_json("a.json", text)
    assert part in str(caught.value)

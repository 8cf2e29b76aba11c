"""Open files as bytes or text, and report the cause if a file is not what its name says."""

import codecs
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ratchet.config import Format
from ratchet.data.sources import Content
from ratchet.errors import UserError

Key = Callable[[str], str]

PACKED_SUFFIXES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard"}
_BINARY_NAMES = {
    Format.parquet: "a Parquet file",
    Format.arrow: "an Arrow file",
    Format.excel: "an Excel workbook",
    Format.sqlite: "an SQLite database",
}
_HEAD = 4096  # bytes that show what a file is
_MOST_ZEROS = 0.5  # share of zero bytes in a text in UTF-8
_BYTE_ORDER_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE = ("utf-16", "utf-32")
_WORKBOOK_PARTS = {"xl/workbook.xml", "xl/workbook.bin", "content.xml"}


def data_key(name: str) -> str:
    """Return the key of a data set's configuration, for messages."""
    return f"data.{name}"


@contextmanager
def open_binary(path: Path, name: str, key: Key = data_key) -> Iterator[BinaryIO]:
    """Open a file and unpack it if its name ends in .gz, .bz2, .xz or .zst. `name` is its name in messages.

    Raises:
        UserError: the file cannot be read, is cut off, is empty, or is not packed as its name says.
    """
    suffix = path.suffix.lower()
    errors: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error, lzma.LZMAError)
    if suffix == ".zst":
        from backports.zstd import ZstdError

        errors = (*errors, ZstdError)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        _check_packing(path, name, head, key)
        with _open_unpacked(path, suffix) as stream:
            yield stream
    except errors as error:
        reason = getattr(error, "strerror", None) or error
        cut = f"; is the {PACKED_SUFFIXES[suffix]} file complete?" if suffix in PACKED_SUFFIXES else ""
        raise UserError(f"{name}: cannot be read: {reason}{cut}") from error


def _open_unpacked(path: Path, suffix: str) -> BinaryIO:
    if suffix == ".gz":
        import gzip

        return cast(BinaryIO, gzip.open(path))
    if suffix == ".bz2":
        import bz2

        return cast(BinaryIO, bz2.open(path))
    if suffix == ".xz":
        return cast(BinaryIO, lzma.open(path))
    if suffix == ".zst":
        from backports import zstd

        return cast(BinaryIO, zstd.open(path))
    return path.open("rb")


def _check_packing(path: Path, name: str, head: bytes, key: Key) -> None:
    """Refuse a file that is packed in another way than its suffix says."""
    expected, packing = PACKED_SUFFIXES.get(path.suffix.lower()), _identify_packing(head)
    if expected == packing:
        return
    if packing is not None:
        suffix = next(suffix for suffix, other in PACKED_SUFFIXES.items() if other == packing)
        base = name[: -len(path.suffix)] if expected else name
        raise UserError(f"{name}: is compressed with {packing}: rename it to {base}{suffix}, or unpack it")
    if not head:
        raise UserError(f"{name}: the file is empty")
    _refuse(name, describe_content(head, path), key)
    raise UserError(
        f"{name}: cannot be read: it is not compressed with {expected}, as its name says: rename it to "
        f"{name[: -len(path.suffix)]}, or get the file again"
    )


def _identify_packing(head: bytes) -> str | None:
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2"
    if head.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    return "Zstandard" if head.startswith(b"\x28\xb5\x2f\xfd") else None


def describe_content(head: bytes, path: Path | None = None) -> tuple[str, Format | str] | None:
    """Return what a file is by its first bytes, and its format or what to do; None if it may be a table of text.

    `path` distinguishes a workbook from another ZIP archive.
    """
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower()
    if head.startswith(b"version https://git-lfs.github.com/spec"):
        return "is a Git LFS pointer, not the file", "git lfs pull"
    if start.startswith((b"<!doctype html", b"<html")):
        return "is an HTML page (a login?), not the file", "download it again"
    if start.startswith(b"<?xml"):
        return "is an XML file", "convert it to CSV, JSON or JSON Lines"
    if head[257:262] == b"ustar":
        return "is a TAR archive", "unpack it"
    if head.startswith(b"%PDF"):
        return "is a PDF", "export its table as CSV"
    if head.startswith(b"SQLite format 3\x00"):
        return f"is {_BINARY_NAMES[Format.sqlite]}", Format.sqlite
    if head.startswith(b"PAR1"):
        return f"is {_BINARY_NAMES[Format.parquet]}", Format.parquet
    if head.startswith(b"ARROW1"):
        return f"is {_BINARY_NAMES[Format.arrow]}", Format.arrow
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return "is an Excel workbook", Format.excel
    if head.startswith(b"PK\x03\x04"):
        is_workbook = path is None or _is_workbook(path)
        return ("is an Excel workbook", Format.excel) if is_workbook else ("is a ZIP archive", "unpack it")
    return None


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return not _WORKBOOK_PARTS.isdisjoint(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return path.suffix.lower() == ".xlsx"


def _refuse(name: str, content: tuple[str, Format | str] | None, key: Key) -> None:
    if content is None:
        return
    description, remedy = content
    if isinstance(remedy, Format):
        extra = " (needs ratchet-ml[excel])" if remedy is Format.excel else ""
        query = f" and {key('query')}" if remedy is Format.sqlite else ""
        remedy = f"set {key('format')}={remedy.name}{query}{extra}"
    raise UserError(f"{name}: {description}: {remedy}")


def refuse_other_content(path: Path, name: str, form: Format | None, key: Key = data_key) -> None:
    """Refuse a file that is something else than its format `form`, such as a Git LFS pointer or an HTML page.

    `form` is a binary format, or None for a file of an unknown format.

    Raises:
        UserError: the file cannot be read, is empty, or is something else; names it and what to do.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror}") from error
    if not head:
        raise UserError(f"{name}: the file is empty" + (f", so it is not {_BINARY_NAMES[form]}" if form else ""))
    packing = _identify_packing(head)
    if packing is not None and form is not None:
        raise UserError(f"{name}: is compressed with {packing}: unpack it, because {form.name} is only read unpacked")
    content = describe_content(head, path)
    if content is not None and content[1] is not form:
        _refuse(name, content, key)


@contextmanager
def open_text(
    path: Path,
    name: str,
    encoding: str = "utf-8",
    newline: str = "",
    key: Key = data_key,
    may_be_empty: bool = False,
) -> Iterator[IO[str]]:
    """Open a file as text, unpacked and without a byte order mark. Its lines are read one by one.

    `newline` is that of `open`: "" ends lines at every kind of line end and keeps it, "\\n" only at line feeds.

    Raises:
        UserError: see `open_binary`; the file is not text, or not in this encoding (the message gives the line).
    """
    with open_binary(path, name, key) as stream:
        head = stream.read(_HEAD)
        stream.seek(0)
        if not head and not may_be_empty:
            raise UserError(f"{name}: the file is empty")
        codec = choose_codec(name, head, encoding, key, path)
        try:
            with io.TextIOWrapper(stream, encoding=codec, newline=newline) as lines:
                yield lines
        except UnicodeDecodeError as error:
            line = _find_bad_line(path, name, codec)
            raise _report_bad_byte(name, line, error, encoding, key) from None


def find_codec(encoding: str, key: Key = data_key) -> str:
    """Return the name of the codec of a text encoding.

    Raises:
        UserError: there is no such encoding.
    """
    try:
        "".encode(encoding)  # unlike `codecs.lookup`, this refuses codecs that are not text encodings, such as hex
        return codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:
        raise UserError(
            f"{key('encoding')}={encoding!r}: unknown encoding; common ones: utf-8, latin-1, cp1252"
        ) from error


def choose_codec(name: str, head: bytes, encoding: str, key: Key = data_key, path: Path | None = None) -> str:
    """Return the codec that decodes a text and removes its byte order mark; `head` are its first bytes.

    Raises:
        UserError: there is no such encoding, or the file is in another one, or is not text.
    """
    codec = find_codec(encoding, key)
    _refuse(name, describe_content(head, path), key)
    mark = next((family for mark, family in _BYTE_ORDER_MARKS if head.startswith(mark)), None)
    if mark is not None:
        if not codec.startswith(mark):
            raise UserError(f"{name}: begins with the byte order mark of {mark}: set {key('encoding')}={mark}")
        return "utf-8-sig" if mark == "utf-8" else mark
    if head and codec in _WIDE:
        byte_order = "be" if head[0] == 0 else "le"  # if the first character is in ASCII
        raise UserError(
            f"{name}: begins without the byte order mark of {codec}: set {key('encoding')}={codec}-{byte_order}"
        )
    if 0 in head and not codec.startswith(_WIDE):
        wide = _guess_wide_encoding(head)
        if wide is not None:
            raise UserError(f"{name}: every second byte is zero, as in {wide}: set {key('encoding')}={wide}")
        if codec != "utf-8" or head.count(0) > _MOST_ZEROS * len(head):
            raise UserError(f"{name}: has zero bytes, which text in {encoding} does not have: it may be a binary file")
    return codec


def _guess_wide_encoding(head: bytes) -> str | None:
    """Return in which form of UTF-16 without a mark a text is: ASCII characters have a zero byte there."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if len(head) < 16 or max(even, odd) < 0.4 * len(head) / 2 or max(even, odd) < 2.5 * min(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _find_bad_line(path: Path, name: str, codec: str) -> int:
    """Read the file again: the error of a decoder that reads ahead knows only the position within its block."""
    lines = 1
    decoder = codecs.getincrementaldecoder(codec)()
    with open_binary(path, name) as stream:
        while True:
            block = stream.read(1 << 20)
            try:
                lines += decoder.decode(block, final=not block).count("\n")
            except UnicodeDecodeError as error:
                return lines + error.object[: error.start].decode(codec, "ignore").count("\n")
            if not block:
                return lines


def _report_bad_byte(name: str, line: int, error: UnicodeDecodeError, encoding: str, key: Key) -> UserError:
    return UserError(
        f"{name}, line {line}: byte 0x{error.object[error.start]:02x} is not {encoding}: set {key('encoding')} "
        "(latin-1 and cp1252 are common), or save the file as UTF-8"
    )


def decode(content: Content, encoding: str) -> str:
    """Return the content of a small file as text, without a byte order mark.

    Raises:
        UserError: the content is not in `encoding` (the message gives the line), there is no such encoding, or the
            content is not text.
    """
    packing = _identify_packing(content.data)
    if packing is not None:
        raise UserError(f"{content.name}: is compressed with {packing}: unpack it")
    codec = choose_codec(content.name, content.data[:_HEAD], encoding)
    try:
        return content.data.decode(codec)
    except UnicodeDecodeError as error:
        line = content.data.count(b"\n", 0, error.start) + 1
        raise _report_bad_byte(content.name, line, error, encoding, data_key) from error


def parse_json(name: str, text: str) -> Any:
    """Return the parsed content of the JSON file `name`.

    Raises:
        UserError: it is not JSON, nested too deeply, or has a number with too many digits; gives the line if known.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        reason = getattr(error, "msg", error) if text.strip() else "the file is empty"
        if reason == "Extra data":
            reason = "several values one after the other (JSON is one value; JSON Lines has one in each line)"
        raise UserError(f"{name}{where}: not valid JSON: {reason}") from error

"""Detect how data files are written: format, encoding, and every key of the data configuration that they need.

Each key comes with a comment that gives the evidence. Only files that no key can read are refused.
"""

import codecs
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ratchet.config import Format
from ratchet.data.directories import PART_OF
from ratchet.data.formats import SUFFIXES, find_suffix, open_rows
from ratchet.data.formats.dialect import Dialect
from ratchet.data.formats.rows import Row
from ratchet.data.opening import describe_content, open_binary, open_text, parse_json
from ratchet.errors import UserError
from ratchet.extras import require_extra
from ratchet.scaffold.delimited_dialects import SAMPLE_SIZE, detect_delimited
from ratchet.scaffold.header_rows import find_sheet_header

_BYTE_ORDER_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL_BYTES = [byte for byte in range(32) if byte not in b"\t\n\r\f\v\x1a\x1b\x1f\x01"]
_NOT_CP1252 = b"\x81\x8d\x8f\x90\x9d"
_BLOCK = 1 << 20
_HEAD = 65_536
_BINARY = (Format.parquet, Format.arrow, Format.excel, Format.sqlite)
_FEWEST_ROWS = 10


@dataclass(frozen=True)
class Detected(Dialect):
    """The dialect of the files of a data set. `keys` has the key of each part in a JSON file (data.records.keys).

    `comments` gives the evidence by the key of the data configuration; `others` has values of keys that fit, too.
    `columns` are those to read where the format has no other way to state them.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    comments: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[tuple[str, str, str]] = ()
    columns: tuple[str, ...] | None = None


def detect_dialect(paths: Sequence[Path], named: Sequence[str], header: bool | None = None) -> Detected:
    """Return the dialect of files, which the first one shows; `named` are the columns that the user named, if any.

    `header` is whether the first row has the names of the columns, if the user stated it.

    Raises:
        UserError: a file is empty or cannot be read, the first is not a table, no key can read it, or it is not
            certain whether its first row is a header.
    """
    path, name = paths[0], str(paths[0])
    with open_binary(path, name) as file:
        head = file.read(_HEAD)
    content = describe_content(head, path)
    by_suffix = SUFFIXES.get(find_suffix(name))
    form = content[1] if content is not None and isinstance(content[1], Format) else by_suffix
    if content is not None and not isinstance(content[1], Format):
        raise UserError(f"{name}: {content[0]}: {content[1]}")
    if form in _BINARY:
        if header is not None and form is not Format.excel:
            raise _refuse_header(name, header)
        return _detect_binary(path, name, form, named, header, is_by_content=content is not None)
    encoding, seen = detect_encoding(paths)
    with open_text(path, name, encoding) as lines:
        text = lines.read(SAMPLE_SIZE)
        is_cut = bool(lines.read(1))
    if not text.strip():
        raise UserError(f"{name}: the file is empty: it needs at least {_FEWEST_ROWS} records")
    dialect = Detected(encoding=encoding, comments={"encoding": seen})
    is_json = by_suffix in (Format.json, Format.jsonl) or (by_suffix is None and text.lstrip()[0] in "[{")
    is_fasttext = by_suffix is Format.fasttext or (by_suffix is None and _looks_like_fasttext(text))
    if header is not None and (is_json or is_fasttext):
        raise _refuse_header(name, header)
    if is_json:
        return _detect_json(path, name, text, dialect)
    if is_fasttext:
        return _add(dialect, {"format": Format.fasttext}, {"format": "words with the prefix __label__ are the labels"})
    delimited = detect_delimited(name, text, by_suffix, named, header, is_cut=is_cut)
    keys = {**delimited.keys, "format": delimited.format, "repeated": delimited.repeated}
    return _add(dialect, keys, delimited.comments)


def _refuse_header(name: str, header: bool) -> UserError:
    return UserError(
        f"{name}: header={str(header).lower()} is for CSV, TSV and workbooks: files of this format have no header. "
        "Leave it out"
    )


def _add(dialect: Detected, keys: Mapping[str, Any], comments: Mapping[str, str]) -> Detected:
    return replace(dialect, **keys, comments={**dialect.comments, **comments})


# --- encoding ---------------------------------------------------------------------------------------------------------
def detect_encoding(paths: Sequence[Path]) -> tuple[str, str]:
    """Return the encoding of files, and what it was recognised by.

    Raises:
        UserError: a file cannot be read, or the first is binary.
    """
    with open_binary(paths[0], str(paths[0])) as file:
        head = file.read(_HEAD)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding, "by the byte order mark at the start of the file"
    for position, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):  # where ASCII characters have their zero byte
        if len(head) >= 4 and head[position::2].count(0) > 0.4 * len(head) / 2 > 2.5 * head[1 - position :: 2].count(0):
            return encoding, "by the zero in every second byte; the file has no byte order mark"
    used: set[int] = set()
    reason, block = "", b""
    for path in paths:
        not_utf8, first = _find_other_than_utf8(path, used)
        if not reason:
            reason, block = not_utf8, first
    num_controls = sum(head.count(byte) for byte in _CONTROL_BYTES)
    if num_controls > (0.01 if reason else 0.2) * len(head) or (reason and 0 in head):
        raise UserError(
            f"{paths[0]}: not a table, but a binary file of an unknown format: convert it, for example to CSV"
        )
    if not reason:
        return "utf-8", "the whole file is valid UTF-8" if len(paths) == 1 else "all files are valid UTF-8"
    encoding = "latin-1" if used.intersection(_NOT_CP1252) else "cp1252"
    words = dict.fromkeys(re.findall(r"\w*[^\W\d_a-zA-Z]\w*", block.decode(encoding, "replace")))
    return encoding, f"{reason}. Check that these words are right: {', '.join(islice(words, 4)) or 'none'}"


def _find_other_than_utf8(path: Path, used: set[int]) -> tuple[str, bytes]:
    """Return what is not UTF-8 in a file, and the block that has it. All bytes of the file are added to `used`."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, reason, first = 1, "", b""
    with open_binary(path, str(path)) as file:
        while True:
            block = file.read(_BLOCK)
            used.update(block)
            if not reason:
                try:
                    line += decoder.decode(block, final=not block).count("\n")
                except UnicodeDecodeError as error:
                    line += error.object.count(b"\n", 0, error.start)
                    reason = f"not UTF-8: byte 0x{error.object[error.start]:02x} in line {line}"
                    first = bytes(error.object)
            if not block:
                return reason, first


# --- JSON and fastText ------------------------------------------------------------------------------------------------
def _looks_like_fasttext(text: str) -> bool:
    lines = [line for line in text.split("\n")[:1_000] if line.strip()]
    return sum(line.startswith("__label__") for line in lines) > 0.9 * len(lines)


def _detect_json(path: Path, name: str, text: str, dialect: Detected) -> Detected:
    """Return the dialect of a file that is JSON Lines, a list of records, or an object with the records below a key.

    Raises:
        UserError: it is another JSON value.
    """
    head = list(islice((line for line in text.split("\n") if line.strip()), 2))
    if len(head) == 2 and all(map(_is_record, head)):
        kind = "object" if head[0].lstrip()[0] == "{" else "list of values"
        return _add(dialect, {"format": Format.jsonl}, {"format": f"one JSON {kind} in each line"})
    with open_text(path, name, dialect.encoding) as file:
        content = parse_json(name, file.read())
    dialect = replace(dialect, format=Format.json)
    if isinstance(content, list):
        return _add(dialect, {}, {"format": "a JSON list of records"})
    if not isinstance(content, dict):
        raise UserError(f"{name}: not a list of records, but one JSON {type(content).__name__}: save a list of objects")
    if content and all(isinstance(value, dict) for value in content.values()) and _are_columns(content):
        return _add(dialect, {"columns": tuple(content)}, {"format": "a JSON object with the values of each column"})
    if content and all(isinstance(value, list) and not _holds_records(value) for value in content.values()):
        return _add(dialect, {}, {"format": "a JSON object with a list for each column"})
    return _find_key(name, content, dialect)


def _is_record(line: str) -> bool:
    try:
        return isinstance(json.loads(line), (dict, list))
    except (ValueError, RecursionError):
        return False


def _are_columns(content: Mapping[str, Any]) -> bool:
    """Return whether an object has an object for each column, with the same keys, as pandas writes it."""
    first = next(iter(content.values()))
    return len(first) >= _FEWEST_ROWS and all(value.keys() == first.keys() for value in content.values())


def _holds_records(value: list[Any]) -> bool:
    return bool(value) and isinstance(value[0], (dict, list))


def _find_key(name: str, content: Mapping[str, Any], dialect: Detected) -> Detected:
    from ratchet.data.formats.json_rows import list_record_paths

    paths = list_record_paths(content)
    if not paths:
        raise UserError(f"{name}: not a list of records, but one JSON object without one: save a list of objects")
    parts: dict[str, str] = {}
    for path in paths:
        part = PART_OF.get(path.rpartition(".")[2].casefold())
        if part is not None:
            parts.setdefault(part, path)
    if {"train", "test"} <= set(parts):
        keys = {part: parts[part] for part in ("train", "val", "test") if part in parts}
        return _add(dialect, {"keys": keys}, {"format": f"lists of records below {', '.join(keys.values())}"})
    seen = f"a list of records below the key {paths[0]}"
    others = [("under", path, f"the records below {path}") for path in paths[1:4]]
    return _add(dialect, {"under": paths[0], "others": others}, {"format": seen, "under": seen})


# --- binary formats ---------------------------------------------------------------------------------------------------
def _detect_binary(
    path: Path, name: str, form: Format, named: Sequence[str], header: bool | None, *, is_by_content: bool
) -> Detected:
    seen = "from the first bytes of the file" if is_by_content else "from the suffix of the file"
    dialect = Detected(format=form, comments={"format": seen})
    if form is Format.sqlite:
        return _detect_query(path, name, named, dialect)
    return _detect_sheet(path, name, named, header, dialect) if form is Format.excel else dialect


def _detect_query(path: Path, name: str, named: Sequence[str], dialect: Detected) -> Detected:
    """Return the query of the only table, of the only one with the named columns, or of the largest."""
    from ratchet.data.formats.sqlite import list_tables

    sizes = {}
    for table in list_tables(path, name):
        columns = open_rows(path, name, replace(dialect, query=_select("*", table))).columns
        if set(named) <= set(columns):
            counted = open_rows(path, name, replace(dialect, query=_select("count(*) AS number", table)))
            sizes[table] = next(row.values["number"] for row in counted if isinstance(row, Row))
    if not sizes:
        with_columns = f" with the columns {', '.join(named)}" if named else ""
        raise UserError(f"{name}: the SQLite file has no table{with_columns}")
    best, *others = sorted(sizes, key=lambda table: -sizes[table])
    which = "the largest table" if others else "the only table" + (" with the named columns" if named else "")
    return _add(
        dialect,
        {
            "query": _select("*", best),
            "others": [("query", _select("*", table), f"{sizes[table]:,} rows") for table in others[:4]],
        },
        {"query": f"{best}, {which}: {sizes[best]:,} rows"},
    )


def _select(what: str, table: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", table):
        table = '"{}"'.format(table.replace('"', '""'))
    return f"SELECT {what} FROM {table}"


def _detect_sheet(path: Path, name: str, named: Sequence[str], stated: bool | None, dialect: Detected) -> Detected:
    """Return the first sheet with records, and the number of its title rows."""
    require_extra("excel", what=f"{name} (an Excel or OpenDocument workbook)")
    from python_calamine import CalamineError

    from ratchet.data.formats.excel import list_sheets, open_excel

    try:
        sheets = list_sheets(path)
    except (CalamineError, OSError):
        open_rows(path, name, dialect)  # explains the error
        raise
    rows_of: dict[str, list[Row]] = {}
    for sheet in sheets:
        try:
            rows = open_excel(path, name, replace(dialect, header=False, sheet=sheet))
            rows_of[sheet] = [row for row in islice(rows, 1_000) if isinstance(row, Row)]
        except UserError:  # the sheet has no rows
            continue
    large = [sheet for sheet, rows in rows_of.items() if len(rows) >= _FEWEST_ROWS and len(rows[0].values) > 1]
    if not rows_of:
        raise UserError(f"{name}: no sheet has rows (sheets: {', '.join(sheets)})")
    sheet = next(iter(large or rows_of))
    first, header, reason = find_sheet_header(name, rows_of[sheet], named, stated)
    keys: dict[str, Any] = {"header": header}
    comments = {"header": reason}
    if sheet != sheets[0]:
        keys["sheet"], comments["sheet"] = sheet, "the first sheet with records"
    if first > 0:
        start = rows_of[sheet][first].number - 1
        shown = " ".join(str(value) for value in rows_of[sheet][0].values.values() if value is not None)[:60]
        keys["skip_rows"], comments["skip_rows"] = start, f"above the header: {shown!r}"
    others = [("sheet", other, "another sheet with records") for other in large if other != sheet]
    return _add(dialect, {**keys, "others": others}, comments)

"""Detect how a data file is written: its format, encoding, separator and header.

Only what Ratchet reads today is accepted. Any other dialect is refused, with what was detected and how to convert it.
"""

import codecs
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath

from ratchet.config import Format
from ratchet.data.opening import decode, parse_json
from ratchet.data.reading import SUFFIXES, iterate_csv_rows
from ratchet.data.sources import Content
from ratchet.errors import UserError

_BINARY = {
    b"\x1f\x8b": "compressed with gzip: unpack it",
    b"BZh": "compressed with bzip2: unpack it",
    b"\xfd7zXZ": "compressed with xz: unpack it",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard: unpack it",
    b"PK\x03\x04": 'a ZIP archive or an Excel workbook: unpack it, or save the sheet as "CSV UTF-8"',
    b"\xd0\xcf\x11\xe0": 'an old Excel workbook: save the sheet as "CSV UTF-8"',
    b"SQLite format 3": "an SQLite database: export the table as CSV",
    b"ARROW1": "an Arrow file: save it as Parquet",
    b"%PDF": "a PDF: export the table as CSV",
}
_BYTE_ORDER_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_CONTROL_BYTES = [byte for byte in range(32) if byte not in b"\t\n\r\f\v\x1a\x1b"]
_SAMPLE = 1_000  # rows from the start of the file
_NUMBER_OR_DATE = re.compile(r"[+-]?[\d.,:%/ -]*\d[\d.,:%/ -]*(T[\d:.]+)?(Z|[+-]\d\d:?\d\d)?")


@dataclass(frozen=True)
class Dialect:
    """The dialect of a file. `comments` describes the evidence, by the key of the data configuration."""

    format: Format
    encoding: str
    header: bool
    comments: dict[str, str]


def detect_dialect(content: Content, named: Sequence[str]) -> Dialect:
    """Return the dialect of a file; `named` are the columns that the user named, if any.

    Raises:
        UserError: the file is empty or not a table, or Ratchet does not read its dialect.
    """
    for magic, description in _BINARY.items():
        if content.data.startswith(magic):
            raise UserError(f"{content.name}: not a table that Ratchet reads, but {description}")
    by_suffix = SUFFIXES.get(PurePath(content.name).suffix.lower())
    if content.data.startswith(b"PAR1"):
        return Dialect(Format.parquet, "utf-8", True, {"format": "from the first bytes of the file"})
    if by_suffix is Format.parquet:
        raise UserError(f"{content.name}: not a Parquet file, in spite of its suffix: save it again as Parquet or CSV")
    encoding, seen = _detect_encoding(content)
    text = decode(content, encoding)
    if not text.strip():
        raise UserError(f"{content.name}: the file is empty: it needs at least 10 records")
    comments = {"encoding": seen}
    if by_suffix in (Format.json, Format.jsonl) or (by_suffix is None and text.lstrip()[0] in "[{"):
        file_format, comments["format"] = _detect_json(content.name, text)
        return Dialect(file_format, encoding, True, comments)
    return _detect_delimited(content, text, by_suffix, Dialect(Format.csv, encoding, True, comments), named)


def _detect_encoding(content: Content) -> tuple[str, str]:
    """Return the encoding of the file, and what it was recognised by."""
    data = content.data
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding, "by the byte order mark at the start of the file"
    head = data[:65_536]
    for position, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):  # where ASCII characters have their zero byte
        if len(head) >= 4 and head[position::2].count(0) > 0.4 * len(head) / 2 > 2.5 * head[1 - position :: 2].count(0):
            return encoding, "by the zero in every second byte; the file has no byte order mark"
    try:
        data.decode()
        reason = ""
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = f"not UTF-8: byte 0x{data[error.start]:02x} in line {line}"
    num_controls = sum(head.count(byte) for byte in _CONTROL_BYTES)
    if num_controls > (0.01 if reason else 0.2) * len(head) or (reason and 0 in head):
        raise UserError(
            f"{content.name}: not a table, but a binary file: give a CSV, TSV, JSON, JSON Lines or Parquet file"
        )
    if not reason:
        return "utf-8", "the whole file is valid UTF-8"
    for encoding in ("cp1252", "latin-1"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        words = dict.fromkeys(re.findall(r"\w*[^\W\d_a-zA-Z]\w*", text[:1_000_000]))
        return encoding, f"{reason}. Check that these words are right: {', '.join(islice(words, 4)) or 'none'}"
    raise AssertionError("latin-1 decodes every file")


def _detect_json(name: str, text: str) -> tuple[Format, str]:
    """Return whether the text is a JSON list or JSON Lines.

    Raises:
        UserError: it is another JSON value than a list of records.
    """
    if text.lstrip().startswith("["):
        return Format.json, "a JSON list of records"
    first = next(line for line in text.split("\n") if line.strip())
    try:
        is_record = isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        is_record = False
    if is_record and "\n" in text.strip():
        return Format.jsonl, "one JSON object in each line"
    value = parse_json(name, text)
    lists = [key for key, child in value.items() if isinstance(child, list)] if isinstance(value, dict) else []
    advice = f"save the list below the key {lists[0]!r} as a file of its own" if lists else "save a list of objects"
    raise UserError(f"{name}: not a list of records, but one JSON {type(value).__name__}: {advice}")


def _detect_delimited(
    content: Content, text: str, by_suffix: Format | None, dialect: Dialect, named: Sequence[str]
) -> Dialect:
    own = "\t" if by_suffix is Format.tsv else ","
    separator, rows = _find_separator(content.name, text, own)
    width = _most_common_width(rows)
    fitting = sum(len(row) == width for row in rows)
    which = f"the first {len(rows):,}" if len(rows) == _SAMPLE else f"{len(rows):,}"
    seen = f"separated by {_SEPARATORS[separator]}: {width} fields in {fitting:,} of {which} rows"
    if separator not in ",\t":
        raise UserError(
            f"{content.name}: {seen}. Ratchet reads commas (csv) and tabs (tsv). "
            + _advise_conversion(content.name, separator, dialect.encoding)
        )
    _refuse_single_quotes(content.name, rows)
    header, reason = _detect_header(rows, named)
    return Dialect(
        Format.tsv if separator == "\t" else Format.csv,
        dialect.encoding,
        header,
        {**dialect.comments, "format": seen, "header": reason},
    )


def _find_separator(name: str, text: str, own: str) -> tuple[str, list[list[str]]]:
    """Return the separator that gives rows of equal width, and the first rows; `own` is that of the suffix."""
    rows_by = {separator: list(_read_first_rows(name, text, separator)) for separator in (own, *_SEPARATORS)}
    longest = max(len(rows) for rows in rows_by.values())
    shares = {}
    for separator, rows in rows_by.items():
        width = _most_common_width(rows)
        if width >= 2:
            share = sum(len(row) == width for row in rows) / longest
            shares[separator] = share if len(rows[0]) == width else share / 2  # a header has the width of its rows
    regular = [separator for separator, share in shares.items() if share >= 0.9]
    if regular:  # of "1;3,5" both are: more fields are more likely. `own` comes first, so it wins a tie
        best = max(regular, key=lambda separator: _most_common_width(rows_by[separator]))
    else:
        best = max(shares, key=lambda separator: shares[separator], default="")
    if not best or shares[best] < 0.25:
        raise UserError(
            f"{name}: not a table: no separator (comma, tab, semicolon, vertical bar) divides its rows into the same "
            f"number of fields{explain_backslashes(text)}. Save it as CSV with commas, UTF-8"
        )
    return best, rows_by[best]


def _read_first_rows(name: str, text: str, separator: str) -> Iterator[list[str]]:
    """Yield the rows up to the first that cannot be read."""
    lines = io.StringIO(text[:5_000_000], newline="")  # a wrong separator may take a quote for the start of a field
    try:
        for _, row in islice(iterate_csv_rows(name, lines, separator), _SAMPLE):
            yield row
    except UserError:
        return


def _most_common_width(rows: list[list[str]]) -> int:
    return Counter(map(len, rows)).most_common(1)[0][0] if rows else 0


def _advise_conversion(name: str, separator: str, encoding: str) -> str:
    source = PurePath(name)
    options = f"separator={separator!r}, encoding={encoding!r}, infer_schema=False"
    target = f"{source.stem}-commas.csv"
    code = f"import polars; polars.read_csv({source.name!r}, {options}).write_csv({target!r})"
    return f'Convert the file, for example: python -c "{code}"'


def explain_backslashes(text: str) -> str:
    r"""Return the end of a message about a file that has `\"`, which CSV does not know; else ""."""
    if '\\"' not in text:
        return ""
    return r' (it has \" inside texts: in CSV a quote inside a quoted text is doubled, as "": convert the file)'


def _refuse_single_quotes(name: str, rows: list[list[str]]) -> None:
    for index in range(len(rows[0])):
        values = [row[index].strip() for row in rows[1:] if index < len(row) and row[index].strip()]
        quoted = sum(len(value) >= 2 and value[0] == value[-1] == "'" for value in values)
        if values and quoted >= 0.9 * len(values):
            raise UserError(
                f"{name}: column {rows[0][index]!r}: {quoted} of {len(values)} values are in single quotes. "
                "Ratchet reads double quotes: convert the file, or remove the quotes if no value contains the separator"
            )


def _detect_header(rows: list[list[str]], named: Sequence[str]) -> tuple[bool, str]:
    """Return whether the first row names the columns, and the reason."""
    first, others = rows[0], rows[1:]
    if any(name in first for name in named):
        return True, "the first row has the columns that were named"
    numbers = [str(index) for index in range(1, len(first) + 1)]
    if named and all(name in numbers for name in named):
        return False, 'columns were given by their number, as "1"'
    for index, cell in enumerate(first):
        if cell.strip() and _NUMBER_OR_DATE.fullmatch(cell.strip()):
            return False, f"the first row has a number or a date, {cell.strip()!r}"
        if len(cell) > 60 or len(cell.split()) > 6:
            return False, f"the first row has a text of {len(cell.split())} words"
        if cell.strip() and any(index < len(row) and row[index] == cell for row in others if row != first):
            return False, f"{cell!r} in the first row is also a value of a later row"
    if len(set(first)) < len(first):
        return True, "the first row looks like names"  # reading it refuses the repeated name
    return True, "the first row has short texts that no later row repeats"

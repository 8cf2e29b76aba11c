"""Read the rows of a file in any format: one reader for training, `predict`, `evaluate` and `init`."""

from collections.abc import Collection
from pathlib import Path, PurePath

from ratchet.config import Format
from ratchet.data.formats.dialect import Dialect as Dialect
from ratchet.data.formats.rows import Rows
from ratchet.data.opening import PACKED_SUFFIXES, refuse_other_content
from ratchet.errors import UserError

SUFFIXES = {
    ".csv": Format.csv,
    ".tsv": Format.tsv,
    ".tab": Format.tsv,
    ".json": Format.json,
    ".jsonl": Format.jsonl,
    ".ndjson": Format.jsonl,
    ".parquet": Format.parquet,
    ".pq": Format.parquet,
    ".arrow": Format.arrow,
    ".feather": Format.arrow,
    ".ipc": Format.arrow,
    ".xlsx": Format.excel,
    ".xlsm": Format.excel,
    ".xlsb": Format.excel,
    ".xls": Format.excel,
    ".ods": Format.excel,
    ".sqlite": Format.sqlite,
    ".sqlite3": Format.sqlite,
    ".db": Format.sqlite,
    ".ft": Format.fasttext,
    ".fasttext": Format.fasttext,
}
_BINARY = (Format.parquet, Format.arrow, Format.excel, Format.sqlite)


def detect_format(name: str, dialect: Dialect) -> Format:
    """Return the format of a file: that of the dialect, else the one of its suffix (before .gz, .zst, .bz2 or .xz).

    Raises:
        UserError: the suffix is unknown.
    """
    if dialect.format is not Format.auto:
        return dialect.format
    suffix = find_suffix(name)
    if suffix not in SUFFIXES:
        valid = ", ".join(form.name for form in Format if form is not Format.auto)
        raise UserError(f"{name}: unknown suffix {suffix!r}: set {dialect.key('format')} to one of: {valid}")
    return SUFFIXES[suffix]


def find_suffix(name: str) -> str:
    """Return the suffix of a file name that stands for its format: in lower case, before one as .gz."""
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix in PACKED_SUFFIXES else path.suffix


def open_rows(path: Path, name: str, dialect: Dialect, columns: Collection[str] | None = None) -> Rows:
    """Open a file, and return its rows. `name` is its name in messages; `columns` are those in use (None: all).

    Raises:
        UserError: the file cannot be read, its format is unknown, or it is not in that format.
    """
    if dialect.format is Format.auto and find_suffix(name) not in SUFFIXES:
        refuse_other_content(path, name, None, dialect.key)
    form = detect_format(name, dialect)
    if form in _BINARY:
        refuse_other_content(path, name, form, dialect.key)
    match form:
        case Format.csv | Format.tsv:
            from ratchet.data.formats.delimited import open_delimited

            return open_delimited(path, name, form, dialect, columns)
        case Format.json | Format.jsonl:
            from ratchet.data.formats.json_rows import open_json

            return open_json(path, name, form, dialect, columns)
        case Format.fasttext:
            from ratchet.data.formats.fasttext import open_fasttext

            return open_fasttext(path, name, dialect)
        case Format.excel:
            from ratchet.data.formats.excel import open_excel

            return open_excel(path, name, dialect, columns)
        case Format.sqlite:
            from ratchet.data.formats.sqlite import open_sqlite

            return open_sqlite(path, name, dialect, columns)
        case _:
            from ratchet.data.formats.columnar import open_columnar

            return open_columnar(path, name, form, columns)

"""Read the rows that a query selects from an SQLite file. The file is never changed."""

import re
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from ratchet.data.formats.dialect import Dialect
from ratchet.data.formats.rows import Row, Rows, decode_values, is_used
from ratchet.data.problems import Problem
from ratchet.errors import UserError

_BEFORE_QUERY = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_QUERIES = ("select", "with", "values")


def open_sqlite(path: Path, name: str, dialect: Dialect, columns: Collection[str] | None = None) -> Rows:
    """Open an SQLite file, and return the rows of the dialect's query; `columns` are those in use (None: all).

    Raises:
        UserError: there is no query, it is wrong or writes, or a column in use occurs twice in its result.
    """
    query = dialect.query
    if not query:
        listed = ", ".join(list_tables(path, name)) or "none"
        raise UserError(
            f'{name}: an SQLite file needs a query: set {dialect.key("query")}="SELECT ... FROM ..." (tables: {listed})'
        )
    if not _BEFORE_QUERY.sub("", query, count=1).lower().startswith(_QUERIES):
        raise UserError(f"{name}: {dialect.key('query')}={query!r} does not select rows: begin it with SELECT or WITH")
    with closing(_connect(path)) as connection:
        names = _list_columns(_execute(connection, query, name, dialect))
    used = [index for index, column in enumerate(names) if is_used(column, columns)]
    repeated = next((names[index] for index in used if names.count(names[index]) > 1), None)
    if repeated is not None:
        raise UserError(
            f"{name}: column {repeated!r} occurs twice in the result of the query: rename one with AS in "
            f"{dialect.key('query')}"
        )

    def iterate() -> Iterator[Row | Problem]:
        with closing(_connect(path)) as connection:
            rows = _execute(connection, query, name, dialect)
            try:
                for number, values in enumerate(rows, start=1):
                    row = {names[index]: values[index] for index in used}
                    yield decode_values(row, f"{name}, row {number}") or Row(number, row)
            except sqlite3.Error as error:
                raise UserError(f"{name}: {dialect.key('query')}: {error}") from error

    return Rows(name, "row", names, iterate)


def list_tables(path: Path, name: str) -> list[str]:
    """Return the names of the tables and views of an SQLite file, in order.

    Raises:
        UserError: it cannot be read.
    """
    with closing(_connect(path)) as connection:
        return _read_table_names(connection, name)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
    connection.text_factory = bytes  # a text that is not UTF-8 is a problem of its row, and only if it is in use
    return connection


def _execute(connection: sqlite3.Connection, query: str, name: str, dialect: Dialect) -> sqlite3.Cursor:
    try:
        connection.execute("PRAGMA query_only = ON")
        return connection.execute(query)
    except (sqlite3.Error, sqlite3.Warning) as error:
        with_tables = ""
        if "no such table" in str(error):
            with_tables = f" (tables: {', '.join(_read_table_names(connection, name)) or 'none'})"
        raise UserError(f"{name}: {dialect.key('query')}: {error}{with_tables}") from error


def _read_table_names(connection: sqlite3.Connection, name: str) -> list[str]:
    listing = (
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name"
    )
    try:
        return [row[0].decode(errors="replace") for row in connection.execute(listing)]
    except sqlite3.Error as error:
        raise UserError(f"{name}: cannot be read as an SQLite file: {error}") from error


def _list_columns(rows: sqlite3.Cursor) -> list[str]:
    return [column[0] for column in rows.description or ()]

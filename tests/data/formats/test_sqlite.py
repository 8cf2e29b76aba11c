import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.data.formats.dialect import Dialect
from ratchet.data.formats.rows import Row
from ratchet.data.formats.sqlite import open_sqlite
from ratchet.data.problems import Problem
from ratchet.errors import UserError


def write(path: Path, *statements: str, rows: Sequence[tuple[Any, ...]] = ()) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
        if rows:
            connection.executemany(f"INSERT INTO tickets VALUES ({','.join('?' * len(rows[0]))})", rows)
    return path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return write(
        tmp_path / "a b#1?.db",
        "CREATE TABLE tickets (id INTEGER, text TEXT, votes REAL, photo BLOB)",
        "CREATE TABLE tags (ticket INTEGER, tag TEXT)",
        "INSERT INTO tags VALUES (1, 'bug'), (2, 'ui')",
        rows=[(1, "no login", 0.5, b"\xff"), (2, "café", None, None)],
    )


def read(path: Path, query: str | None, columns: list[str] | None = None) -> list[Any]:
    return list(open_sqlite(path, "a.db", Dialect(query=query), columns))


def test_rows_of_a_query_keep_their_types(database: Path) -> None:
    query = "SELECT id, text, votes, tag AS label FROM tickets JOIN tags ON ticket = id ORDER BY id"
    assert read(database, query) == [
        Row(1, {"id": 1, "text": "no login", "votes": 0.5, "label": "bug"}),
        Row(2, {"id": 2, "text": "café", "votes": None, "label": "ui"}),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "  -- all of them\n select id from tickets",
        "/* all */ WITH t AS (SELECT * FROM tickets) SELECT id FROM t",
        "VALUES (1), (2)",
        "SELECT id FROM tickets;",
    ],
)
def test_any_query_that_selects_is_read(database: Path, query: str) -> None:
    assert [list(row.values.values()) for row in read(database, query)] == [[1], [2]]


def test_column_that_is_not_in_use_cannot_fail(database: Path) -> None:
    assert [row.values for row in read(database, "SELECT * FROM tickets", ["text"])] == [
        {"text": "no login"},
        {"text": "café"},
    ]


def test_bytes_in_use_that_are_not_utf_8_are_a_problem_of_their_row(database: Path) -> None:
    first, second = read(database, "SELECT photo FROM tickets", ["photo"])
    assert isinstance(first, Problem)
    assert (first.place, first.outcome) == ("a.db, row 1", "stops")
    assert "column photo" in first.message
    assert second == Row(2, {"photo": None})


def test_text_that_is_not_utf_8_is_a_problem_of_its_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.db", "CREATE TABLE t (text)", "INSERT INTO t VALUES (CAST(x'e9' AS TEXT)), ('b')")
    first, second = read(path, "SELECT text FROM t")
    assert isinstance(first, Problem)
    assert second == Row(2, {"text": "b"})


def test_rows_can_be_read_again(database: Path) -> None:
    rows = open_sqlite(database, "a.db", Dialect(query="SELECT id FROM tickets"))
    assert list(rows) == list(rows) != []
    assert rows.columns == ["id"]


def test_missing_query_error_lists_the_tables_and_the_key(database: Path) -> None:
    with pytest.raises(UserError, match=r"data\.records\.query.*tables: tags, tickets"):
        read(database, None)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM tickets",
        "WITH t AS (SELECT 1) DELETE FROM tickets",
        "DROP TABLE tags",
        "PRAGMA user_version = 7",
        "ATTACH 'other.db' AS other",
        "SELECT 1; DROP TABLE tags",
        "/* SELECT */ UPDATE tickets SET id = 3",
    ],
)
def test_query_that_writes_is_refused(database: Path, query: str) -> None:
    before = database.read_bytes()
    with pytest.raises(UserError, match=r"data\.records\.query"):
        read(database, query)
    assert database.read_bytes() == before
    assert not Path("other.db").exists()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM ticket", "no such table: ticket .*tables: tags, tickets"),
        ("SELECT txt FROM tickets", "no such column: txt"),
        ("SELECT FROM", "syntax error"),
        ("SELECT id FROM tickets WHERE abs(-9223372036854775807 - id) > 0", "overflow"),
    ],
)
def test_wrong_query_is_explained(database: Path, query: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"a\.db: data\.records\.query: .*{message}"):
        read(database, query)


def test_repeated_column_is_refused_only_in_use(database: Path) -> None:
    query = "SELECT a.id, b.id, a.text FROM tickets a JOIN tickets b ON a.id = b.id"
    assert [row.values["text"] for row in read(database, query, ["text"])] == ["no login", "café"]
    with pytest.raises(UserError, match=r"'id' occurs twice.*AS"):
        read(database, query, ["id", "text"])


@pytest.mark.parametrize("content", [b"", b"id,text\n", b"SQLite format 3\0" + b"\xff" * 100])
def test_other_content_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    for query in (None, "SELECT * FROM tickets"):
        with pytest.raises(UserError, match=r"^a\.db: "):
            read(path, query)


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_values_are_read_as_they_were_written(texts: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.db"
    path.unlink(missing_ok=True)
    write(path, "CREATE TABLE tickets (value)", rows=[(text,) for text in texts])
    assert [row.values["value"] for row in read(path, "SELECT value FROM tickets ORDER BY rowid")] == texts

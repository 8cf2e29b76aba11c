import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ratchet.config import (
    DataConfig,
    FileConfig,
    Format,
    LabelKind,
    LabelsConfig,
    RecordsConfig,
    RecordsLayout,
    SplitMethod,
)
from ratchet.data.formats.rows import Row
from ratchet.data.problems import Problem
from ratchet.data.sources import list_sources
from ratchet.data.tables import open_tables
from ratchet.errors import UserError

TEXTS = [{"id": "a", "text": "crash"}, {"id": "b", "text": "slow"}, {"id": "c", "text": "no login"}]


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def configure(path: Path, labels: Path | None = None, **settings: Any) -> DataConfig:
    file = FileConfig(path=None if labels is None else str(labels))
    kind = settings.pop("kind", LabelKind.list)
    of_labels = LabelsConfig(column=settings.pop("column", "labels"), kind=kind, file=file)
    of_records = RecordsConfig(path=str(path), **settings.pop("records", {}))
    return DataConfig(name="own", records=of_records, text=["text"], labels=of_labels, **settings)


def read(config: DataConfig, columns: Sequence[str] | None = None) -> tuple[list[Any], list[Problem]]:
    """Return the values of all rows, and the problems."""
    items = [item for _, rows in open_tables(config, list_sources(config), columns) for item in rows]
    rows = [dict(item.values) for item in items if isinstance(item, Row)]
    return rows, [item for item in items if isinstance(item, Problem)]


def test_labels_of_another_file_are_joined_by_id(tmp_path: Path) -> None:
    texts = write(tmp_path / "texts.jsonl", TEXTS)
    labels = tmp_path / "labels.csv"
    labels.write_text("note,id,labels\nx,b,ui\ny,a,\nz,c,bug\n", encoding="utf-8")
    rows, problems = read(configure(texts, labels, id="id"))
    assert [(row["id"], row["text"], row["labels"]) for row in rows] == [
        ("a", "crash", ""),
        ("b", "slow", "ui"),
        ("c", "no login", "bug"),
    ]
    assert problems == []


def test_ids_are_equal_as_texts(tmp_path: Path) -> None:
    texts = write(tmp_path / "texts.jsonl", [{"id": 7, "text": "crash"}])
    labels = tmp_path / "labels.csv"
    labels.write_text("id,labels\n7,bug\n", encoding="utf-8")
    assert read(configure(texts, labels, id="id"))[0][0]["labels"] == "bug"


def test_text_of_the_records_wins_and_labels_of_their_file(tmp_path: Path) -> None:
    texts = write(tmp_path / "texts.jsonl", [{"id": "a", "text": "crash", "labels": ["old"]}])
    labels = write(tmp_path / "labels.jsonl", [{"id": "a", "text": "", "labels": ["bug"], "day": "2024-01-02"}])
    rows, _ = read(configure(texts, labels, id="id"))
    assert rows == [{"id": "a", "text": "crash", "labels": ["bug"], "day": "2024-01-02"}]


def test_ids_without_a_partner_are_problems_on_either_side(tmp_path: Path) -> None:
    texts = write(tmp_path / "texts.jsonl", TEXTS)
    labels = write(tmp_path / "labels.jsonl", [{"id": key, "labels": ["bug"]} for key in ("c", "a", "z", None, "a")])
    rows, problems = read(configure(texts, labels, id="id"))
    assert [row["id"] for row in rows] == ["a", "c"]
    assert [(problem.kind, problem.place.rpartition("/")[2], problem.outcome) for problem in problems] == [
        ("no id", "labels.jsonl, line 4", "stops"),
        ("duplicate id", "labels.jsonl, line 5", "stops"),
        ("record without labels", "texts.jsonl, line 2", "stops"),
        ("labels without a record", "labels.jsonl, line 3", "dropped"),
    ]


def test_rows_of_one_label_each_repeat_the_record(tmp_path: Path) -> None:
    texts = write(tmp_path / "texts.jsonl", TEXTS[:1])
    labels = write(tmp_path / "labels.jsonl", [{"id": "a", "labels": name} for name in ("bug", "ui")])
    rows, problems = read(configure(texts, labels, id="id", kind=LabelKind.rows))
    assert [(row["id"], row["labels"]) for row in rows] == [("a", "bug"), ("a", "ui")]
    assert problems == []


def test_labels_are_used_by_all_files_of_the_records(tmp_path: Path) -> None:
    write(tmp_path / "texts/1.jsonl", TEXTS[:2])
    write(tmp_path / "texts/2.jsonl", TEXTS[2:])
    labels = write(tmp_path / "labels.jsonl", [{"id": key, "labels": []} for key in "abc"])
    config = configure(tmp_path / "texts", labels, id="id")
    rows, problems = read(config)
    assert ([row["id"] for row in rows], problems) == (["a", "b", "c"], [])


def test_labels_that_fit_no_record_are_refused(tmp_path: Path) -> None:
    texts = write(tmp_path / "texts.jsonl", TEXTS)
    labels = write(tmp_path / "labels.jsonl", [{"id": "doc-a", "labels": []}])
    with pytest.raises(UserError, match=r"no id fits a record, as 'doc-a'.*data\.id"):
        read(configure(texts, labels, id="id"))


@pytest.mark.parametrize(
    ("id_column", "column", "message"),
    [
        (None, "labels", r"set data\.id"),
        ("key", "labels", r"no column 'key' \(data\.id\)"),
        ("id", "label", r"'label' \(data\.labels\); did you mean 'labels'"),
    ],
)
def test_column_that_the_labels_lack_is_named(id_column: str | None, column: str, message: str, tmp_path: Path) -> None:
    texts = write(tmp_path / "texts.jsonl", TEXTS)
    labels = write(tmp_path / "labels.jsonl", [{"id": "a", "labels": []}])
    with pytest.raises(UserError, match=message):
        read(configure(texts, labels, id=id_column, column=column))


def test_only_columns_in_use_are_read_and_the_id(tmp_path: Path) -> None:
    pl.DataFrame([{**row, "thumb": b"\xff"} for row in TEXTS]).write_parquet(tmp_path / "texts.parquet")
    labels = write(tmp_path / "labels.jsonl", [{"id": key, "labels": []} for key in "abc"])
    rows, _ = read(configure(tmp_path / "texts.parquet", labels, id="id"), ["text", "labels"])
    assert rows[0] == {"id": "a", "text": "crash", "labels": []}


def write_documents(directory: Path) -> Path:
    for name in ("bug/1.txt", "ui/2.txt"):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name}", encoding="utf-8")
    return directory


def test_directory_of_classes_has_paths_texts_and_labels(tmp_path: Path) -> None:
    config = configure(write_documents(tmp_path / "docs"), records={"layout": RecordsLayout.directory})
    assert read(config)[0] == [
        {"id": "bug/1.txt", "text": "text of bug/1.txt", "label": "bug"},
        {"id": "ui/2.txt", "text": "text of ui/2.txt", "label": "ui"},
    ]


def test_directories_of_given_parts_have_ids_of_their_own(tmp_path: Path) -> None:
    config = configure(tmp_path, records={"layout": RecordsLayout.directory})
    config.records.path, config.split.method = None, SplitMethod.given
    config.records.train = str(write_documents(tmp_path / "train"))
    config.records.test = str(write_documents(tmp_path / "test"))
    assert [row["id"] for row in read(config)[0]] == [
        *("train/bug/1.txt", "train/ui/2.txt"),
        *("test/bug/1.txt", "test/ui/2.txt"),
    ]


def test_texts_in_files_get_labels_of_a_table_by_their_path(tmp_path: Path) -> None:
    labels = write(
        tmp_path / "labels.jsonl", [{"id": f"{n}.txt", "labels": [name]} for n, name in ((1, "x"), (2, "y"))]
    )
    for number in (1, 2):
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / f"docs/{number}.txt").write_text(f"text {number}", encoding="utf-8")
    config = configure(tmp_path / "docs", labels, records={"layout": RecordsLayout.directory})
    assert read(config)[0] == [
        {"id": "1.txt", "text": "text 1", "labels": ["x"]},
        {"id": "2.txt", "text": "text 2", "labels": ["y"]},
    ]


def test_parts_below_keys_have_their_own_records(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    path.write_text(json.dumps({"train": TEXTS[:2], "test": TEXTS[2:]}), encoding="utf-8")
    config = configure(path, records={"keys": {"train": "train", "test": "test"}})
    config.split.method = SplitMethod.given
    tables = open_tables(config, list_sources(config))
    assert [(source.part, [row.values["id"] for row in rows if isinstance(row, Row)]) for source, rows in tables] == [
        ("train", ["a", "b"]),
        ("test", ["c"]),
    ]


def test_query_and_classes_are_read_by_training(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t AS SELECT 'crash' AS text, 'bug' AS labels")
    config = configure(tmp_path / "a.db", records={"query": "SELECT * FROM t"})
    assert read(config)[0] == [{"text": "crash", "labels": "bug"}]


@pytest.mark.parametrize(("kind", "expected"), [(LabelKind.single, "bug"), (LabelKind.indices, 0)])
def test_numbers_of_classes_stay_where_the_label_file_names_them(
    kind: LabelKind, expected: object, tmp_path: Path
) -> None:
    features = {"labels": {"names": ["bug"], "_type": "ClassLabel"}}
    frame = pl.DataFrame({"text": ["crash"], "labels": [0]})
    frame.write_parquet(tmp_path / "a.bin", metadata={"huggingface": json.dumps({"info": {"features": features}})})
    config = configure(tmp_path / "a.bin", kind=kind, format=Format.parquet)
    assert read(config)[0] == [{"text": "crash", "labels": expected}]

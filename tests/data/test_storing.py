"""Tests that stored data sets and splits read back unchanged, or are rejected."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ratchet.data import storing
from ratchet.data.dataset import Task
from ratchet.data.prepared import Prepared, build_target_matrix, hash_dataset
from ratchet.data.problems import Problem, Report
from ratchet.data.records import Record
from ratchet.data.splits import Split
from ratchet.data.storing import read_prepared, read_split, split_to_json, write_prepared
from ratchet.data.taxonomy import Taxonomy
from ratchet.errors import UserError
from ratchet.files import write_json

MakePrepared = Callable[..., Prepared]
# Only high surrogates: JSON reads a high surrogate followed by a low one as one character.
LONE_SURROGATE = "\ud83d"
SPECIAL_CHARACTERS = [
    "\u2028",
    "\u2029",
    "\x85",
    "\r\n",
    "\n",
    "\r",
    "\x00",
    "\x1c",
    "\x7f",
    "\ufeff",
    "\\ud800",
    '"',
    "\U0001f600",
    " ",
]
TEXTS = st.lists(st.text(max_size=5) | st.sampled_from([*SPECIAL_CHARACTERS, LONE_SURROGATE]), max_size=4).map("".join)
LABELS = ["audio", "grün", "a\u2028b", "no", " "]
ZONES = st.none() | st.just(UTC) | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
RECORDS = st.builds(
    Record,
    id=TEXTS,
    text=TEXTS,
    labels=st.lists(st.sampled_from(LABELS), unique=True).map(lambda names: tuple(sorted(names))),
    created_at=st.none() | st.datetimes(timezones=ZONES),
    columns=st.dictionaries(TEXTS, TEXTS, max_size=2),
    place=TEXTS,
)
PROBLEMS = st.builds(Problem, TEXTS, TEXTS, TEXTS, st.sampled_from(["stops", "dropped", "kept"]))
REPORTS = st.builds(
    Report,
    st.lists(TEXTS, max_size=2),
    st.integers(0, 9),
    st.lists(PROBLEMS, max_size=2),
    st.dictionaries(TEXTS, st.integers(0, 9), max_size=2),
    st.dictionaries(TEXTS, TEXTS, max_size=2),
)


@st.composite
def prepared_sets(draw: st.DrawFn) -> Prepared:
    records = sorted(
        draw(st.lists(RECORDS, max_size=4, unique_by=lambda record: record.id)), key=lambda record: record.id
    )
    labels = sorted({label for record in records for label in record.labels})
    names = st.lists(TEXTS.filter(str.strip), max_size=2, unique=True).map(tuple)
    known = [label for label in labels if label.strip()]
    taxonomy = Taxonomy({label: draw(names) for label in known}, {label: draw(names) for label in known})
    targets = build_target_matrix([record.labels for record in records], labels)
    return Prepared(
        draw(TEXTS), draw(st.sampled_from(Task)), records, labels, targets, taxonomy, hash_dataset(records, labels),
        draw(REPORTS),
    )  # fmt: skip


def store(prepared: Prepared, directory: Path) -> Path:
    write_prepared(prepared, directory)
    return directory


def assert_equal(actual: Prepared, expected: Prepared) -> None:
    assert np.array_equal(actual.targets, expected.targets)
    assert actual.targets.dtype == expected.targets.dtype
    assert replace(actual, targets=expected.targets) == expected


def update_version(prepared: Prepared) -> Prepared:
    return replace(prepared, version=hash_dataset(prepared.records, prepared.labels))


@pytest.fixture
def prepared(make_prepared: MakePrepared) -> Prepared:
    dates = [datetime(2026, 1, day) for day in (1, 2, 3, 4)]
    return update_version(
        make_prepared([("a",), ("a", "b"), (), ("b",)], dates=dates, parts=["train", "val", "test", "train"])
    )


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(expected=prepared_sets())
def test_stored_data_set_reads_back_unchanged(expected: Prepared, tmp_path: Path) -> None:
    assert_equal(read_prepared(store(expected, tmp_path)), expected)


def test_each_record_is_written_to_one_line(prepared: Prepared, tmp_path: Path) -> None:
    texts = ["a\nb", "a\r\nb", "a\u2028b", "a\x85b"]
    records = [replace(record, text=text) for record, text in zip(prepared.records, texts, strict=True)]
    path = store(replace(prepared, records=records), tmp_path) / "records.jsonl"
    lines = path.read_bytes().decode().split("\n")
    assert [json.loads(line)["text"] for line in lines[:-1]] == texts
    assert lines[-1] == ""


def test_same_data_give_the_same_files(prepared: Prepared, tmp_path: Path) -> None:
    names = ("dataset.json", "records.jsonl")
    first = [(store(prepared, tmp_path) / name).read_bytes() for name in names]
    assert [(store(read_prepared(tmp_path), tmp_path) / name).read_bytes() for name in names] == first


def test_unknown_labels_and_parts_read_back(prepared: Prepared, tmp_path: Path) -> None:
    first, *rest = prepared.records
    expected = update_version(replace(prepared, records=[replace(first, unknown=("b",), part="val"), *rest]))
    actual = read_prepared(store(expected, tmp_path))
    assert (actual.records[0].unknown, actual.records[0].part) == (("b",), "val")
    assert actual.known is not None
    assert actual.known.tolist() == [[True, False], [True, True], [True, True], [True, True]]


def test_an_interrupted_write_leaves_the_earlier_records(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (store(prepared, tmp_path) / "records.jsonl").read_bytes()
    monkeypatch.setattr(storing, "_record_to_json", lambda record: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_prepared(prepared, tmp_path)
    assert (tmp_path / "records.jsonl").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset.json", "records.jsonl"]


CHANGES: dict[str, Any] = {
    "id": "9999",
    "text": "another",
    "labels": ["b"],
    "created_at": "2026-01-01T00:00:01",
    "columns": {"part": "test"},
}


@pytest.mark.parametrize(("key", "value"), CHANGES.items(), ids=CHANGES)
def test_changed_record_is_rejected(key: str, value: Any, prepared: Prepared, tmp_path: Path) -> None:
    path = store(prepared, tmp_path) / "records.jsonl"
    first, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([json.dumps({**json.loads(first), key: value}) + "\n", *rest]), encoding="utf-8")
    with pytest.raises(UserError, match=f"records.jsonl: .*{prepared.version[:12]}"):
        read_prepared(tmp_path)


@pytest.mark.parametrize(
    "change", [lambda lines: lines[1:], lambda lines: lines[::-1], lambda lines: [*lines, lines[0]]]
)
def test_missing_reordered_or_repeated_records_are_rejected(
    change: Callable[[list[str]], list[str]], prepared: Prepared, tmp_path: Path
) -> None:
    path = store(prepared, tmp_path) / "records.jsonl"
    path.write_text("".join(change(path.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8")
    with pytest.raises(UserError, match=r"records\.jsonl: .*version"):
        read_prepared(tmp_path)


def test_reordered_labels_are_rejected(prepared: Prepared, tmp_path: Path) -> None:
    path = store(prepared, tmp_path) / "dataset.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {**description, "labels": description["labels"][::-1]})
    with pytest.raises(UserError, match=r"records\.jsonl: .*version"):
        read_prepared(tmp_path)


@pytest.mark.parametrize("name", ["dataset.json", "records.jsonl"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b"\xff", b"{}\n{}\n", b"[1]\n", b'"text"\n'], ids=repr)
def test_invalid_file_is_named_by_its_path(name: str, content: bytes, prepared: Prepared, tmp_path: Path) -> None:
    (store(prepared, tmp_path) / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_prepared(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", ["dataset.json", "records.jsonl"])
def test_missing_data_set_file_is_reported(name: str, prepared: Prepared, tmp_path: Path) -> None:
    (store(prepared, tmp_path) / name).unlink()
    with pytest.raises(UserError, match=f"{name}: .*No such file"):
        read_prepared(tmp_path)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(["name", "version", "task", "labels", "taxonomy", "files", "problems"]), value=JUNK)
def test_changed_description_is_read_or_rejected(key: str, value: Any, prepared: Prepared, tmp_path: Path) -> None:
    path = store(prepared, tmp_path) / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), key: value}), encoding="utf-8")
    try:
        read_prepared(tmp_path)
    except UserError:
        return
    assert key not in ("version", "task"), "no later step would detect a wrong version or task"


SPLIT = Split(train=["0000", "0001"], val=["0002"], test=["0003"])


def test_stored_split_reads_back_unchanged(prepared: Prepared, tmp_path: Path) -> None:
    write_json(tmp_path / "0.json", split_to_json(SPLIT))
    loaded = read_split(tmp_path / "0.json", prepared)
    assert (loaded, loaded.hash) == (SPLIT, SPLIT.hash)


def test_ids_in_no_part_are_stored(prepared: Prepared, tmp_path: Path) -> None:
    split = Split(["0000"], ["0002"], ["0003"], dropped=["0001"], leaked=["0003"])
    write_json(tmp_path / "0.json", split_to_json(split))
    loaded = read_split(tmp_path / "0.json", prepared)
    assert (loaded, loaded.dropped, loaded.leaked) == (split, ["0001"], ["0003"])
    assert list(split_to_json(SPLIT)) == ["hash", "train", "val", "test"], "as before where nothing is dropped"


@pytest.mark.parametrize(
    "split",
    [
        Split(["0000", "0001"], ["0002"], ["0004"]),
        Split(["0000", "0001"], ["0002"], []),
        Split(["0000", "0001"], ["0002"], ["0003", "0000"]),
        Split(["0000", "0001"], ["0002"], ["0003", "0004"]),
    ],
    ids=["another", "fewer", "twice", "more"],
)
def test_split_of_different_records_is_rejected(split: Split, prepared: Prepared, tmp_path: Path) -> None:
    write_json(tmp_path / "0.json", split_to_json(split))
    with pytest.raises(UserError, match=rf"0\.json: .*small.*{prepared.version[:12]}"):
        read_split(tmp_path / "0.json", prepared)


def test_ids_moved_to_another_part_are_rejected(prepared: Prepared, tmp_path: Path) -> None:
    write_json(tmp_path / "0.json", {**split_to_json(SPLIT), "val": ["0003"], "test": ["0002"]})
    with pytest.raises(UserError, match=r"0\.json: .*hash"):
        read_split(tmp_path / "0.json", prepared)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=JUNK | st.fixed_dictionaries(dict.fromkeys(("train", "val", "test"), JUNK)))
@example(content={"train": [1, "0000"], "val": [], "test": []})
@example(content={"train": [{}, {}], "val": [], "test": []})
@example(content={"train": "0000", "val": [], "test": []})
def test_invalid_split_file_is_named(content: Any, prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "0.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match=r"0\.json: "):
        read_split(tmp_path / "0.json", prepared)


def test_missing_split_file_is_reported(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0\.json: .*No such file"):
        read_split(tmp_path / "0.json", prepared)

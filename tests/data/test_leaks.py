import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.config import Duplicates, Leaks, SplitConfig, SplitMethod
from ratchet.data import leaks as leaks_module
from ratchet.data.leaks import Leak, count_pairs, find_leaks, list_pairs
from ratchet.data.prepared import Prepared
from ratchet.data.splits import PARTS, Split, make_split
from ratchet.errors import UserError

MakePrepared = Callable[..., Prepared]
NOTE = "the ferry to the outer islands leaves at nine in the morning and returns before the evening tide comes in"
NEAR = NOTE.replace("nine", "ten")


def split_given(
    prepared: Prepared,
    leaks: Leaks,
    *,
    directory: Path | None = None,
    group: str | None = None,
    duplicates: Duplicates = Duplicates.near,
    similarity: float = 0.8,
) -> Split:
    config = SplitConfig(0, SplitMethod.given, 0.2, 0.2, leaks, duplicates, similarity)
    return make_split(prepared, config, "part", group, leaks_dir=directory)


@pytest.fixture
def leaking(make_prepared: MakePrepared) -> Prepared:
    """Rows 0 and 1 (train), 4 (val) and 6 (test) share a text; so do rows 3 (train) and 5 (val), and 2 and 7."""
    texts = [NOTE, NEAR, "2" * 30, "first", NOTE, "First!", NOTE.upper(), "2" * 30, "in train", "in val", "in test"]
    parts = ["train"] * 4 + ["val"] * 2 + ["test"] * 2 + ["train", "val", "test"]
    return make_prepared([("a",)] * 11, texts=texts, parts=parts)


@pytest.mark.parametrize(
    ("groups", "parts", "pairs"),
    [
        ([0, 1, 2], ["train", "val", "test"], []),
        ([0, 0, 1], ["train", "train", "test"], []),
        ([0, 0], ["train", "test"], [(0, 1)]),
        ([0, 0], ["test", "train"], [(1, 0)]),
        ([0, 0, 0], ["test", "val", "train"], [(1, 0), (2, 0), (2, 1)]),
        ([0, 0, 0], ["train", "train", "test"], [(0, 2), (1, 2)]),
        ([0, 0, 0], ["train", "test", "test"], [(0, 1), (0, 2)]),
        ([0, 0, 0, 0], ["train", "val", "val", "test"], [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]),
        ([0, 1, 0, 1], ["val", "train", "test", "val"], [(0, 2), (1, 3)]),
    ],
)
def test_every_row_of_a_shared_group_is_in_a_pair(
    groups: list[int], parts: list[str], pairs: list[tuple[int, int]]
) -> None:
    assert find_leaks(np.array(groups), parts) == [Leak(*pair) for pair in pairs]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["train", "val", "test"])), max_size=30))
def test_pairs_are_few_and_between_parts_of_one_group(rows: list[tuple[int, str]]) -> None:
    groups, parts = [group for group, _ in rows], [part for _, part in rows]
    leaks = find_leaks(np.array(groups, dtype=np.int64), parts)
    shared = {row for row in range(len(rows)) if len({p for g, p in rows if g == groups[row]}) > 1}
    assert {row for leak in leaks for row in (leak.row, leak.partner)} == shared
    first = {group: min((p for g, p in rows if g == group), key=PARTS.index) for group in groups}
    later = {row for row in shared if parts[row] != first[groups[row]]}
    assert {leak.partner for leak in leaks} == later, "each row of a later part shares a text with an earlier one"
    assert all(groups[leak.row] == groups[leak.partner] and parts[leak.row] != parts[leak.partner] for leak in leaks)
    assert len(leaks) <= 2 * len(rows)


def test_stop_writes_all_pairs_and_names_every_way_on(leaking: Prepared, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        split_given(leaking, Leaks.stop, directory=tmp_path / "runs" / "small")
    message = str(caught.value)
    path = tmp_path / "runs" / "small" / "leaks.csv"
    for key in ("split.leaks=drop_from_train", "split.leaks=report", "split.duplicates=exact", "split.similarity"):
        assert key in message
    assert str(path) in message
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id1"], row["part1"], row["id2"], row["part2"]) for row in rows] == [
        ("0000", "train", "0004", "val"),
        ("0000", "train", "0006", "test"),
        ("0001", "train", "0004", "val"),
        ("0001", "train", "0006", "test"),
        ("0004", "val", "0006", "test"),
        ("0002", "train", "0007", "test"),
        ("0003", "train", "0005", "val"),
    ], "the pairs of a group are next to one another"
    assert [(row["group"], row["pairs_of_group"]) for row in rows] == [*[("1", "5")] * 5, ("2", "1"), ("3", "1")]
    assert "7 pairs" in message
    assert "2 records of val and 2 records of test" in message
    assert rows[0]["text1"] == NOTE
    assert rows[1]["place2"] == "file.csv, row 7"


@pytest.mark.parametrize(
    ("sizes", "pairs", "later"),
    [
        ((20, 11, 15), 20 * 11 + 31 * 15, "11 records of val and 15 records of test"),
        ((31, 0, 15), 31 * 15, "15 records of test"),
        ((1, 40, 0), 40, "40 records of val"),
        ((0, 3, 5), 15, "5 records of test"),
    ],
)
def test_all_pairs_of_a_large_group_are_written_and_counted(
    make_prepared: MakePrepared, tmp_path: Path, sizes: tuple[int, int, int], pairs: int, later: str
) -> None:
    parts = [part for part, size in zip(PARTS, sizes, strict=True) for _ in range(size)]
    others = list(PARTS)
    texts = [NOTE] * len(parts) + [f"only in {part}" for part in others]
    prepared = make_prepared([("a",)] * len(texts), texts=texts, parts=parts + others)
    with pytest.raises(UserError) as caught:
        split_given(prepared, Leaks.stop, directory=tmp_path)
    message = str(caught.value)
    assert f"{pairs} pairs" in message
    assert f"; {later} leak" in message
    shown = [line for line in message.splitlines() if line.startswith("  file.csv")]
    assert f"... and {pairs - len(shown)} more" in message
    assert "all pairs:" in message
    with (tmp_path / "leaks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({(row["id1"], row["id2"]) for row in rows}) == len(rows) == pairs
    assert {row["pairs_of_group"] for row in rows} == {str(pairs)}
    assert all(PARTS.index(row["part1"]) < PARTS.index(row["part2"]) for row in rows)


def test_group_with_too_many_pairs_has_every_record_in_one(
    make_prepared: MakePrepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks_module, "_MOST_PAIRS", 60)
    parts = ["train"] * 20 + ["val"] * 5 + ["test"] * 10 + list(PARTS)
    texts = [NOTE] * 35 + ["only in train", "in val alone", "found in test"]
    prepared = make_prepared([("a",)] * 38, texts=texts, parts=parts)
    with pytest.raises(UserError) as caught:
        split_given(prepared, Leaks.stop, directory=tmp_path)
    assert "60 of 350 pairs" in str(caught.value)
    assert "all pairs" not in str(caught.value)
    with (tmp_path / "leaks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({(row["id1"], row["id2"]) for row in rows}) == len(rows) == 60
    assert {row["pairs_of_group"] for row in rows} == {"350"}
    assert {row[column] for row in rows for column in ("id1", "id2")} == {f"{row:04d}" for row in range(35)}


@settings(deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=25))
def test_pairs_of_a_group_are_those_between_its_parts(parts: list[str]) -> None:
    rows = list(range(len(parts)))
    expected = {(one, two) for one in rows for two in rows if PARTS.index(parts[one]) < PARTS.index(parts[two])}
    listed = [(leak.row, leak.partner) for leak in list_pairs(rows, parts)]
    assert len(listed) == len(expected) == count_pairs(rows, parts)
    assert set(listed) == expected


@pytest.mark.parametrize(
    ("duplicates", "similarity", "group", "keys"),
    [
        (Duplicates.near, 0.8, None, {"split.duplicates=exact", "raise split.similarity"}),
        (Duplicates.near, 1.0, None, {"split.duplicates=exact"}),
        (Duplicates.exact, 0.8, None, set()),
        (Duplicates.exact, 0.8, "part", {"data.split.group"}),
    ],
)
def test_stop_names_only_settings_that_find_fewer(
    leaking: Prepared, duplicates: Duplicates, similarity: float, group: str | None, keys: set[str]
) -> None:
    with pytest.raises(UserError) as caught:
        split_given(leaking, Leaks.stop, duplicates=duplicates, similarity=similarity, group=group)
    named = {"split.duplicates=exact", "raise split.similarity", "data.split.group"}
    assert {key for key in named if key in str(caught.value)} == keys


def test_drop_from_train_leaves_test_and_reports_each_record(leaking: Prepared, tmp_path: Path) -> None:
    split = split_given(leaking, Leaks.drop_from_train, directory=tmp_path)
    assert split == Split(train=["0008"], val=["0005", "0009"], test=["0006", "0007", "0010"])
    assert split.dropped == ["0000", "0001", "0002", "0003", "0004"]
    assert split.leaked == []
    assert [problem.outcome for problem in split.problems] == ["dropped"] * 5
    assert "file.csv, row 1 " in split.problems[0].place
    assert (tmp_path / "leaks.csv").is_file()


def test_report_keeps_the_parts_and_lists_leaked_ids(leaking: Prepared) -> None:
    split = split_given(leaking, Leaks.report)
    assert len(split.train) + len(split.val) + len(split.test) == 11
    assert split.dropped == []
    assert split.leaked == ["0004", "0005", "0006", "0007"]
    assert {problem.outcome for problem in split.problems} == {"kept"}
    assert len(split.problems) == 5


def test_hash_of_a_split_depends_on_its_parts_alone(leaking: Prepared) -> None:
    split = split_given(leaking, Leaks.report)
    assert split.hash == Split(split.train, split.val, split.test).hash
    assert split.hash != split_given(leaking, Leaks.drop_from_train).hash


@pytest.mark.parametrize("leaks", [Leaks.drop_from_train, Leaks.report])
def test_parts_without_a_leak_are_unchanged(make_prepared: MakePrepared, leaks: Leaks) -> None:
    prepared = make_prepared([("a",)] * 6, parts=["train", "val", "test"] * 2)
    split = split_given(prepared, leaks)
    assert (split.dropped, split.leaked, split.problems) == ([], [], ())
    assert split == split_given(prepared, Leaks.stop)


def test_higher_similarity_finds_fewer_leaks(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 3, texts=[NOTE, "other", NEAR], parts=["train", "val", "test"])
    assert split_given(prepared, Leaks.report).leaked == ["0002"]
    assert split_given(prepared, Leaks.stop, similarity=0.95).leaked == []
    assert split_given(prepared, Leaks.stop, duplicates=Duplicates.exact).leaked == []


@pytest.mark.parametrize("copy", [NOTE, NOTE.upper(), f"{NOTE}..."])
def test_exact_duplicates_are_leaks_too(make_prepared: MakePrepared, copy: str) -> None:
    prepared = make_prepared([("a",)] * 3, texts=[NOTE, "other", copy], parts=["train", "val", "test"])
    with pytest.raises(UserError, match="leak"):
        split_given(prepared, Leaks.stop, duplicates=Duplicates.exact)


def test_group_in_two_parts_is_a_leak(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 4, parts=["train", "train", "val", "test"])
    for record, author in zip(prepared.records, ["ann", "bob", "", "bob"], strict=True):
        record.columns["author"] = author
    with pytest.raises(UserError, match="author") as caught:
        split_given(prepared, Leaks.stop, group="author")
    assert "row 2 (train) and file.csv, row 4 (test)" in str(caught.value)
    assert split_given(prepared, Leaks.drop_from_train, group="author").dropped == ["0001"]


def test_part_that_loses_all_records_is_named(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 3, texts=[NOTE, "other", NOTE], parts=["train", "val", "test"])
    with pytest.raises(UserError, match=r"train part would be empty.*dropped 1 records"):
        split_given(prepared, Leaks.drop_from_train)


def test_val_is_sampled_from_what_is_left_of_train(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",), ("b",)] * 30, parts=["train"] * 40 + ["test"] * 20)
    records = [
        replace(record, text=prepared.records[0].text if row == 50 else record.text)
        for row, record in enumerate(prepared.records)
    ]
    split = split_given(replace(prepared, records=records), Leaks.drop_from_train)
    assert split.dropped == ["0000"]
    assert "0000" not in {*split.train, *split.val, *split.test}
    assert len(split.val) == 12


def test_pairs_that_cannot_be_written_do_not_hide_the_leak(leaking: Prepared, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"(?s)data leak.*leaks\.csv cannot be written"):
        split_given(leaking, Leaks.stop, directory=tmp_path / "file")


def test_half_characters_are_written_to_the_pairs(make_prepared: MakePrepared, tmp_path: Path) -> None:
    prepared = make_prepared(
        [("a",)] * 3, texts=["half \ud800", "other", "half \ud800"], parts=["train", "val", "test"]
    )
    split_given(prepared, Leaks.report, directory=tmp_path)
    assert "half \\ud800" in (tmp_path / "leaks.csv").read_text(encoding="utf-8")

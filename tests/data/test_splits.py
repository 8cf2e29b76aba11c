import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ratchet.config import Duplicates, Leaks, SplitConfig, SplitMethod, compose
from ratchet.data.dataset import Task
from ratchet.data.near_duplicates import group_duplicates
from ratchet.data.prepared import Prepared, prepare
from ratchet.data.splits import PARTS, Split, make_split
from ratchet.errors import UserError

MakePrepared = Callable[..., Prepared]
START = datetime(2026, 1, 1)
SENTENCE = "an unusually long sentence about lighthouses that stands in two of the parts that somebody handed out"


def make_split_config(
    method: SplitMethod = SplitMethod.stratified,
    *,
    val: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    leaks: Leaks = Leaks.stop,
    duplicates: Duplicates = Duplicates.near,
    similarity: float = 0.8,
) -> SplitConfig:
    return SplitConfig(
        seed=seed,
        method=method,
        val=val,
        test=test,
        leaks=leaks,
        duplicates=duplicates,
        similarity=similarity,
    )


def make_multilabels(size: int, seed: int = 0) -> list[tuple[str, ...]]:
    """Return labels on about 50, 30, 20, 10 and 4 per cent of the records; some records have no label."""
    generator = np.random.default_rng(seed)
    shares = {"a": 0.5, "b": 0.3, "c": 0.2, "d": 0.1, "e": 0.04}
    return [tuple(label for label, share in shares.items() if generator.random() < share) for _ in range(size)]


def make_dates(count: int) -> list[datetime]:
    return [START + timedelta(days=index) for index in range(count)]


def map_ids_to_parts(split: Split) -> dict[str, str]:
    return {identifier: part for part in PARTS for identifier in getattr(split, part)}


def is_partition(split: Split, prepared: Prepared) -> bool:
    return sorted([*split.train, *split.val, *split.test]) == [record.id for record in prepared.records]


def count_labels(split: Split, prepared: Prepared) -> dict[str, Counter[str]]:
    part_of = map_ids_to_parts(split)
    counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    for record in prepared.records:
        counts[part_of[record.id]].update(record.labels)
    return counts


# --- stratified -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("val", "test"), [(0.2, 0.2), (0.15, 0.15), (0.1, 0.3)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stratified_parts_keep_label_proportions(
    make_prepared: MakePrepared, val: float, test: float, seed: int
) -> None:
    prepared = make_prepared(make_multilabels(600))
    split = make_split(prepared, make_split_config(val=val, test=test, seed=seed), None)
    assert is_partition(split, prepared)
    counts = count_labels(split, prepared)
    total = Counter(label for record in prepared.records for label in record.labels)
    for part, share in {"val": val, "test": test, "train": 1 - val - test}.items():
        assert len(getattr(split, part)) == pytest.approx(share * 600, abs=12)
        for label in prepared.labels:
            # In a random split, the standard deviation of the count would be up to 8 (label a) and 2 (label e).
            assert counts[part][label] == pytest.approx(share * total[label], abs=2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stratified_parts_keep_class_proportions(make_prepared: MakePrepared, seed: int) -> None:
    classes = [("a",)] * 150 + [("b",)] * 100 + [("c",)] * 40 + [("d",)] * 10
    prepared = make_prepared(classes, task=Task.multiclass)
    split = make_split(prepared, make_split_config(seed=seed), None)
    assert is_partition(split, prepared)
    counts = count_labels(split, prepared)
    assert counts["test"] == {"a": 30, "b": 20, "c": 8, "d": 2}
    assert counts["val"] == {"a": 30, "b": 20, "c": 8, "d": 2}


@pytest.mark.parametrize("positive", [1, 2, 30, 89, 90])
def test_single_label_of_multilabel_data_is_stratified(make_prepared: MakePrepared, positive: int) -> None:
    # As with several labels, prepare() reports a label with too few records for three parts, without an error.
    prepared = make_prepared([("a",) if index < positive else () for index in range(90)])
    split = make_split(prepared, make_split_config(), None)
    assert is_partition(split, prepared)
    assert count_labels(split, prepared)["test"]["a"] == pytest.approx(positive / 5, abs=1)


@pytest.mark.parametrize("task", list(Task))
def test_stratified_split_depends_only_on_the_seed(make_prepared: MakePrepared, task: Task) -> None:
    labels = make_multilabels(120) if task is Task.multilabel else [("a",), ("b",), ("c",)] * 40
    prepared = make_prepared(labels, task=task)
    hashes = [make_split(prepared, make_split_config(seed=seed), None).hash for seed in (0, 1, 2, 0)]
    assert hashes[0] == hashes[3]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize("size", [1, 2])
def test_too_few_records_error_names_their_number(make_prepared: MakePrepared, size: int) -> None:
    with pytest.raises(UserError, match=rf"small: {size} records"):
        make_split(make_prepared([("a",)] * size), make_split_config(), None)


def test_rare_class_error_names_class_and_filter(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("common",)] * 30 + [("other",)] * 30 + [("rare",)], task=Task.multiclass)
    with pytest.raises(UserError) as caught:
        make_split(prepared, make_split_config(), None)
    message = str(caught.value)
    assert "'rare'" in message
    assert "data.filter.min_records" in message
    assert "data.filter.drop_unlabelled=true" in message


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.sets(st.sampled_from("abcd"), max_size=3).map(tuple), min_size=20, max_size=60),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_record_is_in_exactly_one_part(
    make_prepared: MakePrepared, labels: list[tuple[str, ...]], seed: int
) -> None:
    prepared = make_prepared([*labels, ("a",), ("b",)])
    split = make_split(prepared, make_split_config(seed=seed), None)
    assert is_partition(split, prepared)
    assert len(split.test) == pytest.approx(0.2 * len(prepared.records), abs=4)


# --- shares -----------------------------------------------------------------------------------------------------------
RARE_LABELS = {
    "one record each": [(f"user-{index}",) for index in range(200)],
    "two records each": [(f"class-{index // 2}",) for index in range(200)],
    "three records each": [(f"class-{index // 3}",) for index in range(200)],
    "rare and common": [("bug", f"user-{index}") if index % 5 == 0 else (f"user-{index}",) for index in range(200)],
    "rare and none": [(f"user-{index}",) if index % 3 == 0 else () for index in range(200)],
}


@pytest.mark.parametrize("labels", RARE_LABELS.values(), ids=RARE_LABELS)
@pytest.mark.parametrize(("val", "test"), [(0.15, 0.15), (0.1, 0.3)])
@pytest.mark.parametrize("seed", [0, 1])
def test_parts_have_their_shares_although_labels_are_rare(
    make_prepared: MakePrepared, labels: list[tuple[str, ...]], val: float, test: float, seed: int
) -> None:
    prepared = make_prepared(labels)
    split = make_split(prepared, make_split_config(val=val, test=test, seed=seed), None)
    assert is_partition(split, prepared)
    assert len(split.val) == pytest.approx(200 * val, abs=max(2, 0.05 * 200 * val))
    assert len(split.test) == pytest.approx(200 * test, abs=max(2, 0.05 * 200 * test))
    assert split.problems == ()


def test_common_labels_stay_stratified_if_rare_ones_move(make_prepared: MakePrepared) -> None:
    prepared = make_prepared(RARE_LABELS["rare and common"])
    split = make_split(prepared, make_split_config(), None)
    counts = count_labels(split, prepared)
    assert counts["test"]["bug"] == pytest.approx(8, abs=1)
    assert counts["val"]["bug"] == pytest.approx(8, abs=1)


def test_moved_records_leave_train_a_record_of_each_label(make_prepared: MakePrepared) -> None:
    prepared = make_prepared(RARE_LABELS["two records each"])
    split = make_split(prepared, make_split_config(val=0.15, test=0.15), None)
    assert set(count_labels(split, prepared)["train"]) == set(prepared.labels)


def test_moved_records_depend_on_the_seed_alone(make_prepared: MakePrepared) -> None:
    prepared = make_prepared(RARE_LABELS["two records each"])
    hashes = [make_split(prepared, make_split_config(seed=seed), None).hash for seed in (0, 1, 0)]
    assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.parametrize("method", [SplitMethod.stratified, SplitMethod.temporal])
@pytest.mark.parametrize("task", list(Task))
def test_one_group_of_all_records_is_explained(make_prepared: MakePrepared, method: SplitMethod, task: Task) -> None:
    texts = [
        f"your request {index} is with us now and we shall answer it within two working days" for index in range(60)
    ]
    prepared = make_prepared([("a",), ("b",)] * 30, texts=texts, dates=make_dates(60), task=task)
    with pytest.raises(UserError, match="all 60 records are near-duplicates") as caught:
        make_split(prepared, make_split_config(method), None)
    assert "split.duplicates=exact" in str(caught.value)
    assert "split.similarity" in str(caught.value)
    split = make_split(prepared, make_split_config(method, duplicates=Duplicates.exact), None)
    assert len(split.test) == 12


@pytest.mark.parametrize("size", [20, 60, 100, 130])
def test_large_group_leaves_the_shares_of_the_other_parts(make_prepared: MakePrepared, size: int) -> None:
    texts = [SENTENCE if index < size else f"{index * 7919}" * 9 for index in range(200)]
    prepared = make_prepared([("a",), ("b",)] * 100, texts=texts)
    for seed in range(5):
        split = make_split(prepared, make_split_config(val=0.15, test=0.15, seed=seed), None)
        assert is_partition(split, prepared)
        assert [len(split.val), len(split.test)] == pytest.approx([30, 30], abs=3)
        assert split.problems == ()


@pytest.mark.parametrize(("method", "size"), [(SplitMethod.stratified, 170), (SplitMethod.temporal, 150)])
def test_share_that_a_group_makes_impossible_is_reported(
    make_prepared: MakePrepared, method: SplitMethod, size: int
) -> None:
    texts = [SENTENCE if 5 <= index < 5 + size else f"{index * 7919}" * 9 for index in range(200)]
    prepared = make_prepared([("a",), ("b",)] * 100, texts=texts, dates=make_dates(200))
    split = make_split(prepared, make_split_config(method), None)
    assert len(split.train) >= size
    assert {problem.kind for problem in split.problems} == {"share of a part"}
    assert f"{size} of 200 records are near-duplicates" in split.problems[0].message
    assert "file.csv, row 6" in split.problems[0].message


# --- groups -----------------------------------------------------------------------------------------------------------
def make_authors(make_prepared: MakePrepared, authors: list[str], **settings: object) -> Prepared:
    prepared = make_prepared([("a",), ("b",)] * (len(authors) // 2), dates=make_dates(len(authors)), **settings)
    for record, author in zip(prepared.records, authors, strict=True):
        record.columns["author"] = author
    return prepared


@pytest.mark.parametrize("method", [SplitMethod.stratified, SplitMethod.temporal])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_records_of_one_author_are_in_one_part(make_prepared: MakePrepared, method: SplitMethod, seed: int) -> None:
    authors = [f"author {index // 4}" for index in range(200)]
    prepared = make_authors(make_prepared, authors)
    split = make_split(prepared, make_split_config(method, seed=seed), None, "author")
    assert is_partition(split, prepared)
    part_of = map_ids_to_parts(split)
    parts: dict[str, set[str]] = {}
    for record, author in zip(prepared.records, authors, strict=True):
        parts.setdefault(author, set()).add(part_of[record.id])
    assert {len(of_author) for of_author in parts.values()} == {1}


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize(
    "sizes", [[200] + [10] * 20, [200] + [20] * 10, [50] * 4 + [1] * 200, [20] + [1] * 20], ids=str
)
def test_large_groups_leave_each_part_its_share(make_prepared: MakePrepared, sizes: list[int], task: Task) -> None:
    """Half of the texts are of one template or a few: test had 7.5 % or 25 % of the records instead of 15 %."""
    authors = [f"author {index}" for index, size in enumerate(sizes) for _ in range(size)]
    prepared = make_prepared([("a",), ("b",), ("c",), ("d",)] * (len(authors) // 4), task=task)
    for record, author in zip(prepared.records, authors, strict=True):
        record.columns["author"] = author
    tests = set()
    for seed in range(4):
        split = make_split(prepared, make_split_config(val=0.15, test=0.15, seed=seed), None, "author")
        assert is_partition(split, prepared)
        for part in ("val", "test"):
            assert len(getattr(split, part)) == pytest.approx(0.15 * len(authors), abs=max(2, 0.02 * len(authors)))
        part_of = map_ids_to_parts(split)
        assert len({(record.columns["author"], part_of[record.id]) for record in prepared.records}) == len(sizes)
        assert split.problems == ()
        tests.add(tuple(split.test))
    assert len(tests) == 4, "the seed decides between groups of the same size"


def test_groups_that_dates_bring_together_leave_each_part_its_share(make_prepared: MakePrepared) -> None:
    """Every second record is of one author, whose oldest record is in train: test had 7.5 % of the records."""
    authors = [f"author {index}" if index % 2 else "ann" for index in range(200)]
    split = make_split(make_authors(make_prepared, authors), make_split_config(SplitMethod.temporal), None, "author")
    assert [len(split.train), len(split.val), len(split.test)] == [120, 40, 40]
    assert split.test[-1] == "0199"
    assert max(split.val) < min(split.test)


@given(sizes=st.lists(st.integers(1, 40), min_size=6, max_size=25), seed=st.integers(0, 3), data=st.data())
def test_groups_of_any_sizes_are_never_divided(
    make_prepared: MakePrepared, sizes: list[int], seed: int, data: st.DataObject
) -> None:
    assume(max(sizes) > 1 and sum(sizes) >= 10)
    authors = [f"author {index}" for index, size in enumerate(sizes) for _ in range(size)]
    method = data.draw(st.sampled_from([SplitMethod.stratified, SplitMethod.temporal]))
    prepared = make_prepared(
        [("a",) if index % 3 else () for index in range(len(authors))], dates=make_dates(len(authors))
    )
    for record, author in zip(prepared.records, authors, strict=True):
        record.columns["author"] = author
    split = make_split(prepared, make_split_config(method, seed=seed), None, "author")
    part_of = map_ids_to_parts(split)
    assert len({(record.columns["author"], part_of[record.id]) for record in prepared.records}) == len(sizes)
    wanted = round(0.2 * len(authors))
    far = max(abs(len(split.val) - wanted), abs(len(split.test) - wanted))
    assert far <= max(*sizes, 2, 0.02 * len(authors)) + 1
    if far > max(2, 0.02 * len(authors)) + 1:
        assert split.problems, "a part without its share is reported"


def test_authors_of_stratified_parts_fill_their_shares(make_prepared: MakePrepared) -> None:
    authors = [f"author {int(index**0.5)}" for index in range(400)]  # 1, 3, 5, ... records
    prepared = make_authors(make_prepared, authors)
    split = make_split(prepared, make_split_config(), None, "author")
    assert len(split.test) == pytest.approx(80, abs=40)
    assert len(split.val) == pytest.approx(80, abs=40)


def test_records_without_an_author_are_not_a_group(make_prepared: MakePrepared) -> None:
    prepared = make_authors(make_prepared, ["", " "] * 50)
    assert make_split(prepared, make_split_config(), None, "author") == make_split(prepared, make_split_config(), None)


def test_near_duplicates_join_the_groups_of_two_authors(make_prepared: MakePrepared) -> None:
    texts = [f"{index * 7919}" * 9 for index in range(40)]
    texts[0] = texts[1] = SENTENCE
    prepared = make_authors(make_prepared, ["ann", "bob", "ann", "bob", *map(str, range(36))], texts=texts)
    for seed in range(6):
        split = make_split(prepared, make_split_config(seed=seed), None, "author")
        assert len({map_ids_to_parts(split)[f"000{index}"] for index in range(4)}) == 1


def test_author_of_all_records_is_explained(make_prepared: MakePrepared) -> None:
    prepared = make_authors(make_prepared, ["ann"] * 40)
    with pytest.raises(UserError, match=r"all 40 records.*author.*data\.split\.group"):
        make_split(prepared, make_split_config(), None, "author")


def test_few_authors_explain_a_share_that_is_not_met(make_prepared: MakePrepared) -> None:
    prepared = make_authors(make_prepared, [f"author {index % 3}" for index in range(90)])
    split = make_split(prepared, make_split_config(), None, "author")
    assert [problem.kind for problem in split.problems] == ["share of a part"] * 2
    assert "30 of 90 records are records of one author" in split.problems[0].message


def test_class_of_one_author_is_not_called_rare(make_prepared: MakePrepared) -> None:
    prepared = make_authors(make_prepared, ["x", "y"] * 40, task=Task.multiclass)
    with pytest.raises(UserError, match=r"40 of 80 records are records of one author.*data\.split\.group") as caught:
        make_split(prepared, make_split_config(), None, "author")
    assert "min_records" not in str(caught.value)


def test_missing_group_column_is_named(make_prepared: MakePrepared) -> None:
    with pytest.raises(UserError, match=r"'autor' \(data\.split\.group\)"):
        make_split(make_authors(make_prepared, ["ann", "bob"] * 10), make_split_config(), None, "autor")


# --- temporal ---------------------------------------------------------------------------------------------------------
def test_temporal_split_trains_on_oldest_and_tests_on_newest(make_prepared: MakePrepared) -> None:
    order = np.random.default_rng(0).permutation(100)
    dates = [START + timedelta(days=int(day)) for day in order]
    prepared = make_prepared(make_multilabels(100), dates=dates)
    split = make_split(prepared, make_split_config(SplitMethod.temporal, val=0.1, test=0.3), None)
    assert is_partition(split, prepared)
    assert [len(split.train), len(split.val), len(split.test)] == [60, 10, 30]
    date_of = {record.id: date for record, date in zip(prepared.records, dates, strict=True)}
    by_part = {part: [date_of[identifier] for identifier in getattr(split, part)] for part in PARTS}
    assert max(by_part["train"]) < min(by_part["val"])
    assert max(by_part["val"]) < min(by_part["test"])


def test_records_with_equal_dates_are_ordered_by_id(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 10, dates=[START] * 10)
    split = make_split(prepared, make_split_config(SplitMethod.temporal), None)
    assert split.train == [f"{index:04d}" for index in range(6)]
    assert split.val == ["0006", "0007"]
    assert split.test == ["0008", "0009"]


def test_seed_does_not_change_a_temporal_split(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 20, dates=make_dates(20))
    hashes = {make_split(prepared, make_split_config(SplitMethod.temporal, seed=seed), None).hash for seed in range(3)}
    assert len(hashes) == 1


def test_record_without_a_date_is_named_in_the_error(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 10, dates=[*make_dates(7), None, START, None])
    with pytest.raises(UserError, match=r"file\.csv, row 8: .*\b2\b"):
        make_split(prepared, make_split_config(SplitMethod.temporal), None)


def test_empty_temporal_part_is_named_in_the_error(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 4, dates=make_dates(4))
    with pytest.raises(UserError, match=r"\btest\b.*\b4 records.*split\.test=0\.1"):
        make_split(prepared, make_split_config(SplitMethod.temporal, test=0.1, val=0.3), None)


def test_duplicate_of_an_old_text_stays_in_its_part(make_prepared: MakePrepared) -> None:
    texts = [
        f"{word} " * 6 for word in ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    ]
    texts[9] = texts[0].upper()
    prepared = make_prepared([("a",)] * 10, texts=texts, dates=make_dates(10))
    split = make_split(prepared, make_split_config(SplitMethod.temporal), None)
    assert "0009" in split.train
    assert split.test == ["0008"]


@pytest.mark.parametrize("sentinel", [datetime(9999, 12, 31), datetime(1970, 1, 1), datetime(1900, 1, 1)])
def test_dates_that_mean_none_stop_a_temporal_split(make_prepared: MakePrepared, sentinel: datetime) -> None:
    prepared = make_prepared([("a",)] * 20, dates=[*make_dates(16), *[sentinel] * 4])
    with pytest.raises(UserError, match=r"file\.csv, row 17: 4 records are dated") as caught:
        make_split(prepared, make_split_config(SplitMethod.temporal), None)
    assert "data.missing" in str(caught.value)
    assert "data.drop_bad_rows" in str(caught.value)
    assert make_split(prepared, make_split_config(), None).test


# --- given ------------------------------------------------------------------------------------------------------------
def test_given_parts_accept_their_usual_names(make_prepared: MakePrepared) -> None:
    parts = ["train", "Training", "val", "VALID", "validation", "dev", "test", "Test"]
    prepared = make_prepared([("a",)] * 8, parts=parts)
    split = make_split(prepared, make_split_config(SplitMethod.given), "part")
    assert split == Split(train=["0000", "0001"], val=["0002", "0003", "0004", "0005"], test=["0006", "0007"])


@pytest.mark.parametrize("value", ["", "holdout", "tset"])
def test_unknown_part_error_names_value_and_row(make_prepared: MakePrepared, value: str) -> None:
    prepared = make_prepared([("a",)] * 3, parts=["train", value, "test"])
    with pytest.raises(UserError) as caught:
        make_split(prepared, make_split_config(SplitMethod.given), "part")
    assert "file.csv, row 2" in str(caught.value)
    assert f"part={value!r}" in str(caught.value)
    assert "train, val or test" in str(caught.value)


@pytest.mark.parametrize("task", list(Task))
def test_missing_val_part_is_sampled_from_train(make_prepared: MakePrepared, task: Task) -> None:
    labels = [("a",)] * 40 + [("b",)] * 40 + [("c",)] * 20
    parts = ["test" if index % 4 == 0 else "train" for index in range(100)]
    prepared = make_prepared(labels, parts=parts, task=task)
    split = make_split(prepared, make_split_config(SplitMethod.given, val=0.15), "part")
    assert is_partition(split, prepared)
    assert split.test == [f"{index:04d}" for index in range(0, 100, 4)]
    assert len(split.val) == pytest.approx(15, abs=1)
    counts = count_labels(split, prepared)
    assert counts["val"] == {"a": pytest.approx(6, abs=1), "b": pytest.approx(6, abs=1), "c": pytest.approx(3, abs=1)}
    reseeded = make_split(prepared, make_split_config(SplitMethod.given, val=0.15, seed=1), "part")
    assert reseeded.test == split.test
    assert reseeded.val != split.val


@pytest.mark.parametrize(
    ("parts", "empty"), [(["train", "val"], "test"), (["val", "test"], "train"), (["test", "test"], "train")]
)
def test_empty_given_part_is_named_in_the_error(make_prepared: MakePrepared, parts: list[str], empty: str) -> None:
    prepared = make_prepared([("a",)] * 20, parts=parts * 10)
    with pytest.raises(UserError, match=rf"\b{empty}\b.*empty"):
        make_split(prepared, make_split_config(SplitMethod.given), "part")


@pytest.mark.parametrize("near_duplicate", [SENTENCE, SENTENCE.upper() + "!", SENTENCE.replace("handed", "h4nded")])
def test_text_in_two_given_parts_is_rejected_with_both_rows(make_prepared: MakePrepared, near_duplicate: str) -> None:
    texts = [SENTENCE, "something else", near_duplicate, "a third one that is different"]
    prepared = make_prepared([("a",)] * 4, texts=texts, parts=["train", "val", "test", "test"])
    with pytest.raises(UserError, match="leak") as caught:
        make_split(prepared, make_split_config(SplitMethod.given), "part")
    message = str(caught.value)
    assert "file.csv, row 1 (train)" in message
    assert "file.csv, row 3 (test)" in message
    assert "row 2" not in message
    assert "split.method=stratified" in message


def test_repeated_text_in_one_given_part_is_allowed(make_prepared: MakePrepared) -> None:
    texts = [SENTENCE, SENTENCE, "something else", "a third one"]
    prepared = make_prepared([("a",)] * 4, texts=texts, parts=["train", "train", "val", "test"])
    assert make_split(prepared, make_split_config(SplitMethod.given), "part").train == ["0000", "0001"]


def test_long_list_of_leaks_is_counted_and_truncated(make_prepared: MakePrepared) -> None:
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("abcdefgh"), 30)) for _ in range(20)]
    prepared = make_prepared([("a",)] * 40, texts=texts * 2, parts=["train"] * 20 + ["test"] * 20)
    with pytest.raises(UserError, match=r"\b20\b.*texts") as caught:
        make_split(prepared, make_split_config(SplitMethod.given), "part")
    shown = sum("(train) and" in line for line in str(caught.value).splitlines())
    assert 1 < shown < 20
    assert f"{20 - shown} more" in str(caught.value)


def test_val_larger_than_train_is_refused_with_both_numbers(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",), ("b",)] * 20, parts=["train"] * 8 + ["test"] * 32)
    with pytest.raises(UserError, match=r"split\.val=0\.2 of 40 records .* 8 of train"):
        make_split(prepared, make_split_config(SplitMethod.given), "part")


def test_sampled_val_that_groups_make_too_small_is_explained(make_prepared: MakePrepared) -> None:
    texts = [SENTENCE if index < 74 else f"{index * 7919}" * 9 for index in range(100)]
    prepared = make_prepared([("a",), ("b",)] * 50, texts=texts, parts=["train"] * 80 + ["test"] * 20)
    split = make_split(prepared, make_split_config(SplitMethod.given), "part")
    assert len(split.test) == 20
    assert [problem.kind for problem in split.problems] == ["share of a part"]
    assert "74 of 100 records are near-duplicates" in split.problems[0].message


def test_part_of_the_file_comes_before_the_column(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 4, parts=["test", "test", "test", "train"])
    parts = ["train", None, "val", None]
    records = [replace(record, part=part) for record, part in zip(prepared.records, parts, strict=True)]
    split = make_split(replace(prepared, records=records), make_split_config(SplitMethod.given), "part")
    assert split == Split(train=["0000", "0003"], val=["0002"], test=["0001"])


def test_parts_of_files_need_no_column(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 3)
    parts = ["train", "dev", "test"]
    records = [replace(record, part=part) for record, part in zip(prepared.records, parts, strict=True)]
    split = make_split(replace(prepared, records=records), make_split_config(SplitMethod.given), None)
    assert split == Split(train=["0000"], val=["0001"], test=["0002"])


def test_record_without_a_part_is_named_with_both_keys(make_prepared: MakePrepared) -> None:
    with pytest.raises(UserError, match=r"file\.csv, row 1: .*data\.split\.column.*data\.records\.train"):
        make_split(make_prepared([("a",)] * 3), make_split_config(SplitMethod.given), None)


# --- near-duplicates stay together with every method ------------------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(
    copies=st.lists(st.integers(0, 29), min_size=1, max_size=12),
    method=st.sampled_from([SplitMethod.stratified, SplitMethod.temporal]),
    task=st.sampled_from(Task),
    seed=st.integers(0, 1000),
)
def test_near_duplicates_are_in_the_same_part(
    make_prepared: MakePrepared, copies: list[int], method: SplitMethod, task: Task, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    texts = [" ".join(map(str, generator.integers(1000, 9999, 12))) for _ in range(60)]
    texts += [f"{texts[original].replace(' ', ' - ')}!" for original in copies]
    labels = [("a",), ("b",)] * 30 + [("a",)] * len(copies)
    dates = [START + timedelta(hours=int(hour)) for hour in generator.permutation(len(texts))]
    prepared = make_prepared(labels, texts=texts, dates=dates, task=task)
    split = make_split(prepared, make_split_config(method, seed=seed), None)
    assert is_partition(split, prepared)
    part_of = map_ids_to_parts(split)
    for index, original in enumerate(copies, start=60):
        assert part_of[f"{index:04d}"] == part_of[f"{original:04d}"]


# --- the hash ---------------------------------------------------------------------------------------------------------
def test_hash_does_not_depend_on_id_order() -> None:
    split = Split(train=["1", "2"], val=["3"], test=["4"])
    assert Split(train=["2", "1"], val=["3"], test=["4"]).hash == split.hash
    assert len(split.hash) == 64


@pytest.mark.parametrize(
    "changed",
    [
        Split(train=["1", "3"], val=["2"], test=["4"]),
        Split(train=["1", "2"], val=["4"], test=["3"]),
        Split(train=["1", "2"], val=["3"], test=["4", "5"]),
        Split(train=["12"], val=["3"], test=["4"]),
    ],
)
def test_hash_changes_if_any_record_moves(changed: Split) -> None:
    assert changed.hash != Split(train=["1", "2"], val=["3"], test=["4"]).hash


# --- stored runs and published results depend on these splits ---------------------------------------------------------
KNOWN = {
    "sample": (
        "be9fafd689274905",
        [
            "743850fb3aa3e4e1",
            "edf8c981db7156a3",
            "ed0f40d93eff1ea3",
            "befd0284af3ce957",
            "3a8fc980a06b231d",
        ],
    ),
    "madewithml": (
        "e85f1a2d8e381fa8",
        [
            "52cd1bc517d22b84",
            "90f44c9f0d33531d",
            "f9b1298a46615b78",
            "0b628ac52c9125dc",
            "405750ae30161526",
        ],
    ),
}


@pytest.mark.parametrize("data", KNOWN)
def test_groups_and_splits_of_the_data_sets_do_not_change(data: str) -> None:
    if data == "madewithml" and "MADEWITHML_DIR" not in os.environ:
        pytest.skip("set MADEWITHML_DIR to the data of Made With ML")
    config = compose([f"data={data}"])
    prepared = prepare(config.data)
    groups = group_duplicates([record.text for record in prepared.records])
    hashes = [make_split(prepared, replace(config.split, seed=seed), None).hash[:16] for seed in range(5)]
    assert (hashlib.sha256(groups.tobytes()).hexdigest()[:16], hashes) == KNOWN[data]

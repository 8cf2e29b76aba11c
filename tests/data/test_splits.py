import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.config import SplitConfig, SplitMethod
from ratchet.data.dataset import Task
from ratchet.data.prepared import Prepared
from ratchet.data.splits import PARTS, Split, group_duplicates, make_split
from ratchet.errors import UserError

LONG = (
    "A convolutional network that reads handwritten weather diaries from lighthouses, line by line, "
    "and turns two hundred years of wind and fog into a table"
)
MakePrepared = Callable[..., Prepared]
START = datetime(2026, 1, 1)
SENTENCE = "an unusually long sentence about lighthouses that stands in two of the parts that somebody handed out"


def same(texts: list[str]) -> bool:
    return len(set(group_duplicates(texts).tolist())) == 1


def shingles(text: str) -> set[str]:
    return {text[start : start + 5] for start in range(len(text) - 4)}


def similarity(left: str, right: str) -> float:
    return len(shingles(left) & shingles(right)) / len(shingles(left) | shingles(right))


def sentences(count: int, seed: int) -> list[list[str]]:
    """Sentences of twenty invented words each."""
    chance = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [["".join(chance.choices(letters, k=chance.randint(3, 9))) for _ in range(20)] for _ in range(count)]


@pytest.mark.parametrize(
    "other",
    [
        LONG,
        LONG.upper(),
        LONG.replace(",", " -- ").replace(" ", "\n"),
        f"  {LONG}!",
        LONG.replace("two", "2"),
        LONG.replace("diaries", "diarys"),
    ],
)
def test_texts_that_are_nearly_the_same_share_a_group(other: str) -> None:
    assert same([LONG, other])


@pytest.mark.parametrize(
    "other",
    [
        "",
        "A convolutional network",
        LONG.replace("weather diaries from lighthouses", "recipes"),
        LONG[: len(LONG) // 2],
    ],
)
def test_texts_that_share_a_part_do_not(other: str) -> None:
    assert not same([LONG, other])


def test_there_is_a_number_for_each_text() -> None:
    groups = group_duplicates([LONG, "something else entirely", LONG, "a third thing, unlike the others"])
    assert groups.shape == (4,)
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 3


def test_a_chain_of_small_changes_is_one_group() -> None:
    chain = [LONG]
    for old, new in [("weather", "tide"), ("lighthouses", "harbours"), ("wind", "rain"), ("table", "map")]:
        chain.append(chain[-1].replace(old, new))
        assert similarity(chain[-2], chain[-1]) >= 0.8
    assert same(chain)
    assert not same([chain[0], chain[-1]])


@pytest.mark.parametrize("text", ["", "!!!", "🎉🎉", "a", "日本", "\ud800 half a surrogate pair"])
def test_short_and_odd_texts_equal_themselves_and_nothing_else(text: str) -> None:
    groups = group_duplicates([text, LONG, text]).tolist()
    assert groups[0] == groups[2] != groups[1]


def test_texts_without_any_word_are_told_apart() -> None:
    assert not same(["🎉🎉🎉🎉🎉🎉", "!!!"])


def test_one_changed_word_in_a_sentence_of_twenty_is_found() -> None:
    # A pair that is missed can stand in train and test. All of these pairs are above the documented .8.
    chance = random.Random(1)
    texts: list[str] = []
    for words, others in zip(sentences(150, seed=0), sentences(150, seed=2), strict=True):
        position = chance.randrange(20)
        texts += [" ".join(words), " ".join([*words[:position], others[0], *words[position + 1 :]])]
    assert all(similarity(texts[index], texts[index + 1]) >= 0.8 for index in range(0, len(texts), 2))
    groups = group_duplicates(texts)
    found = groups[::2] == groups[1::2]
    assert found.mean() > 0.99


def test_unlike_sentences_are_never_grouped() -> None:
    texts = [" ".join(words) for words in sentences(300, seed=3)]
    assert len(set(group_duplicates(texts).tolist())) == 300


def test_groups_do_not_depend_on_the_order_of_the_texts() -> None:
    texts = [" ".join(words) for words in sentences(40, seed=4)]
    texts += [f"{text} more" for text in texts[::3]] + texts[::5]
    order = np.random.default_rng(0).permutation(len(texts))
    straight = group_duplicates(texts)
    turned = np.empty_like(straight)
    turned[order] = group_duplicates([texts[index] for index in order])
    assert ((straight[:, None] == straight) == (turned[:, None] == turned)).all()


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=[])), min_size=1, max_size=6), again=st.integers(0, 5))
def test_any_texts_are_grouped_and_equal_ones_together(texts: list[str], again: int) -> None:
    repeated = [*texts, texts[again % len(texts)]]
    groups = group_duplicates(repeated)
    assert groups.shape == (len(repeated),)
    assert groups[-1] == groups[again % len(texts)]


def configured(
    method: SplitMethod = SplitMethod.stratified, *, val: float = 0.2, test: float = 0.2, seed: int = 0
) -> SplitConfig:
    return SplitConfig(seed=seed, method=method, val=val, test=test)


def multilabel(size: int, seed: int = 0) -> list[tuple[str, ...]]:
    """Labels with about 50, 30, 20, 10 and 4 per cent of the records; some records have none."""
    generator = np.random.default_rng(seed)
    shares = {"a": 0.5, "b": 0.3, "c": 0.2, "d": 0.1, "e": 0.04}
    return [tuple(label for label, share in shares.items() if generator.random() < share) for _ in range(size)]


def days(count: int) -> list[datetime]:
    return [START + timedelta(days=index) for index in range(count)]


def parts_of(split: Split) -> dict[str, str]:
    return {identifier: part for part in PARTS for identifier in getattr(split, part)}


def is_partition(split: Split, prepared: Prepared) -> bool:
    return sorted([*split.train, *split.val, *split.test]) == [record.id for record in prepared.records]


def label_counts(split: Split, prepared: Prepared) -> dict[str, Counter[str]]:
    part_of = parts_of(split)
    counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    for record in prepared.records:
        counts[part_of[record.id]].update(record.labels)
    return counts


# --- stratified -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("val", "test"), [(0.2, 0.2), (0.15, 0.15), (0.1, 0.3)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_label_is_in_each_part_with_its_share(
    make_prepared: MakePrepared, val: float, test: float, seed: int
) -> None:
    prepared = make_prepared(multilabel(600))
    split = make_split(prepared, configured(val=val, test=test, seed=seed), None)
    assert is_partition(split, prepared)
    counts = label_counts(split, prepared)
    total = Counter(label for record in prepared.records for label in record.labels)
    for part, share in {"val": val, "test": test, "train": 1 - val - test}.items():
        assert len(getattr(split, part)) == pytest.approx(share * 600, abs=12)
        for label in prepared.labels:
            # At random the count's standard deviation would be up to 8 (label a) and 2 (label e).
            assert counts[part][label] == pytest.approx(share * total[label], abs=2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_classes_are_in_each_part_with_their_share(make_prepared: MakePrepared, seed: int) -> None:
    classes = [("a",)] * 150 + [("b",)] * 100 + [("c",)] * 40 + [("d",)] * 10
    prepared = make_prepared(classes, task=Task.multiclass)
    split = make_split(prepared, configured(seed=seed), None)
    assert is_partition(split, prepared)
    counts = label_counts(split, prepared)
    assert counts["test"] == {"a": 30, "b": 20, "c": 8, "d": 2}
    assert counts["val"] == {"a": 30, "b": 20, "c": 8, "d": 2}


@pytest.mark.parametrize("positive", [1, 2, 30, 89, 90])
def test_a_single_label_that_records_have_or_not_is_stratified_too(make_prepared: MakePrepared, positive: int) -> None:
    # As with several labels, one on too few records for three parts is reported by prepare() and stops nothing.
    prepared = make_prepared([("a",) if index < positive else () for index in range(90)])
    split = make_split(prepared, configured(), None)
    assert is_partition(split, prepared)
    assert label_counts(split, prepared)["test"]["a"] == pytest.approx(positive / 5, abs=1)


@pytest.mark.parametrize("task", list(Task))
def test_the_seed_alone_decides(make_prepared: MakePrepared, task: Task) -> None:
    labels = multilabel(120) if task is Task.multilabel else [("a",), ("b",), ("c",)] * 40
    prepared = make_prepared(labels, task=task)
    hashes = [make_split(prepared, configured(seed=seed), None).hash for seed in (0, 1, 2, 0)]
    assert hashes[0] == hashes[3]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize("size", [1, 2])
def test_too_few_records_are_refused_with_their_number(make_prepared: MakePrepared, size: int) -> None:
    with pytest.raises(UserError, match=rf"small: {size} records"):
        make_split(make_prepared([("a",)] * size), configured(), None)


def test_too_rare_a_class_is_named_with_the_filter_that_helps(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("common",)] * 30 + [("other",)] * 30 + [("rare",)], task=Task.multiclass)
    with pytest.raises(UserError) as caught:
        make_split(prepared, configured(), None)
    message = str(caught.value)
    assert "'rare'" in message
    assert "data.filter.min_records" in message
    assert "data.filter.drop_unlabelled=true" in message


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.sets(st.sampled_from("abcd"), max_size=3).map(tuple), min_size=20, max_size=60),
    seed=st.integers(0, 2**32 - 1),
)
def test_whatever_the_labels_every_record_is_in_exactly_one_part(
    make_prepared: MakePrepared, labels: list[tuple[str, ...]], seed: int
) -> None:
    prepared = make_prepared([*labels, ("a",), ("b",)])
    split = make_split(prepared, configured(seed=seed), None)
    assert is_partition(split, prepared)
    assert len(split.test) == pytest.approx(0.2 * len(prepared.records), abs=4)


# --- temporal ---------------------------------------------------------------------------------------------------------
def test_the_newest_records_are_the_test_part_and_the_oldest_train(make_prepared: MakePrepared) -> None:
    order = np.random.default_rng(0).permutation(100)
    dates = [START + timedelta(days=int(day)) for day in order]
    prepared = make_prepared(multilabel(100), dates=dates)
    split = make_split(prepared, configured(SplitMethod.temporal, val=0.1, test=0.3), None)
    assert is_partition(split, prepared)
    assert [len(split.train), len(split.val), len(split.test)] == [60, 10, 30]
    date_of = {record.id: date for record, date in zip(prepared.records, dates, strict=True)}
    by_part = {part: [date_of[identifier] for identifier in getattr(split, part)] for part in PARTS}
    assert max(by_part["train"]) < min(by_part["val"])
    assert max(by_part["val"]) < min(by_part["test"])


def test_records_of_one_moment_are_ordered_by_id(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 10, dates=[START] * 10)
    split = make_split(prepared, configured(SplitMethod.temporal), None)
    assert split.train == [f"{index:04d}" for index in range(6)]
    assert split.val == ["0006", "0007"]
    assert split.test == ["0008", "0009"]


def test_the_seed_does_not_change_a_temporal_split(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 20, dates=days(20))
    hashes = {make_split(prepared, configured(SplitMethod.temporal, seed=seed), None).hash for seed in range(3)}
    assert len(hashes) == 1


def test_a_record_without_a_date_is_named(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 10, dates=[*days(7), None, START, None])
    with pytest.raises(UserError, match=r"file\.csv, row 8: .*\b2\b"):
        make_split(prepared, configured(SplitMethod.temporal), None)


def test_a_temporal_part_that_would_be_empty_is_named(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",)] * 4, dates=days(4))
    with pytest.raises(UserError, match=r"\btest\b.*\b4 records.*split\.test=0\.1"):
        make_split(prepared, configured(SplitMethod.temporal, test=0.1, val=0.3), None)


def test_repeats_of_an_old_text_stay_with_the_old_one(make_prepared: MakePrepared) -> None:
    texts = [
        f"{word} " * 6 for word in ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    ]
    texts[9] = texts[0].upper()
    prepared = make_prepared([("a",)] * 10, texts=texts, dates=days(10))
    split = make_split(prepared, configured(SplitMethod.temporal), None)
    assert "0009" in split.train
    assert split.test == ["0008"]


# --- given ------------------------------------------------------------------------------------------------------------
def test_given_parts_are_taken_under_their_usual_names(make_prepared: MakePrepared) -> None:
    parts = ["train", "Training", "val", "VALID", "validation", "dev", "test", "Test"]
    prepared = make_prepared([("a",)] * 8, parts=parts)
    split = make_split(prepared, configured(SplitMethod.given), "part")
    assert split == Split(train=["0000", "0001"], val=["0002", "0003", "0004", "0005"], test=["0006", "0007"])


@pytest.mark.parametrize("value", ["", "holdout", "tset"])
def test_an_unknown_part_is_named_with_its_place(make_prepared: MakePrepared, value: str) -> None:
    prepared = make_prepared([("a",)] * 3, parts=["train", value, "test"])
    with pytest.raises(UserError) as caught:
        make_split(prepared, configured(SplitMethod.given), "part")
    assert "file.csv, row 2" in str(caught.value)
    assert f"part={value!r}" in str(caught.value)
    assert "train, val or test" in str(caught.value)


@pytest.mark.parametrize("task", list(Task))
def test_a_val_part_that_is_not_given_is_drawn_from_train(make_prepared: MakePrepared, task: Task) -> None:
    labels = [("a",)] * 40 + [("b",)] * 40 + [("c",)] * 20
    parts = ["test" if index % 4 == 0 else "train" for index in range(100)]
    prepared = make_prepared(labels, parts=parts, task=task)
    split = make_split(prepared, configured(SplitMethod.given, val=0.15), "part")
    assert is_partition(split, prepared)
    assert split.test == [f"{index:04d}" for index in range(0, 100, 4)]
    assert len(split.val) == pytest.approx(15, abs=1)
    counts = label_counts(split, prepared)
    assert counts["val"] == {"a": pytest.approx(6, abs=1), "b": pytest.approx(6, abs=1), "c": pytest.approx(3, abs=1)}
    other = make_split(prepared, configured(SplitMethod.given, val=0.15, seed=1), "part")
    assert other.test == split.test
    assert other.val != split.val


@pytest.mark.parametrize(
    ("parts", "empty"), [(["train", "val"], "test"), (["val", "test"], "train"), (["test", "test"], "train")]
)
def test_a_given_part_that_is_empty_is_named(make_prepared: MakePrepared, parts: list[str], empty: str) -> None:
    prepared = make_prepared([("a",)] * 20, parts=parts * 10)
    with pytest.raises(UserError, match=rf"\b{empty}\b.*empty"):
        make_split(prepared, configured(SplitMethod.given), "part")


@pytest.mark.parametrize("other", [SENTENCE, SENTENCE.upper() + "!", SENTENCE.replace("handed", "h4nded")])
def test_a_text_in_two_given_parts_is_refused_with_both_places(make_prepared: MakePrepared, other: str) -> None:
    texts = [SENTENCE, "something else", other, "a third one that is different"]
    prepared = make_prepared([("a",)] * 4, texts=texts, parts=["train", "val", "test", "test"])
    with pytest.raises(UserError, match="leak") as caught:
        make_split(prepared, configured(SplitMethod.given), "part")
    message = str(caught.value)
    assert "file.csv, row 1 (train)" in message
    assert "file.csv, row 3 (test)" in message
    assert "row 2" not in message
    assert "split.method=stratified" in message


def test_a_text_twice_in_the_same_given_part_is_no_leak(make_prepared: MakePrepared) -> None:
    texts = [SENTENCE, SENTENCE, "something else", "a third one"]
    prepared = make_prepared([("a",)] * 4, texts=texts, parts=["train", "train", "val", "test"])
    assert make_split(prepared, configured(SplitMethod.given), "part").train == ["0000", "0001"]


def test_many_leaks_are_counted_and_the_first_ones_shown(make_prepared: MakePrepared) -> None:
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("abcdefgh"), 30)) for _ in range(20)]
    prepared = make_prepared([("a",)] * 40, texts=texts * 2, parts=["train"] * 20 + ["test"] * 20)
    with pytest.raises(UserError, match=r"\b20\b.*texts") as caught:
        make_split(prepared, configured(SplitMethod.given), "part")
    shown = sum("(train) and" in line for line in str(caught.value).splitlines())
    assert 1 < shown < 20
    assert f"{20 - shown} more" in str(caught.value)


# --- near duplicates stay together, however the parts are drawn -------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(
    copies=st.lists(st.integers(0, 29), min_size=1, max_size=12),
    method=st.sampled_from([SplitMethod.stratified, SplitMethod.temporal]),
    task=st.sampled_from(Task),
    seed=st.integers(0, 1000),
)
def test_nearly_the_same_texts_are_in_one_part(
    make_prepared: MakePrepared, copies: list[int], method: SplitMethod, task: Task, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    texts = [" ".join(map(str, generator.integers(1000, 9999, 12))) for _ in range(60)]
    texts += [f"{texts[original].replace(' ', ' - ')}!" for original in copies]
    labels = [("a",), ("b",)] * 30 + [("a",)] * len(copies)
    dates = [START + timedelta(hours=int(hour)) for hour in generator.permutation(len(texts))]
    prepared = make_prepared(labels, texts=texts, dates=dates, task=task)
    split = make_split(prepared, configured(method, seed=seed), None)
    assert is_partition(split, prepared)
    part_of = parts_of(split)
    for index, original in enumerate(copies, start=60):
        assert part_of[f"{index:04d}"] == part_of[f"{original:04d}"]


# --- the hash ---------------------------------------------------------------------------------------------------------
def test_the_hash_is_of_the_parts_and_not_of_their_order() -> None:
    split = Split(train=["1", "2"], val=["3"], test=["4"])
    assert Split(train=["2", "1"], val=["3"], test=["4"]).hash == split.hash
    assert len(split.hash) == 64


@pytest.mark.parametrize(
    "other",
    [
        Split(train=["1", "3"], val=["2"], test=["4"]),
        Split(train=["1", "2"], val=["4"], test=["3"]),
        Split(train=["1", "2"], val=["3"], test=["4", "5"]),
        Split(train=["12"], val=["3"], test=["4"]),
    ],
)
def test_the_hash_changes_with_any_record_that_moves(other: Split) -> None:
    assert other.hash != Split(train=["1", "2"], val=["3"], test=["4"]).hash

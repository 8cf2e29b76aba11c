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


def share_group(texts: list[str]) -> bool:
    return len(set(group_duplicates(texts).tolist())) == 1


def cut_shingles(text: str) -> set[str]:
    return {text[start : start + 5] for start in range(len(text) - 4)}


def compute_similarity(left: str, right: str) -> float:
    return len(cut_shingles(left) & cut_shingles(right)) / len(cut_shingles(left) | cut_shingles(right))


def make_sentences(count: int, seed: int) -> list[list[str]]:
    """Return `count` sentences of twenty random words each."""
    generator = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [["".join(generator.choices(letters, k=generator.randint(3, 9))) for _ in range(20)] for _ in range(count)]


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        LONG.upper(),
        LONG.replace(",", " -- ").replace(" ", "\n"),
        f"  {LONG}!",
        LONG.replace("two", "2"),
        LONG.replace("diaries", "diarys"),
    ],
)
def test_near_duplicates_share_a_group(text: str) -> None:
    assert share_group([LONG, text])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A convolutional network",
        LONG.replace("weather diaries from lighthouses", "recipes"),
        LONG[: len(LONG) // 2],
    ],
)
def test_texts_with_a_common_part_have_separate_groups(text: str) -> None:
    assert not share_group([LONG, text])


def test_each_text_has_a_group_number() -> None:
    groups = group_duplicates([LONG, "something else entirely", LONG, "a third thing, unlike the others"])
    assert groups.shape == (4,)
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 3


def test_chain_of_small_changes_is_one_group() -> None:
    chain = [LONG]
    for old, new in [("weather", "tide"), ("lighthouses", "harbours"), ("wind", "rain"), ("table", "map")]:
        chain.append(chain[-1].replace(old, new))
        assert compute_similarity(chain[-2], chain[-1]) >= 0.8
    assert share_group(chain)
    assert not share_group([chain[0], chain[-1]])


@pytest.mark.parametrize("text", ["", "!!!", "🎉🎉", "a", "日本", "\ud800 half a surrogate pair"])
def test_short_and_odd_texts_match_only_themselves(text: str) -> None:
    groups = group_duplicates([text, LONG, text]).tolist()
    assert groups[0] == groups[2] != groups[1]


def test_texts_without_words_are_distinguished() -> None:
    assert not share_group(["🎉🎉🎉🎉🎉🎉", "!!!"])


def test_one_changed_word_in_twenty_is_a_near_duplicate() -> None:
    # An undetected pair may be split between train and test. All pairs here have a similarity of at least .8.
    generator = random.Random(1)
    texts: list[str] = []
    for words, replacements in zip(make_sentences(150, seed=0), make_sentences(150, seed=2), strict=True):
        position = generator.randrange(20)
        texts += [" ".join(words), " ".join([*words[:position], replacements[0], *words[position + 1 :]])]
    assert all(compute_similarity(texts[index], texts[index + 1]) >= 0.8 for index in range(0, len(texts), 2))
    groups = group_duplicates(texts)
    same_group = groups[::2] == groups[1::2]
    assert same_group.mean() > 0.99


def test_dissimilar_sentences_are_never_grouped() -> None:
    texts = [" ".join(words) for words in make_sentences(300, seed=3)]
    assert len(set(group_duplicates(texts).tolist())) == 300


def test_groups_do_not_depend_on_text_order() -> None:
    texts = [" ".join(words) for words in make_sentences(40, seed=4)]
    texts += [f"{text} more" for text in texts[::3]] + texts[::5]
    order = np.random.default_rng(0).permutation(len(texts))
    expected = group_duplicates(texts)
    permuted = np.empty_like(expected)
    permuted[order] = group_duplicates([texts[index] for index in order])
    assert ((expected[:, None] == expected) == (permuted[:, None] == permuted)).all()


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=[])), min_size=1, max_size=6), position=st.integers(0, 5)
)
def test_equal_texts_are_always_grouped_together(texts: list[str], position: int) -> None:
    repeated = [*texts, texts[position % len(texts)]]
    groups = group_duplicates(repeated)
    assert groups.shape == (len(repeated),)
    assert groups[-1] == groups[position % len(texts)]


def make_split_config(
    method: SplitMethod = SplitMethod.stratified, *, val: float = 0.2, test: float = 0.2, seed: int = 0
) -> SplitConfig:
    return SplitConfig(seed=seed, method=method, val=val, test=test)


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

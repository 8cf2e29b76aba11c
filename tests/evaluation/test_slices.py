"""Tests for the assignment of records to slices."""

from collections.abc import Mapping
from datetime import datetime

import pytest

from ratchet.config import DataConfig, DateStep, LabelsConfig, SliceConfig, SliceKind
from ratchet.data.records import Record
from ratchet.data.taxonomy import Taxonomy
from ratchet.errors import UserError
from ratchet.evaluation.slices import assign_slices, check_slices, divide_by_leaks

LABELS = ["computer-vision", "graphs", "segmentation"]
TAXONOMY = Taxonomy(
    {"computer-vision": ("machine vision", "cv"), "graphs": (), "segmentation": ()},
    {"computer-vision": (), "graphs": (), "segmentation": ("computer-vision",)},
)


def make_record(
    text: str = "a text", *labels: str, date: datetime | None = None, columns: dict[str, str] | None = None
) -> Record:
    return Record(id="1", text=text, labels=labels, created_at=date, columns=columns or {}, place="file, row 1")


def find_slices(
    record: Record, slices: dict[str, SliceConfig], train_counts: Mapping[str, int] | None = None
) -> list[str]:
    assigned = assign_slices([record], slices, labels=LABELS, taxonomy=TAXONOMY, train_counts=train_counts or {})
    assert len(assigned) == 1
    return assigned[0]


@pytest.mark.parametrize(
    ("text", "inside"),
    [("one two three", True), ("one two three four", False), ("well-known two", True), ("one, two: (three)!", True)],
)
def test_short_text_slice_limits_number_of_words(text: str, inside: bool) -> None:
    slices = {"terse": SliceConfig(kind=SliceKind.short_text, max_words=3)}
    assert find_slices(make_record(text), slices) == (["terse"] if inside else [])


@pytest.mark.parametrize(
    ("text", "labels", "inside"),
    [
        ("about graphs", ["graphs"], False),
        ("a graph of friends", ["graphs"], False),  # by its stem
        ("Segmenting lungs", ["segmentation"], False),
        ("CV for farms", ["computer-vision"], False),  # by an alias
        ("a Computer Vision tool", ["computer-vision"], False),  # hyphens and case do not matter
        ("pictures of leaves", ["computer-vision"], True),
        ("graphs of leaves", ["computer-vision", "graphs"], True),  # one of two is not named
        ("graphs in machine vision", ["computer-vision", "graphs"], False),
        ("paragraphs", ["graphs"], True),  # not a separate word
        ("nothing at all", [], False),  # no label that could be unnamed
    ],
)
def test_label_not_named_checks_names_aliases_and_stems(text: str, labels: list[str], inside: bool) -> None:
    slices = {"unnamed": SliceConfig(kind=SliceKind.label_not_named)}
    assert find_slices(make_record(text, *labels), slices) == (["unnamed"] if inside else [])


def test_rare_labels_depend_on_train_counts() -> None:
    slices = {"rare": SliceConfig(kind=SliceKind.rare_labels, max_train_records=10)}
    counts = {"computer-vision": 50, "graphs": 10}
    assert find_slices(make_record("a", "graphs"), slices, counts) == ["rare"]
    assert find_slices(make_record("a", "computer-vision"), slices, counts) == []
    assert find_slices(make_record("a", "computer-vision", "graphs"), slices, counts) == ["rare"]
    assert find_slices(make_record("a", "segmentation"), slices, counts) == ["rare"]  # never in train
    assert find_slices(make_record("a"), slices, counts) == []


@pytest.mark.parametrize(
    ("every", "month", "name"),
    [
        (DateStep.year, 5, "when=2020"),
        (DateStep.month, 5, "when=2020-05"),
        (DateStep.month, 12, "when=2020-12"),
        *[(DateStep.quarter, month, f"when=2020-Q{1 + index // 3}") for index, month in enumerate(range(1, 13))],
    ],
)
def test_date_slices_are_years_quarters_or_months(every: DateStep, month: int, name: str) -> None:
    slices = {"when": SliceConfig(kind=SliceKind.date, every=every)}
    assert find_slices(make_record(date=datetime(2020, month, 28)), slices) == [name]


def test_record_without_date_is_in_no_date_slice() -> None:
    slices = {"date": SliceConfig(kind=SliceKind.date, every=DateStep.quarter)}
    assert find_slices(make_record(date=None), slices) == []


def test_column_slices_are_named_after_column_and_value() -> None:
    slices = {"by_source": SliceConfig(kind=SliceKind.column, column="source")}
    assert find_slices(make_record(columns={"source": "forum"}), slices) == ["source=forum"]
    assert find_slices(make_record(columns={"source": ""}), slices) == []
    assert find_slices(make_record(columns={}), slices) == []


def test_labels_slice_requires_all_labels() -> None:
    slices = {"both": SliceConfig(kind=SliceKind.labels, labels=["graphs", "segmentation"])}
    assert find_slices(make_record("a", "computer-vision", "graphs", "segmentation"), slices) == ["both"]
    assert find_slices(make_record("a", "graphs"), slices) == []


def test_unknown_label_error_suggests_nearest_label() -> None:
    slices = {"odd": SliceConfig(kind=SliceKind.labels, labels=["graphs", "segmentatoin"])}
    with pytest.raises(UserError) as error:
        find_slices(make_record(), slices)
    for part in ("slices.odd", "'segmentatoin'", "'segmentation'"):
        assert part in str(error.value)


# --- checks before anything is trained --------------------------------------------------------------------------------


def check(slices: dict[str, SliceConfig], values: list[str], labels: LabelsConfig | None = None) -> None:
    records = [make_record(columns={"source": value}) for value in values]
    check_slices(records, slices, LABELS, DataConfig(labels=labels or LabelsConfig(column="tags")))


@pytest.mark.parametrize(
    ("name", "nearest"), [("segmentatoin", "segmentation"), ("graph", "graphs"), ("Computer-vision", "computer-vision")]
)
def test_labels_of_a_slice_that_no_record_has_are_refused_with_the_nearest(name: str, nearest: str) -> None:
    slices = {"odd": SliceConfig(kind=SliceKind.labels, labels=["graphs", name])}
    with pytest.raises(UserError) as error:
        check(slices, [])
    for part in ("slices.odd.labels", repr(name), repr(nearest)):
        assert part in str(error.value)


def test_labels_of_a_slice_are_compared_in_one_unicode_form() -> None:
    slices = {"cafe": SliceConfig(kind=SliceKind.labels, labels=["cafe\u0301"])}
    check_slices([], slices, ["caf\u00e9"], DataConfig(labels=LabelsConfig(column="tags")))
    record = make_record("a", "caf\u00e9")
    assert assign_slices([record], slices, labels=["caf\u00e9"], taxonomy=TAXONOMY, train_counts={}) == [["cafe"]]


@pytest.mark.parametrize("labels", [LabelsConfig(column="source"), LabelsConfig(columns=["other", "source"])])
def test_slices_by_the_labels_are_refused(labels: LabelsConfig) -> None:
    slices = {"by_label": SliceConfig(kind=SliceKind.column, column="source")}
    with pytest.raises(UserError, match=r"slices\.by_label\.column: 'source' holds the labels .*kind=labels"):
        check(slices, ["a", "b"], labels)


@pytest.mark.parametrize(
    "values",
    [
        [str(number) for number in range(100)],
        [str(number // 2 * 2 if number < 40 else number) for number in range(100)],
        [*map(str, range(11)), *[""] * 500],
    ],
)
def test_slices_with_a_value_for_nearly_each_record_are_refused(values: list[str]) -> None:
    slices = {"by_source": SliceConfig(kind=SliceKind.column, column="source")}
    with pytest.raises(UserError, match=r"slices\.by_source\.column: 'source' has \d+ values .* per value"):
        check(slices, values)


@pytest.mark.parametrize("values", [[], ["a", "b"], [*"abcdefghij"], [*"abcdefghijkl"] * 2, [""] * 50])
def test_slices_by_columns_with_groups_are_accepted(values: list[str]) -> None:
    check({"by_source": SliceConfig(kind=SliceKind.column, column="source")}, values)


def test_slices_of_record_follow_configuration_order() -> None:
    slices = {
        "terse": SliceConfig(kind=SliceKind.short_text, max_words=5),
        "date": SliceConfig(kind=SliceKind.date, every=DateStep.year),
        "unnamed": SliceConfig(kind=SliceKind.label_not_named),
        "graphs": SliceConfig(kind=SliceKind.labels, labels=["graphs"]),
    }
    records = [
        make_record("friends of friends", "graphs", date=datetime(2021, 1, 1)),
        make_record("one two three four five six"),
    ]
    assigned = assign_slices(records, slices, labels=LABELS, taxonomy=TAXONOMY, train_counts={})
    assert assigned == [["terse", "date=2021", "unnamed", "graphs"], []]
    assert assign_slices(records, {}, labels=LABELS, taxonomy=TAXONOMY, train_counts={}) == [[], []]


def test_texts_of_earlier_parts_are_a_slice_of_their_own_if_leaks_are_reported() -> None:
    assert divide_by_leaks([["terse"], []], ["a", "b"], ["b", "c"]) == [["terse", "without_leaks"], ["leaked"]]
    assert divide_by_leaks([["terse"], []], ["a", "b"], []) == [["terse"], []]

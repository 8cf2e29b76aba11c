"""Check which records are in each kind of slice."""

from collections.abc import Mapping
from datetime import datetime

import pytest

from ratchet.config import DateStep, SliceConfig, SliceKind
from ratchet.data.records import Record
from ratchet.data.taxonomy import Taxonomy
from ratchet.errors import UserError
from ratchet.evaluation.slices import assign_slices

LABELS = ["computer-vision", "graphs", "segmentation"]
TAXONOMY = Taxonomy(
    {"computer-vision": ("machine vision", "cv"), "graphs": (), "segmentation": ()},
    {"computer-vision": (), "graphs": (), "segmentation": ("computer-vision",)},
)


def record(
    text: str = "a text", *labels: str, date: datetime | None = None, columns: dict[str, str] | None = None
) -> Record:
    return Record(id="1", text=text, labels=labels, created_at=date, columns=columns or {}, place="file, row 1")


def slices_of(one: Record, slices: dict[str, SliceConfig], train_counts: Mapping[str, int] | None = None) -> list[str]:
    found = assign_slices([one], slices, labels=LABELS, taxonomy=TAXONOMY, train_counts=train_counts or {})
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("text", "inside"),
    [("one two three", True), ("one two three four", False), ("well-known two", True), ("one, two: (three)!", True)],
)
def test_short_texts_are_those_of_at_most_so_many_words(text: str, inside: bool) -> None:
    slices = {"terse": SliceConfig(kind=SliceKind.short_text, max_words=3)}
    assert slices_of(record(text), slices) == (["terse"] if inside else [])


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
        ("paragraphs", ["graphs"], True),  # no whole word
        ("nothing at all", [], False),  # no label, so none that is not named
    ],
)
def test_label_not_named_goes_by_names_aliases_and_stems(text: str, labels: list[str], inside: bool) -> None:
    slices = {"unnamed": SliceConfig(kind=SliceKind.label_not_named)}
    assert slices_of(record(text, *labels), slices) == (["unnamed"] if inside else [])


def test_rare_labels_go_by_the_number_of_train_records() -> None:
    slices = {"rare": SliceConfig(kind=SliceKind.rare_labels, max_train_records=10)}
    counts = {"computer-vision": 50, "graphs": 10}
    assert slices_of(record("a", "graphs"), slices, counts) == ["rare"]
    assert slices_of(record("a", "computer-vision"), slices, counts) == []
    assert slices_of(record("a", "computer-vision", "graphs"), slices, counts) == ["rare"]
    assert slices_of(record("a", "segmentation"), slices, counts) == ["rare"]  # never in train
    assert slices_of(record("a"), slices, counts) == []


@pytest.mark.parametrize(
    ("every", "month", "name"),
    [
        (DateStep.year, 5, "when=2020"),
        (DateStep.month, 5, "when=2020-05"),
        (DateStep.month, 12, "when=2020-12"),
        *[(DateStep.quarter, month, f"when=2020-Q{1 + index // 3}") for index, month in enumerate(range(1, 13))],
    ],
)
def test_dates_fall_into_years_quarters_or_months(every: DateStep, month: int, name: str) -> None:
    slices = {"when": SliceConfig(kind=SliceKind.date, every=every)}
    assert slices_of(record(date=datetime(2020, month, 28)), slices) == [name]


def test_a_record_without_date_is_in_no_date_slice() -> None:
    slices = {"date": SliceConfig(kind=SliceKind.date, every=DateStep.quarter)}
    assert slices_of(record(date=None), slices) == []


def test_slices_of_a_column_are_named_after_it_and_its_value() -> None:
    slices = {"by_source": SliceConfig(kind=SliceKind.column, column="source")}
    assert slices_of(record(columns={"source": "forum"}), slices) == ["source=forum"]
    assert slices_of(record(columns={"source": ""}), slices) == []
    assert slices_of(record(columns={}), slices) == []


def test_labels_that_stand_together() -> None:
    slices = {"both": SliceConfig(kind=SliceKind.labels, labels=["graphs", "segmentation"])}
    assert slices_of(record("a", "computer-vision", "graphs", "segmentation"), slices) == ["both"]
    assert slices_of(record("a", "graphs"), slices) == []


def test_an_unknown_label_is_named_with_the_nearest_one() -> None:
    slices = {"odd": SliceConfig(kind=SliceKind.labels, labels=["graphs", "segmentatoin"])}
    with pytest.raises(UserError) as error:
        slices_of(record(), slices)
    for part in ("slices.odd", "'segmentatoin'", "'segmentation'"):
        assert part in str(error.value)


def test_a_record_is_in_every_slice_that_holds_it_in_the_order_of_the_configuration() -> None:
    slices = {
        "terse": SliceConfig(kind=SliceKind.short_text, max_words=5),
        "date": SliceConfig(kind=SliceKind.date, every=DateStep.year),
        "unnamed": SliceConfig(kind=SliceKind.label_not_named),
        "graphs": SliceConfig(kind=SliceKind.labels, labels=["graphs"]),
    }
    records = [record("friends of friends", "graphs", date=datetime(2021, 1, 1)), record("one two three four five six")]
    found = assign_slices(records, slices, labels=LABELS, taxonomy=TAXONOMY, train_counts={})
    assert found == [["terse", "date=2021", "unnamed", "graphs"], []]
    assert assign_slices(records, {}, labels=LABELS, taxonomy=TAXONOMY, train_counts={}) == [[], []]

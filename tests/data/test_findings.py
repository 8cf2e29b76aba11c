"""Tests of findings about texts, dates and splits: each is there for odd data, and absent for usual data."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.config import DataConfig, LabelKind, LabelsConfig, RecordsConfig
from ratchet.data.findings import (
    find_label_problems,
    find_placeholder_dates,
    find_problems,
    format_problem,
    has_words,
    summarise_problems,
)
from ratchet.data.prepared import Prepared
from ratchet.data.problems import Problem
from ratchet.data.records import Record
from ratchet.data.splits import Split

MakePrepared = Callable[..., Prepared]
TOPICS = ("bug", "login", "slow")
WORDS = ("anchor", "basket", "candle", "dragon", "engine", "feather", "garden", "harbor", "island", "jacket", "kettle")


def make_config(**settings: object) -> DataConfig:
    defaults = {"text": ["text"], "labels": LabelsConfig(column="labels", kind=LabelKind.single), "created_at": "day"}
    return DataConfig(**{**defaults, **settings})  # type: ignore[arg-type]


def make_records(
    size: int = 30, texts: Sequence[str] = (), dates: Sequence[datetime | None] = (), labels: Sequence[str] = ()
) -> list[Record]:
    """Make usual records; the first ones have these texts, dates and labels."""
    usual = [f"{WORDS[row % 11]} {WORDS[row * 3 % 7]} {row} {WORDS[row * 5 % 9]}" for row in range(size)]
    days = [datetime(2026, 1, 1) + timedelta(days=row) for row in range(size)]
    return [
        Record(
            id=str(row),
            text=texts[row] if row < len(texts) else usual[row],
            labels=(labels[row] if row < len(labels) else TOPICS[row % 3],),
            created_at=dates[row] if row < len(dates) else days[row],
            columns={},
            place=f"f.csv, row {row + 2}",
        )
        for row in range(size)
    ]


def find(records: list[Record], /, **settings: object) -> list[Problem]:
    return find_problems(records, make_config(**settings))


def test_usual_records_have_no_findings() -> None:
    assert find(make_records(60)) == []
    assert find([]) == []


# --- texts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["...!?", "<br/>&nbsp;", "\u200b\ufeff.", "<p></p>", "-- --", "&#160;&#8203;", "\U0001f600"]
)
def test_texts_without_words_are_reported_with_number_and_first_place(text: str) -> None:
    [problem] = find(make_records(texts=["a usual text", text, f"{text} {text}"]))
    assert problem.kind == "text without words"
    assert problem.place == "f.csv, row 3"
    assert "2 of 30" in problem.message
    assert not has_words(text)


@pytest.mark.parametrize(
    "text", ["a", "<b>bold</b>", "R&D", "<3", "5 < 6", "\u4f60\u597d", "<br/>a", "x &amp; y", "\u2460"]
)
def test_texts_with_a_word_or_number_are_not_reported(text: str) -> None:
    assert has_words(text)
    assert find(make_records(texts=[text])) == []


@given(st.text())
def test_words_survive_markup_around_them(text: str) -> None:
    assert has_words(f"<p>{text.replace('<', ' ').replace('>', ' ')}</p> &nbsp; word")


@pytest.mark.parametrize("text", ["nan", "NULL", "None", "N/A", " nan ", "-"])
def test_texts_for_missing_values_are_reported_with_the_key(text: str) -> None:
    [problem] = [problem for problem in find(make_records(texts=[text] * 3)) if "missing" in problem.kind]
    assert problem.place == "f.csv, row 2"
    assert "3 of 30" in problem.message
    assert f"data.missing=[{text.strip()}]".replace("'", "") in problem.message.replace("'", "")


def test_all_columns_of_a_text_may_be_missing_values() -> None:
    records = make_records(texts=["nan NULL", "nan nan"])
    assert [problem.place for problem in find(records, text=["title", "body"])] == ["f.csv, row 2"]
    assert find(records) == [], "one column with two words is a text"


def test_one_text_with_different_labels_is_reported_for_each_record() -> None:
    records = make_records(texts=["the same"] * 4, labels=["bug", "bug", "slow", "login"])
    found = find(records)
    assert {problem.kind for problem in found} == {"one text with different labels"}
    assert [problem.place for problem in found] == ["f.csv, row 4", "f.csv, row 5"]
    assert "'bug' and 'slow'" in found[0].message
    assert "'0'" in found[0].message
    assert find(make_records(texts=["the same"] * 2, labels=["bug", "bug"])) == []


def test_many_texts_with_different_labels_name_the_layout_of_one_row_per_label() -> None:
    records = make_records(texts=[f"text {row // 2}" for row in range(20)], labels=["bug", "slow"] * 10)
    assert all("data.labels.kind=rows" in problem.message for problem in find(records))


def test_a_class_number_that_is_read_as_several_labels_is_reported() -> None:
    records = make_records(labels=["bug", "slow", "login"] * 10)
    numbers = LabelsConfig(column="label", kind=LabelKind.indices)
    [problem] = find(records, labels=numbers)
    assert "data.labels.one=true" in problem.message
    assert find(records, labels=replace(numbers, one=True)) == []
    assert find([*records, replace(records[0], text="other words", labels=("bug", "slow"))], labels=numbers) == []


def test_a_text_that_is_its_label_is_reported() -> None:
    found = find(make_records(texts=["Bug", "login", "bug"], labels=["bug", "login", "slow"]))
    assert [(problem.kind, problem.place) for problem in found] == [("text that is its label", "f.csv, row 2")]
    assert "2 of 30" in found[0].message


@pytest.mark.parametrize(
    "written", ["{text} {label}", "{label} {text}", "{text} [{label}].", "{upper}: {text}", "{text};{label};"]
)
def test_labels_that_stand_in_all_their_texts_are_reported(written: str) -> None:
    records = [
        replace(
            record,
            text=written.format(text=record.text, label=record.labels[0], upper=record.labels[0].upper()),
        )
        for record in make_records()
    ]
    found = find(records)
    assert [problem.place for problem in found] == ["label 'bug'", "label 'login'", "label 'slow'"]
    assert {problem.kind for problem in found} == {"label whose name is in its texts"}
    assert "all 10 texts" in found[0].message
    assert "data.text" in found[0].message


def test_several_labels_at_the_end_of_their_texts_are_reported() -> None:
    records = [replace(record, labels=("bug", "slow"), text=f"{record.text} bug;slow") for record in make_records(12)]
    kinds = {problem.place for problem in find(records) if problem.kind == "label whose name is in its texts"}
    assert kinds == {"label 'bug'", "label 'slow'"}


def test_a_label_that_one_text_lacks_is_not_reported() -> None:
    texts = [f"{record.text} {record.labels[0]}" for record in make_records()]
    texts[:3] = [f"debugging slowly logins {row}" for row in range(3)]
    assert find(make_records(texts=texts)) == []


def test_few_texts_that_name_their_label_are_a_coincidence() -> None:
    records = make_records(texts=[f"anchor {row} colab" for row in range(6)], labels=["colab"] * 6)
    assert find(records) == []


@pytest.mark.parametrize("place", ["beside the records", "in the working directory"])
def test_names_of_files_are_reported(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    names = [f"texts/{row}.txt" for row in range(30)]
    root = directory if place == "beside the records" else tmp_path
    (root / "texts").mkdir()
    for name in names[:20]:
        (root / name).write_text("text")
    monkeypatch.chdir(tmp_path)
    records, settings = make_records(texts=names), RecordsConfig(path="data/f.csv")
    [problem] = find(records, records=settings)
    assert problem.kind == "text that names a file"
    assert "20 of the first 30" in problem.message
    assert "data.text_files" in problem.message
    assert find(records, records=settings, text_files=["text"]) == []
    for name in names[10:20]:
        (root / name).unlink()
    assert find(records, records=settings) == [], "most of the texts name no file"


# --- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "date",
    [
        datetime(9999, 12, 31),
        datetime(9999, 12, 31, 23, 59, 59),
        datetime(1970, 1, 1),
        datetime(1900, 1, 1),
        datetime(1, 1, 1),
        datetime(2099, 6, 15),
        datetime(1985, 7, 3, 12),
        datetime(1899, 12, 30),
        datetime(2060, 1, 1),
    ],
)
def test_dates_that_mean_nothing_are_reported_with_their_number(date: datetime) -> None:
    records = make_records(60, dates=[datetime(2026, 1, 5), *[date] * 12])
    assert find_placeholder_dates(records) == {date: 12}
    [problem] = find(records)
    assert problem.place == "f.csv, row 3"
    assert "12 of 60" in problem.message
    assert f"{date.year:04d}-{date.month:02d}-{date.day:02d}" in problem.message
    assert "data.missing" in problem.message


def test_several_dates_that_mean_nothing_are_reported_each() -> None:
    dates = [datetime(9999, 12, 31)] * 4 + [datetime(1970, 1, 1)] * 5
    assert set(find_placeholder_dates(make_records(dates=dates))) == set(dates)


@pytest.mark.parametrize(
    "dates",
    [
        [None] * 30,
        [datetime(2026, 1, 1)] * 30,
        [datetime(1970, 1, 1) + timedelta(days=row) for row in range(-15, 15)],
        [datetime(1890, 1, 1) + timedelta(days=365.25 * row) for row in range(30)],
        [datetime(2009, 5, 1)],
        [datetime(2026, 1, 1 + row % 2) for row in range(30)],
        [datetime(2100, 1, 1) + timedelta(days=row) for row in range(30)],
        [datetime(2027, 1, 1)] * 2,
    ],
)
def test_usual_dates_are_not_reported(dates: list[datetime | None]) -> None:
    assert find(make_records(dates=dates)) == []


# --- the split --------------------------------------------------------------------------------------------------------


def test_labels_that_the_split_cannot_learn_or_measure_are_reported(make_prepared: MakePrepared) -> None:
    labels = [("a", "b"), ("a",), ("a", "val only"), ("a", "new"), ("new",), ("a",)]
    split = Split(train=["0000", "0001"], val=["0002"], test=["0003", "0004", "0005"])
    found = {problem.place: problem for problem in find_label_problems(make_prepared(labels), split)}
    assert {place: problem.kind for place, problem in found.items()} == {
        "label 'new'": "label that train lacks",
        "label 'b'": "label that test lacks",
        "label 'val only'": "label that test lacks",
    }
    assert (
        "on no record of train, on 2 of test: no model can find it (first file.csv, row 4)"
        in found["label 'new'"].message
    )


def test_labels_in_all_parts_are_not_reported(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",), ("b",), ("a",), ("b",), ("a", "b"), ("a",)])
    assert find_label_problems(prepared, Split(["0000", "0001"], ["0002", "0003"], ["0004", "0005"])) == []


def test_a_test_part_without_labels_is_one_finding(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",), ("b",), ("c",), (), ()])
    [problem] = find_label_problems(prepared, Split(["0000", "0001"], ["0002"], ["0003", "0004"]))
    assert (problem.kind, problem.place) == ("test without labels", "test")


def test_records_that_the_split_left_out_are_ignored(make_prepared: MakePrepared) -> None:
    prepared = make_prepared([("a",), ("a",), ("a",), ("b",)])
    [problem] = find_label_problems(prepared, Split(["0000"], ["0001"], ["0002"]))
    assert problem.place == "label 'b'"


# --- summaries --------------------------------------------------------------------------------------------------------


def test_a_summary_has_number_outcome_and_first_places() -> None:
    problems = [
        *(Problem("odd label", f"label '{name}'", "is odd", "kept") for name in "abcdef"),
        Problem("bad date", "f.csv, row 7", "no date", "dropped"),
        Problem("odd text", "f.csv, row 8", "is odd", "kept"),
    ]
    facts = [format_problem(summary) for summary in summarise_problems(problems)]
    assert facts == [
        ("finding", "6 x odd label, as label 'a': is odd (also label 'b', label 'c', label 'd' and 2 more)"),
        ("dropped", "1 x bad date, as f.csv, row 7: no date"),
        ("finding", "1 x odd text, as f.csv, row 8: is odd"),
    ]
    assert summarise_problems([]) == []

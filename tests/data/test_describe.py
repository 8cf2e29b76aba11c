import json
from collections.abc import Callable
from datetime import datetime

import pytest

from ratchet.data.dataset import Task
from ratchet.data.describe import describe
from ratchet.data.prepared import Prepared
from ratchet.data.reading import Problem
from ratchet.data.splits import Split

MakePrepared = Callable[..., Prepared]

TEXTS = ["one", "one two", "one-two three", "one two three four", "a b c d e", "word " * 21]
LABELS: list[tuple[str, ...]] = [("a", "b"), ("a",), (), ("b",), ("a", "b", "c"), ("a",)]
DATES = [datetime(2026, 3, 1), None, datetime(2026, 1, 31, 12), datetime(2026, 2, 1), None, datetime(2026, 2, 2)]
SPLIT = Split(train=["0000", "0001", "0002"], val=["0003"], test=["0004", "0005"])


@pytest.fixture
def prepared(make_prepared: MakePrepared) -> Prepared:
    prepared = make_prepared(LABELS, texts=TEXTS, dates=DATES)
    report = prepared.report
    report.rows_read = 9
    report.problems += [
        Problem("empty text", "file.csv, row 7", "no text in title", "dropped"),
        Problem("bad date", "file.csv, row 8", "not a date", "dropped"),
        Problem("empty text", "file.csv, row 9", "no text in title", "dropped"),
    ]
    report.filtered = {"records without a label": 4}
    report.labels_left_out = {"x": "excluded", "y": "not in the taxonomy", "z": "not in the taxonomy"}
    return prepared


def test_description_counts_rows_records_and_labels(prepared: Prepared) -> None:
    description = describe(prepared, SPLIT)
    assert description["name"] == "small"
    assert description["files"] == ["file.csv"]
    assert description["task"] == "multilabel"
    assert description["rows_read"] == 9
    assert description["records"] == 6
    assert description["labels"] == 3
    assert description["dataset_version"] == prepared.version
    assert description["split_hash"] == SPLIT.hash


def test_labels_are_counted_by_record_and_by_part(prepared: Prepared) -> None:
    description = describe(prepared, SPLIT)
    assert description["labels_per_record"] == {0: 1, 1: 3, 2: 1, 3: 1}
    assert description["labels_per_record_mean"] == pytest.approx(8 / 6)
    assert description["parts"] == {"train": 3, "val": 1, "test": 2}
    assert description["label_counts"] == {
        "a": {"train": 2, "val": 0, "test": 2},
        "b": {"train": 1, "val": 1, "test": 1},
        "c": {"train": 0, "val": 0, "test": 1},
    }


def test_word_counts_do_not_depend_on_separators(prepared: Prepared) -> None:
    lengths = describe(prepared, SPLIT)["words"]  # the texts have 1, 2, 3, 4, 5 and 21 words
    assert lengths == {"min": 1, "median": 3.5, "p95": pytest.approx(5 + 0.75 * (21 - 5)), "max": 21}


def test_dates_have_first_last_and_missing_count(prepared: Prepared) -> None:
    assert describe(prepared, SPLIT)["dates"] == {
        "first": "2026-01-31T12:00:00",
        "last": "2026-03-01T00:00:00",
        "without": 2,
    }


def test_dates_are_null_for_data_without_dates(make_prepared: MakePrepared) -> None:
    description = describe(make_prepared(LABELS), SPLIT)
    assert description["dates"] == {"first": None, "last": None, "without": 6}


def test_problems_are_counted_with_their_first_location(prepared: Prepared) -> None:
    assert describe(prepared, SPLIT)["problems"] == [
        {"kind": "empty text", "outcome": "dropped", "count": 2, "first": "file.csv, row 7: no text in title"},
        {"kind": "bad date", "outcome": "dropped", "count": 1, "first": "file.csv, row 8: not a date"},
    ]


def test_filtered_records_and_labels_are_counted_by_reason(prepared: Prepared) -> None:
    assert describe(prepared, SPLIT)["left_out"] == {
        "records": {"records without a label": 4},
        "labels": {"not in the taxonomy": 2, "excluded": 1},
    }


def test_description_can_be_serialised_to_json(make_prepared: MakePrepared) -> None:
    description = describe(make_prepared([("a",), ("b",)] * 3, dates=DATES, task=Task.multiclass), SPLIT)
    parsed = json.loads(json.dumps(description))
    parsed["labels_per_record"] = {int(number): count for number, count in parsed["labels_per_record"].items()}
    assert parsed == description
    assert description["task"] == "multiclass"

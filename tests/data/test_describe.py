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


def test_what_there_is_is_counted(prepared: Prepared) -> None:
    found = describe(prepared, SPLIT)
    assert found["name"] == "small"
    assert found["files"] == ["file.csv"]
    assert found["task"] == "multilabel"
    assert found["rows_read"] == 9
    assert found["records"] == 6
    assert found["labels"] == 3
    assert found["dataset_version"] == prepared.version
    assert found["split_hash"] == SPLIT.hash


def test_labels_are_counted_by_record_and_by_part(prepared: Prepared) -> None:
    found = describe(prepared, SPLIT)
    assert found["labels_per_record"] == {0: 1, 1: 3, 2: 1, 3: 1}
    assert found["labels_per_record_mean"] == pytest.approx(8 / 6)
    assert found["parts"] == {"train": 3, "val": 1, "test": 2}
    assert found["label_counts"] == {
        "a": {"train": 2, "val": 0, "test": 2},
        "b": {"train": 1, "val": 1, "test": 1},
        "c": {"train": 0, "val": 0, "test": 1},
    }


def test_words_are_counted_without_regard_to_what_separates_them(prepared: Prepared) -> None:
    lengths = describe(prepared, SPLIT)["words"]  # of 1, 2, 3, 4, 5 and 21 words
    assert lengths == {"min": 1, "median": 3.5, "p95": pytest.approx(5 + 0.75 * (21 - 5)), "max": 21}


def test_dates_have_a_first_a_last_and_a_count_of_those_missing(prepared: Prepared) -> None:
    assert describe(prepared, SPLIT)["dates"] == {
        "first": "2026-01-31T12:00:00",
        "last": "2026-03-01T00:00:00",
        "without": 2,
    }


def test_data_without_dates_say_so(make_prepared: MakePrepared) -> None:
    found = describe(make_prepared(LABELS), SPLIT)
    assert found["dates"] == {"first": None, "last": None, "without": 6}


def test_problems_are_counted_with_the_place_of_the_first(prepared: Prepared) -> None:
    assert describe(prepared, SPLIT)["problems"] == [
        {"kind": "empty text", "outcome": "dropped", "count": 2, "first": "file.csv, row 7: no text in title"},
        {"kind": "bad date", "outcome": "dropped", "count": 1, "first": "file.csv, row 8: not a date"},
    ]


def test_what_was_left_out_is_counted_by_reason(prepared: Prepared) -> None:
    assert describe(prepared, SPLIT)["left_out"] == {
        "records": {"records without a label": 4},
        "labels": {"not in the taxonomy": 2, "excluded": 1},
    }


def test_everything_is_a_plain_value(make_prepared: MakePrepared) -> None:
    found = describe(make_prepared([("a",), ("b",)] * 3, dates=DATES, task=Task.multiclass), SPLIT)
    read = json.loads(json.dumps(found))
    read["labels_per_record"] = {int(number): count for number, count in read["labels_per_record"].items()}
    assert read == found
    assert found["task"] == "multiclass"

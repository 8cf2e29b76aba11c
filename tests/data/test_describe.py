import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from ratchet.data.dataset import Task
from ratchet.data.describe import describe, find_status_columns
from ratchet.data.prepared import Prepared
from ratchet.data.problems import Problem
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
    problems = [{**problem, "places": len(problem["places"])} for problem in describe(prepared, SPLIT)["problems"]]
    place = "file.csv, row"
    assert problems == [
        {"kind": "empty text", "outcome": "dropped", "count": 2, "first": f"{place} 7: no text in title", "places": 2},
        {"kind": "bad date", "outcome": "dropped", "count": 1, "first": f"{place} 8: not a date", "places": 1},
        {
            "kind": "label that train lacks",
            "outcome": "kept",
            "count": 1,
            "first": f"label 'c': on no record of train, on 1 of test: no model can find it (first {place} 5)",
            "places": 1,
        },
    ]


def test_problems_of_the_split_and_of_the_file_are_described(prepared: Prepared) -> None:
    split = replace(SPLIT, problems=(Problem("data leak", "here", "two parts share a text", "kept"),), leaked=["0005"])
    more = [Problem("column that marks rows to leave out", "column 'answer'", "reject", "kept")]
    description = describe(prepared, split, more)
    kinds = {problem["kind"] for problem in description["problems"]}
    assert {"data leak", "column that marks rows to leave out"} <= kinds
    assert (description["split_dropped"], description["split_leaked"]) == (0, 1)


def test_records_that_the_split_dropped_are_in_no_part(prepared: Prepared) -> None:
    split = Split(train=["0000", "0001"], val=["0003"], test=["0004", "0005"], dropped=["0002"])
    description = describe(prepared, split)
    assert description["parts"] == {"train": 2, "val": 1, "test": 2}
    assert description["split_dropped"] == 1


def test_unknown_targets_are_described_by_label(make_prepared: MakePrepared) -> None:
    prepared = make_prepared(LABELS)
    assert "unknown" not in describe(prepared, SPLIT)
    known = np.ones(prepared.targets.shape, dtype=bool)
    known[:3, 1] = False
    assert describe(replace(prepared, known=known), SPLIT)["unknown"] == {"a": 0, "b": 0.5, "c": 0}


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


# --- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "values", "where"),
    [
        ("answer", ["accept", "reject", "ignore", "accept"], "{answer: [accept]}"),
        ("was_cancelled", ["0", "1", "0", "0"], "{was_cancelled: ['0']}"),
        ("is_approved", [True, False, True, True], "{is_approved: ['true']}"),
        ("Deleted", ["FALSE", "TRUE", "", "FALSE"], "{Deleted: ['', 'FALSE']}"),
        ("status", ["submitted", "discarded", "submitted", "discarded"], "{status: [submitted]}"),
    ],
)
def test_columns_that_mark_rows_to_leave_out_are_reported(column: str, values: list[object], where: str) -> None:
    rows = [{"text": "a", column: value} for value in values]
    [problem] = find_status_columns(rows, ["text"])
    assert problem.place == f"column {column!r}"
    assert f"data.filter.where={where}" in problem.message
    assert find_status_columns(rows, ["text", column]) == [], "the configuration uses the column"


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("status", ["open", "closed"]),
        ("answer", ["accept", "accept"]),
        ("answer", ["yes", "no"]),
        ("answer", ["reject the null", "accept"]),
        ("was_cancelled", ["0", "0"]),
        ("is_approved", ["true", "true"]),
        ("is_open", ["true", "false"]),
        ("deleted", ["2026-01-01", ""]),
        ("answer", [None, {"a": 1}]),
    ],
)
def test_other_columns_are_not_reported(column: str, values: list[object]) -> None:
    assert find_status_columns([{column: value} for value in values], []) == []

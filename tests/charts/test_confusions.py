"""Labels that are confused, in predictions that are few enough to count by hand."""

from pathlib import Path

import pytest
from tests.charts.conftest import Render, made_candidate, marks, options, predictions, rows, selected, targets, texts

from ratchet.charts.confusions import MOST, confused, confusions
from ratchet.runs.predictions import Predictions
from ratchet.runs.selection import Candidate

INSTEAD, MISSED, TOO_MUCH = "another label instead", "missed, nothing instead", "too much"
JUDGED = {
    "a": ("audio", "audio"),
    "b": ("audio", "vision"),
    "c": ("audio", "vision"),
    "d": ("audio graphs", "audio vision"),
    "e": ("audio", ""),
    "f": ("graphs audio", "audio"),
    "g": ("", "vision"),
    "h": ("audio", "audio vision"),
    "i": ("audio graphs", "vision"),
    "j": ("", ""),
}


def counted(candidate: Candidate) -> dict[tuple[str, str, str], float]:
    found = confused(candidate, "test")
    counts = {(row["missed"], row["predicted"], row["kind"]): row["records"] for row in found}
    assert len(counts) == len(found), "a pair stands there once"
    return counts


def test_pairs_are_those_that_are_counted_by_hand(tmp_path: Path) -> None:
    assert counted(made_candidate(tmp_path, "cnn", JUDGED)) == {
        ("audio", "vision", INSTEAD): 3,
        ("graphs", "vision", INSTEAD): 2,
        ("audio", "nothing", MISSED): 1,
        ("graphs", "nothing", MISSED): 1,
        ("nothing", "vision", TOO_MUCH): 2,
    }


def test_the_most_frequent_come_first(tmp_path: Path) -> None:
    found = confused(made_candidate(tmp_path, "cnn", JUDGED), "test")
    assert [row["error"] for row in found] == [
        *("audio → vision", "nothing → vision", "graphs → vision", "audio → nothing", "graphs → nothing")
    ]


def test_records_are_a_mean_over_runs(tmp_path: Path) -> None:
    right = {"a": ("audio", "audio")}
    one_more = {"a": ("audio", "vision"), "b": ("vision", "")}
    assert counted(made_candidate(tmp_path, "cnn", JUDGED, right, one_more)) == {
        ("audio", "vision", INSTEAD): 1.33,
        ("graphs", "vision", INSTEAD): 0.67,
        ("nothing", "vision", TOO_MUCH): 0.67,
        ("audio", "nothing", MISSED): 0.33,
        ("graphs", "nothing", MISSED): 0.33,
        ("vision", "nothing", MISSED): 0.33,
    }


def test_of_classes_each_error_is_one_in_the_place_of_another(tmp_path: Path) -> None:
    """By argmax: both scores of the first are below any threshold, and both of the second above."""
    found = Predictions(
        ["a", "b", "c", "d"],
        targets([1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]),
        targets([20, 30, 10], [90, 80, 0], [70, 60, 0], [10, 10, 80]).astype("float32") / 100,
        [[], [], [], []],
    )
    candidate = made_candidate(tmp_path, "cnn", found, thresholds=None, task="multiclass")
    assert counted(candidate) == {("audio", "graphs", INSTEAD): 1, ("graphs", "audio", INSTEAD): 2}


def test_decisions_are_made_at_each_runs_own_thresholds(tmp_path: Path) -> None:
    assert counted(made_candidate(tmp_path, "cnn", {"a": ("audio", "audio")}, thresholds=[0.95, 0.5, 0.05])) == {
        ("audio", "vision", INSTEAD): 1
    }


def test_the_picture_is_of_one_candidate_and_one_kind(tmp_path: Path, render: Render) -> None:
    other = made_candidate(tmp_path, "rule", {"a": ("audio", "graphs")})
    chart = confusions(selected(other, made_candidate(tmp_path, "cnn", JUDGED)))
    assert options(chart) == {
        "model": ["rule", "cnn", "!cnn"],
        "kind": [INSTEAD, MISSED, TOO_MUCH, f"!{INSTEAD}"],
    }
    svg = render(chart)
    assert [(each["error"], float(each["records"])) for each in marks(svg, "bar")] == [
        ("audio → vision", 3),
        ("graphs → vision", 2),
    ]
    assert {"audio → vision", "graphs → vision"} <= set(texts(svg))
    assert [each["error"] for each in marks(render(chart, kind=TOO_MUCH), "bar")] == ["nothing → vision"]
    assert [each["error"] for each in marks(render(chart, model="rule"), "bar")] == ["audio → graphs"]


def test_of_each_candidate_and_kind_the_most_frequent_are_drawn(tmp_path: Path) -> None:
    labels = [f"label {number:02}" for number in range(MOST + 6)]
    judged = {
        f"{label} {time}": ([label], [labels[0]])
        for number, label in enumerate(labels[1:], 1)
        for time in range(number)
    }
    many = predictions(judged, labels)
    chart = confusions(selected(made_candidate(tmp_path, "cnn", many, labels=labels)))
    drawn = rows(chart, "bar")
    assert [row["missed"] for row in drawn] == labels[: -MOST - 1 : -1]
    assert [row["records"] for row in drawn] == list(range(MOST + 5, 5, -1))


def test_the_first_picture_is_not_empty_where_the_last_candidate_errs_otherwise(tmp_path: Path, render: Render) -> None:
    rule = made_candidate(tmp_path, "rule", {"a": ("audio", "graphs")})
    cnn = made_candidate(tmp_path, "cnn", {"a": ("audio", "")})
    chart = confusions(selected(rule, cnn))
    assert options(chart) == {"model": ["rule", "cnn", "!cnn"], "kind": [INSTEAD, MISSED, f"!{MISSED}"]}
    assert [each["error"] for each in marks(render(chart), "bar")] == ["audio → nothing"]


def test_who_errs_nowhere_cannot_be_chosen_and_no_errors_are_no_picture(tmp_path: Path) -> None:
    right = made_candidate(tmp_path, "big", {"a": ("audio", "audio"), "b": ("", "")})
    assert confusions(selected(right)) is None
    assert confused(right, "test") == []
    wrong = made_candidate(tmp_path, "cnn", {"a": ("audio", "vision")})
    assert options(confusions(selected(wrong, right)))["model"] == ["cnn", "!cnn"]


@pytest.mark.parametrize("part", ["test", "val"])
def test_the_part_is_the_selections(part: str, tmp_path: Path, render: Render) -> None:
    val = predictions({"a": (["graphs"], [])}, ("audio", "graphs", "vision"))
    candidate = made_candidate(tmp_path, "cnn", {"a": ("audio", "")}, val=val)
    selection = selected(candidate)
    chart = confusions(type(selection)("made", part, "1a", (candidate,), ()))
    [row] = rows(chart, "bar")
    assert row["missed"] == ("audio" if part == "test" else "graphs")
    assert f"records of {part}, mean over runs" in texts(render(chart))

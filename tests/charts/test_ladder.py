"""The ladder: what the comparison found and what each run reached by itself, and nothing else."""

from pathlib import Path

import pytest
from tests.charts.conftest import (
    Render,
    comparison,
    interval,
    made_candidate,
    marks,
    result,
    rows,
    selected,
    texts,
)

from ratchet.charts.ladder import ladder
from ratchet.comparison.results import SplitRead

RIGHT, WRONG = {"a": ("audio", "audio"), "b": ("vision", "vision")}, {"a": ("audio", "audio"), "b": ("vision", "")}
FOUND = comparison(result("rule", 0.5, runs=["1", "2"]), result("cnn", 0.75, runs=["3"]), result("big", 0.625))
NOTHING = selected()


def test_a_candidate_is_its_metric_with_its_interval() -> None:
    expected = [
        {"model": "rule", "runs": 2, "value": 0.5, "low": 0.4, "high": 0.6},
        {"model": "cnn", "runs": 1, "value": 0.75, "low": 0.65, "high": 0.85},
        {"model": "big", "runs": 1, "value": 0.625, "low": 0.525, "high": 0.725},
    ]
    for mark in ("point", "rule", "text"):
        assert rows(ladder(FOUND, NOTHING), mark) == expected


def test_the_metric_is_the_comparisons() -> None:
    found = comparison(result("rule", 0.5), metric="precision_macro", part="val")
    assert [row["value"] for row in rows(ladder(found, NOTHING), "point")] == [0.25]


def test_a_repeat_is_what_its_run_wrote_down(tmp_path: Path, render: Render) -> None:
    rule = made_candidate(tmp_path, "rule", RIGHT, WRONG)
    cnn = made_candidate(tmp_path, "cnn", RIGHT, RIGHT, seed=7)
    figures = [run.figures()["test/f1_weighted"] for run in rule.runs]
    assert figures == [1, pytest.approx(0.5)]
    chart = ladder(FOUND, selected(rule, cnn))
    assert rows(chart, "tick") == [
        {"model": "rule", "run": "split 0, seed 0", "value": figures[0]},
        {"model": "rule", "run": "split 1, seed 0", "value": figures[1]},
        {"model": "cnn", "run": "split 0, seed 7", "value": 1},
        {"model": "cnn", "run": "split 1, seed 7", "value": 1},
    ]
    assert len(marks(render(chart), "tick")) == 4


def test_a_repeat_is_of_the_part_and_metric_that_are_compared(tmp_path: Path) -> None:
    candidate = made_candidate(tmp_path, "rule", WRONG)
    figures = candidate.runs[0].figures() | {"val/precision_macro": 0.125}
    (candidate.runs[0].path / "metrics.json").write_text(str(figures).replace("'", '"'))
    chart = ladder(comparison(result("rule"), metric="precision_macro", part="val"), selected(candidate))
    assert [row["value"] for row in rows(chart, "tick")] == [0.125]


def test_the_simplest_stands_on_top_whatever_it_reached(render: Render) -> None:
    svg = render(ladder(FOUND, NOTHING))
    written = texts(svg)
    assert [each for each in written if each in ("rule", "cnn", "big")] == ["rule", "cnn", "big"]
    assert {"0.500", "0.750", "0.625"} <= set(written)
    assert [float(each["f1_weighted"]) for each in marks(svg, "point")] == [0.5, 0.75, 0.625]


def test_the_dashed_line_is_the_baseline(render: Render) -> None:
    found = comparison(result("rule", 0.5), result("cnn", 0.75), baseline="cnn")
    across, *whiskers = marks(render(ladder(found, NOTHING)), "rule mark")
    [title] = across
    assert float(across[title]) == 0.75
    assert [each["model"] for each in whiskers] == ["rule", "cnn"]


def test_the_axis_says_what_is_measured_where(render: Render) -> None:
    one = comparison(result("rule"), splits=[SplitRead(0, "split 0", 10, 1)], part="val", metric="precision_macro")
    assert "weighted F1 on test, mean over 3 splits, 95 % interval" in texts(render(ladder(FOUND, NOTHING)))
    assert "macro precision on val, one split, 95 % interval" in texts(render(ladder(one, NOTHING)))


def test_many_candidates_have_a_row_each(render: Render) -> None:
    found = comparison(*(result(f"model-{number}", number / 20) for number in range(12)))
    svg = render(ladder(found, NOTHING))
    assert [each["model"] for each in marks(svg, "point")] == [f"model-{number}" for number in range(12)]


def test_values_that_are_all_the_same_can_be_drawn(render: Render) -> None:
    found = comparison(*(result(name, metrics={"f1_weighted": interval(0, 0)}) for name in ("rule", "cnn")))
    assert len(marks(render(ladder(found, NOTHING)), "point")) == 2

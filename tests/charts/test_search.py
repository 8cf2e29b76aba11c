"""Tests for the charts of a search: history, importance and front."""

from tests.charts.contents import Render, marks, rows, texts
from tests.charts.search_results import FOUND, TRIALS

from ratchet.reporting.search_page import chart_front, chart_history, chart_importance
from ratchet.sweeps.trials import SearchResult


def test_history_draws_pruned_trials_at_reported_value() -> None:
    points = rows(chart_history(FOUND, "weighted F1 on val"), "point")
    assert [(row["trial"], row["value"], row["kind"]) for row in points] == [
        (0, 0.5, "default"),
        (2, 0.7, "tried"),
        (3, 0.3, "pruned"),
        (4, 0.6, "tried"),
    ]
    assert points[1]["settings"] == "C 3.5"


def test_history_line_is_best_so_far() -> None:
    points = rows(chart_history(FOUND, "weighted F1 on val"), "line")
    assert [(row["trial"], row["value"]) for row in points] == [(0, 0.5), (2, 0.7), (5, 0.7)]


def test_search_charts_name_axes_and_kinds(render: Render) -> None:
    svg = render(chart_history(FOUND, "weighted F1 on val"))
    assert {"trial", "weighted F1 on val", "default", "tried", "pruned"} <= set(texts(svg))
    assert len(marks(svg, "point")) == 4
    svg = render(chart_importance(FOUND))
    assert {"C", "threshold.value", "share of the variance between trials"} <= set(texts(svg))


def test_search_without_finished_trial_has_no_charts() -> None:
    unfinished = SearchResult([TRIALS[1], TRIALS[3]], None, [], {})
    assert chart_history(unfinished, "F1") is None
    assert chart_importance(unfinished) is None
    assert chart_front(unfinished, "F1", "size_mb") is None


def test_front_connects_best_trials_by_cost(render: Render) -> None:
    search = SearchResult(TRIALS, TRIALS[2], [TRIALS[4], TRIALS[2]], {})
    chart = chart_front(search, "weighted F1 on val", "size_mb")
    assert [(row["trial"], row["amount"]) for row in rows(chart, "point")] == [(0, 4.0), (2, 8.0), (4, 2.0)]
    assert [(row["amount"], row["value"]) for row in rows(chart, "line")] == [(2.0, 0.6), (8.0, 0.7)]
    assert "size_mb, on a logarithmic scale" in texts(render(chart))

"""A search as a picture: every trial where it belongs, the best so far, and what mattered."""

from tests.charts.contents import Render, marks, rows, texts
from tests.charts.search_results import FOUND, TRIALS

from ratchet.reporting.search_page import chart_front, chart_history, chart_importance
from ratchet.sweeps.trials import SearchResult


def test_trials_stand_at_what_they_reached_and_pruned_ones_at_what_they_had() -> None:
    found = rows(chart_history(FOUND, "weighted F1 on val"), "point")
    assert [(row["trial"], row["value"], row["kind"]) for row in found] == [
        (0, 0.5, "default"),
        (2, 0.7, "tried"),
        (3, 0.3, "pruned"),
        (4, 0.6, "tried"),
    ]
    assert found[1]["settings"] == "C 3.5"


def test_the_line_is_the_best_so_far_to_the_end() -> None:
    found = rows(chart_history(FOUND, "weighted F1 on val"), "line")
    assert [(row["trial"], row["value"]) for row in found] == [(0, 0.5), (2, 0.7), (5, 0.7)]


def test_it_is_drawn_with_its_axes_named(render: Render) -> None:
    svg = render(chart_history(FOUND, "weighted F1 on val"))
    assert {"trial", "weighted F1 on val", "default", "tried", "pruned"} <= set(texts(svg))
    assert len(marks(svg, "point")) == 4
    svg = render(chart_importance(FOUND))
    assert {"C", "threshold.value", "share of the variance between trials"} <= set(texts(svg))


def test_without_a_finished_trial_there_is_no_picture() -> None:
    nothing = SearchResult([TRIALS[1], TRIALS[3]], None, [], {})
    assert chart_history(nothing, "F1") is None
    assert chart_importance(nothing) is None
    assert chart_front(nothing, "F1", "size_mb") is None


def test_quality_stands_against_cost_and_what_nothing_beats_is_joined(render: Render) -> None:
    found = SearchResult(TRIALS, TRIALS[2], [TRIALS[4], TRIALS[2]], {})
    chart = chart_front(found, "weighted F1 on val", "size_mb")
    assert [(row["trial"], row["amount"]) for row in rows(chart, "point")] == [(0, 4.0), (2, 8.0), (4, 2.0)]
    assert [(row["amount"], row["value"]) for row in rows(chart, "line")] == [(2.0, 0.6), (8.0, 0.7)]
    assert "size_mb, on a logarithmic scale" in texts(render(chart))

"""Quality against cost: what was measured, and budgets in the same units."""

import pytest
from tests.charts.conftest import Render, comparison, marks, options, result, rows, texts

from ratchet.charts.costs import COSTS, quality_and_cost

ALL = {"fit_seconds": 2.0, "latency_ms_p95": 0.5, "items_per_second": 900.0, "peak_memory_mb": 64.0, "size_mb": 8.0}
CHEAP = {**ALL, "fit_seconds": 0.001, "latency_ms_p50": 0.25}
FOUND = comparison(result("rule", 0.5, costs=CHEAP), result("cnn", 0.75, costs=ALL))


def amounts(rows: list[dict[str, object]]) -> dict[tuple[object, object], object]:
    return {(row["model"], row["cost"]): row["amount"] for row in rows}


def test_every_cost_stands_against_the_metric() -> None:
    found = rows(quality_and_cost(FOUND), "point")
    assert amounts(found) == {
        (name, title): costs[key] for name, costs in (("rule", CHEAP), ("cnn", ALL)) for key, title in COSTS.items()
    }
    assert len(found) == 10
    for row in found:
        value = {"rule": 0.5, "cnn": 0.75}[row["model"]]
        assert (row["value"], row["low"], row["high"]) == (value, value - 0.1, value + 0.1)


@pytest.mark.parametrize("nothing", [0, 0.0, None])
def test_what_is_free_or_was_not_measured_is_left_out(nothing: float | None, render: Render) -> None:
    found = comparison(result("rule", costs={**ALL, "size_mb": nothing}), result("cnn", costs=ALL))
    chart = quality_and_cost(found)
    left = amounts(rows(chart, "point"))
    assert ("rule", "size on disk (MB)") not in left
    assert left["cnn", "size on disk (MB)"] == 8
    assert len(left) == 9
    assert len(marks(render(chart), "point")) == 2


def test_a_cost_that_nobody_has_cannot_be_chosen(render: Render) -> None:
    costs = {**ALL, "fit_seconds": None, "peak_memory_mb": 0.0}
    chart = quality_and_cost(comparison(result("rule", costs=costs), result("cnn", costs=costs)))
    titles = ["latency p95 (ms)", "texts a second", "size on disk (MB)"]
    assert options(chart) == {"cost": [*titles, f"!{titles[0]}"]}
    svg = render(chart)
    assert [float(each["amount"]) for each in marks(svg, "point")] == [0.5, 0.5]
    assert "weighted F1 over latency p95 (ms)" in texts(svg)


def test_nothing_measured_is_no_picture() -> None:
    for costs in ({}, dict.fromkeys(COSTS), {"latency_ms_p50": 1.0}):
        assert quality_and_cost(comparison(result("rule", costs=costs))) is None


def test_the_scale_is_logarithmic(render: Render) -> None:
    chart = quality_and_cost(FOUND)
    assert chart is not None
    assert {each["encoding"]["x"]["scale"]["type"] for each in chart.to_dict()["layer"]} == {"log"}
    assert [float(each["cost, on a logarithmic scale"]) for each in marks(render(chart), "point")] == [0.001, 2]


def test_budgets_are_in_the_units_of_the_costs(render: Render) -> None:
    chart = quality_and_cost(FOUND, {"latency_ms_p95": 50, "size_mb": 500.5, "fit_minutes": 1.5})
    assert {(row["cost"], row["amount"], row["budget"]) for row in rows(chart, "rule", 0)} == {
        ("latency p95 (ms)", 50, "at most 50"),
        ("size on disk (MB)", 500.5, "at most 500.5"),
        ("fit (s)", 90, "at most 90"),
    }
    limit, *whiskers = marks(render(chart), "rule mark")
    assert limit["budget"] == "at most 90", "of the cost that is shown"
    assert len(whiskers) == 2


@pytest.mark.parametrize("budgets", [None, {}, {"latency_ms_p95": None, "size_mb": None, "fit_minutes": None}])
def test_without_budgets_there_are_no_limits(budgets: dict[str, float | None] | None, render: Render) -> None:
    chart = quality_and_cost(FOUND, budgets)
    assert rows(chart, "rule", 0) == []
    assert len(marks(render(chart), "rule mark")) == 2, "the whiskers"

"""Tests for the charts of a comparison: ladder, differences, groups, and quality against cost."""

import random
from pathlib import Path

import pytest
from tests.builders import comparison, difference, group, interval, made_candidate, result, selected
from tests.charts.contents import Render, marks, options, rows, texts

from ratchet.charts.comparison_charts import (
    BELOW,
    COSTS,
    MOST,
    MOST_CANDIDATES,
    choose_shown,
    differences,
    group_differences,
    ladder,
    quality_and_cost,
)
from ratchet.comparison.results import Interval, SplitRead

RIGHT, WRONG = {"a": ("audio", "audio"), "b": ("vision", "vision")}, {"a": ("audio", "audio"), "b": ("vision", "")}
COMPARISON = comparison(result("rule", 0.5, runs=["1", "2"]), result("cnn", 0.75, runs=["3"]), result("big", 0.625))
NO_RUNS = selected()
CNN = result("cnn", baseline=difference("rule", 0.25, "better"), predecessor=difference("rule", 0.25, "better"))
BIG = result(
    "big",
    baseline=difference("rule", 0.2, "better"),
    predecessor=difference("cnn", -0.05, "worse"),
    best_simpler=difference("cnn", -0.4, "worse"),
)
WITH_DIFFERENCES = comparison(result("rule"), CNN, BIG)
GROUPS = [group("audio", 0.1), group("graphs", -0.3), group("terse", 0.2, "slice"), group("vision", 0.25)]
WITH_GROUPS = comparison(result("rule"), result("cnn", groups=GROUPS))
ALL_COSTS = {
    "fit_seconds": 2.0,
    "latency_ms_p95": 0.5,
    "items_per_second": 900.0,
    "peak_memory_mb": 64.0,
    "size_mb": 8.0,
}
CHEAP_COSTS = {**ALL_COSTS, "fit_seconds": 0.001, "latency_ms_p50": 0.25}
WITH_COSTS = comparison(result("rule", 0.5, costs=CHEAP_COSTS), result("cnn", 0.75, costs=ALL_COSTS))


def test_ladder_draws_metric_with_interval() -> None:
    expected = [
        {"model": "rule", "runs": 2, "value": 0.5, "low": 0.4, "high": 0.6},
        {"model": "cnn", "runs": 1, "value": 0.75, "low": 0.65, "high": 0.85},
        {"model": "big", "runs": 1, "value": 0.625, "low": 0.525, "high": 0.725},
    ]
    for mark in ("point", "rule", "text"):
        assert rows(ladder(COMPARISON, NO_RUNS), mark) == expected


def test_ladder_uses_metric_of_comparison() -> None:
    results = comparison(result("rule", 0.5), metric="precision_macro", part="val")
    assert [row["value"] for row in rows(ladder(results, NO_RUNS), "point")] == [0.25]


def test_tick_is_metric_recorded_by_run(tmp_path: Path, render: Render) -> None:
    rule = made_candidate(tmp_path, "rule", RIGHT, WRONG)
    cnn = made_candidate(tmp_path, "cnn", RIGHT, RIGHT, seed=7)
    values = [run.read_metrics()["test/f1_weighted"] for run in rule.runs]
    assert values == [1, pytest.approx(0.5)]
    chart = ladder(COMPARISON, selected(rule, cnn))
    assert rows(chart, "tick") == [
        {"model": "rule", "run": "split 0, seed 0", "value": values[0]},
        {"model": "rule", "run": "split 1, seed 0", "value": values[1]},
        {"model": "cnn", "run": "split 0, seed 7", "value": 1},
        {"model": "cnn", "run": "split 1, seed 7", "value": 1},
    ]
    assert len(marks(render(chart), "tick")) == 4


def test_tick_uses_compared_part_and_metric(tmp_path: Path) -> None:
    candidate = made_candidate(tmp_path, "rule", WRONG)
    metrics = candidate.runs[0].read_metrics() | {"val/precision_macro": 0.125}
    (candidate.runs[0].path / "metrics.json").write_text(str(metrics).replace("'", '"'))
    chart = ladder(comparison(result("rule"), metric="precision_macro", part="val"), selected(candidate))
    assert [row["value"] for row in rows(chart, "tick")] == [0.125]


def test_ladder_keeps_candidate_order_regardless_of_metric(render: Render) -> None:
    svg = render(ladder(COMPARISON, NO_RUNS))
    labels = texts(svg)
    assert [label for label in labels if label in ("rule", "cnn", "big")] == ["rule", "cnn", "big"]
    assert {"0.500", "0.750", "0.625"} <= set(labels)
    assert [float(point["f1_weighted"]) for point in marks(svg, "point")] == [0.5, 0.75, 0.625]


def test_dashed_line_marks_baseline(render: Render) -> None:
    results = comparison(result("rule", 0.5), result("cnn", 0.75), baseline="cnn")
    line, *whiskers = marks(render(ladder(results, NO_RUNS)), "rule mark")
    [title] = line
    assert float(line[title]) == 0.75
    assert [whisker["model"] for whisker in whiskers] == ["rule", "cnn"]


def test_axis_title_names_metric_part_and_splits(render: Render) -> None:
    on_val = comparison(result("rule"), splits=[SplitRead(0, "split 0", 10, 1)], part="val", metric="precision_macro")
    assert "weighted F1 on test, mean over 3 splits, 95 % interval" in texts(render(ladder(COMPARISON, NO_RUNS)))
    assert "macro precision on val, one split, 95 % interval" in texts(render(ladder(on_val, NO_RUNS)))


def test_each_candidate_has_its_own_row(render: Render) -> None:
    results = comparison(*(result(f"model-{number}", number / 20) for number in range(12)))
    svg = render(ladder(results, NO_RUNS))
    assert [point["model"] for point in marks(svg, "point")] == [f"model-{number}" for number in range(12)]


def test_ladder_draws_identical_values(render: Render) -> None:
    results = comparison(*(result(name, metrics={"f1_weighted": interval(0, 0)}) for name in ("rule", "cnn")))
    assert len(marks(render(ladder(results, NO_RUNS)), "point")) == 2


def test_differences_match_comparison() -> None:
    points = rows(differences(WITH_DIFFERENCES), "point")
    assert {(row["name"], row["against"]): (row["compared with"], row["value"], row["verdict"]) for row in points} == {
        ("cnn", BELOW): ("rule", 0.25, "better"),
        ("cnn", "rule"): ("rule", 0.25, "better"),
        ("big", BELOW): ("cnn", -0.05, "worse"),
        ("big", "rule"): ("rule", 0.2, "better"),
    }
    assert len(points) == 4
    for row in points:
        assert (row["low"], row["high"]) == (row["value"] - 0.05, row["value"] + 0.06)


def test_differences_to_baseline_are_shown_first(render: Render) -> None:
    chart = differences(WITH_DIFFERENCES)
    assert options(chart) == {"against": [BELOW, "rule", "!rule"]}
    points = marks(render(chart), "point")
    assert [(point["name"], float(point["value"]), point["verdict"]) for point in points] == [
        ("cnn", 0.25, "better"),
        ("big", 0.2, "better"),
    ]


def test_option_shows_differences_to_model_below(render: Render) -> None:
    points = marks(render(differences(WITH_DIFFERENCES), against=BELOW), "point")
    assert [(point["compared with"], float(point["value"])) for point in points] == [("rule", 0.25), ("cnn", -0.05)]


def test_zero_line_is_drawn_without_differences_near_zero(render: Render) -> None:
    chart = differences(comparison(result("rule"), result("cnn", baseline=difference("rule", 0.5))))
    assert rows(chart, "rule", 0) == [{"value": 0}]
    svg = render(chart)
    assert len(marks(svg, "rule mark")) == 2, "the zero line and a whisker"
    assert "difference in weighted F1, 95 % interval" in texts(svg)


def test_baseline_need_not_be_simplest_candidate() -> None:
    rule = result("rule", baseline=difference("cnn", -0.25, "worse"))
    results = comparison(rule, result("cnn"), baseline="cnn")
    chart = differences(results)
    assert [(row["name"], row["against"]) for row in rows(chart, "point")] == [("rule", "cnn")]
    assert options(chart) == {"against": ["cnn", "!cnn"]}, "only the cnn has a simpler model, and it is the baseline"


def test_baseline_alone_has_no_difference_chart() -> None:
    assert differences(comparison(result("rule"))) is None


def test_group_point_matches_comparison() -> None:
    audio = group("audio", 0.1, difference=Interval(0.1, -0.07, 0.3), verdict="better", positives=12)
    results = comparison(result("rule"), result("cnn", groups=[audio]))
    assert rows(group_differences(results, "label"), "point") == [
        {
            "name": "audio",
            "model": "cnn",
            "positives": 12,
            "verdict": "better",
            "value": 0.1,
            "low": -0.07,
            "high": 0.3,
        }
    ]


def test_labels_and_slices_are_drawn_separately() -> None:
    assert {row["name"] for row in rows(group_differences(WITH_GROUPS, "label"), "point")} == {
        "audio",
        "graphs",
        "vision",
    }
    assert [row["name"] for row in rows(group_differences(WITH_GROUPS, "slice"), "point")] == ["terse"]


def test_groups_are_sorted_from_gain_to_loss(render: Render) -> None:
    svg = render(group_differences(WITH_GROUPS, "label"))
    assert [point["name"] for point in marks(svg, "point")] == ["graphs", "vision", "audio"], "largest difference first"
    assert [text for text in texts(svg) if text in ("audio", "graphs", "vision")] == ["vision", "audio", "graphs"]
    assert "difference in F1 to rule, 95 % interval" in texts(svg)
    assert "difference in weighted F1 to rule, 95 % interval" in texts(render(group_differences(WITH_GROUPS, "slice")))


def test_only_largest_group_differences_are_drawn(render: Render) -> None:
    values = [(-1) ** number * number / 200 for number in range(MOST + 25)]
    random.Random(0).shuffle(values)
    many = [group(f"label {value}", value) for value in values]
    results = comparison(result("rule"), result("cnn", groups=many), result("big", groups=many[:5]))
    chart = group_differences(results, "label")
    plotted = [row["value"] for row in rows(chart, "point") if row["model"] == "cnn"]
    assert plotted == sorted(values, key=abs, reverse=True)[:MOST]
    assert min(plotted) < 0 < max(plotted)
    assert len([row for row in rows(chart, "point") if row["model"] == "big"]) == 5, "the limit applies per candidate"
    assert {point["model"] for point in marks(render(chart), "point")} == {"big"}


def test_group_chart_shows_one_candidate(render: Render) -> None:
    results = comparison(result("rule"), result("cnn", groups=GROUPS), result("big", groups=[group("audio", 0.5)]))
    chart = group_differences(results, "label")
    assert options(chart) == {"model": ["cnn", "big", "!big"]}
    [point] = marks(render(chart), "point")
    assert float(point["value"]) == 0.5


def test_candidate_without_groups_is_no_option(render: Render) -> None:
    results = comparison(result("rule"), result("cnn", groups=GROUPS), result("big", groups=GROUPS[:2]))
    chart = group_differences(results, "slice")
    assert options(chart) == {"model": ["cnn", "!cnn"]}
    assert len(marks(render(chart), "point")) == 1


@pytest.mark.parametrize("kind", ["label", "slice"])
def test_missing_groups_give_no_chart(kind: str) -> None:
    assert group_differences(comparison(result("rule"), result("cnn")), kind) is None
    assert group_differences(comparison(result("rule", groups=[])), kind) is None


def map_amounts(points: list[dict[str, object]]) -> dict[tuple[object, object], object]:
    return {(row["model"], row["cost"]): row["amount"] for row in points}


def test_each_cost_is_drawn_against_metric() -> None:
    points = rows(quality_and_cost(WITH_COSTS), "point")
    assert map_amounts(points) == {
        (name, title): costs[key]
        for name, costs in (("rule", CHEAP_COSTS), ("cnn", ALL_COSTS))
        for key, title in COSTS.items()
    }
    assert len(points) == 10
    for row in points:
        value = {"rule": 0.5, "cnn": 0.75}[row["model"]]
        assert (row["value"], row["low"], row["high"]) == (value, value - 0.1, value + 0.1)


@pytest.mark.parametrize("cost", [0, 0.0, None])
def test_zero_and_missing_costs_are_left_out(cost: float | None, render: Render) -> None:
    results = comparison(result("rule", costs={**ALL_COSTS, "size_mb": cost}), result("cnn", costs=ALL_COSTS))
    chart = quality_and_cost(results)
    drawn = map_amounts(rows(chart, "point"))
    assert ("rule", "size (MB)") not in drawn
    assert drawn["cnn", "size (MB)"] == 8
    assert len(drawn) == 9
    assert len(marks(render(chart), "point")) == 2


def test_cost_without_values_is_no_option(render: Render) -> None:
    costs = {**ALL_COSTS, "fit_seconds": None, "peak_memory_mb": 0.0}
    chart = quality_and_cost(comparison(result("rule", costs=costs), result("cnn", costs=costs)))
    titles = ["latency p95 (ms)", "texts/s", "size (MB)"]
    assert options(chart) == {"cost": [*titles, f"!{titles[0]}"]}
    svg = render(chart)
    assert [float(point["amount"]) for point in marks(svg, "point")] == [0.5, 0.5]
    assert "weighted F1 over latency p95 (ms)" in texts(svg)


def test_missing_costs_give_no_chart() -> None:
    for costs in ({}, dict.fromkeys(COSTS), {"latency_ms_p50": 1.0}):
        assert quality_and_cost(comparison(result("rule", costs=costs))) is None


def test_cost_axis_is_logarithmic(render: Render) -> None:
    chart = quality_and_cost(WITH_COSTS)
    assert chart is not None
    assert {layer["encoding"]["x"]["scale"]["type"] for layer in chart.to_dict()["layer"]} == {"log"}
    assert [float(point["cost, on a logarithmic scale"]) for point in marks(render(chart), "point")] == [0.001, 2]


def test_budgets_use_units_of_costs(render: Render) -> None:
    chart = quality_and_cost(WITH_COSTS, {"latency_ms_p95": 50, "size_mb": 500.5, "fit_minutes": 1.5})
    assert {(row["cost"], row["amount"], row["budget"]) for row in rows(chart, "rule", 0)} == {
        ("latency p95 (ms)", 50, "at most 50"),
        ("size (MB)", 500.5, "at most 500.5"),
        ("fit (s)", 90, "at most 90"),
    }
    limit, *whiskers = marks(render(chart), "rule mark")
    assert limit["budget"] == "at most 90", "only the budget of the selected cost"
    assert len(whiskers) == 2


@pytest.mark.parametrize("budgets", [None, {}, {"latency_ms_p95": None, "size_mb": None, "fit_minutes": None}])
def test_missing_budgets_draw_no_limits(budgets: dict[str, float | None] | None, render: Render) -> None:
    chart = quality_and_cost(WITH_COSTS, budgets)
    assert rows(chart, "rule", 0) == []
    assert len(marks(render(chart), "rule mark")) == 2, "the whiskers"


def test_charts_of_many_candidates_show_the_baseline_those_to_keep_and_the_highest() -> None:
    many = comparison(*(result(f"c{number}", number / 100) for number in range(60)))
    shown, _ = choose_shown(many, NO_RUNS, ["c7", None])
    names = [row.name for row in shown.candidates]
    assert names == ["c0", "c7", *(f"c{number}" for number in range(60 - MOST_CANDIDATES + 2, 60))]
    assert choose_shown(COMPARISON, NO_RUNS) == (COMPARISON, NO_RUNS)

"""The ladder: what the comparison found and what each run reached by itself, and nothing else."""

import random
from pathlib import Path

import pytest
from tests.builders import comparison, difference, group, interval, made_candidate, result, selected
from tests.charts.contents import Render, marks, options, rows, texts

from ratchet.charts.comparison_charts import (
    BELOW,
    COSTS,
    MOST,
    differences,
    group_differences,
    ladder,
    quality_and_cost,
)
from ratchet.comparison.results import Interval, SplitRead

RIGHT, WRONG = {"a": ("audio", "audio"), "b": ("vision", "vision")}, {"a": ("audio", "audio"), "b": ("vision", "")}
FOUND = comparison(result("rule", 0.5, runs=["1", "2"]), result("cnn", 0.75, runs=["3"]), result("big", 0.625))
NOTHING = selected()
CNN = result("cnn", baseline=difference("rule", 0.25, "better"), predecessor=difference("rule", 0.25, "better"))
BIG = result(
    "big",
    baseline=difference("rule", 0.2, "better"),
    predecessor=difference("cnn", -0.05, "worse"),
    best_simpler=difference("cnn", -0.4, "worse"),
)
FOUND_OF_DIFFERENCES = comparison(result("rule"), CNN, BIG)
GROUPS = [group("audio", 0.1), group("graphs", -0.3), group("terse", 0.2, "slice"), group("vision", 0.25)]
FOUND_OF_GROUPS = comparison(result("rule"), result("cnn", groups=GROUPS))
ALL = {"fit_seconds": 2.0, "latency_ms_p95": 0.5, "items_per_second": 900.0, "peak_memory_mb": 64.0, "size_mb": 8.0}
CHEAP = {**ALL, "fit_seconds": 0.001, "latency_ms_p50": 0.25}
FOUND_OF_COSTS = comparison(result("rule", 0.5, costs=CHEAP), result("cnn", 0.75, costs=ALL))


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
    figures = [run.read_metrics()["test/f1_weighted"] for run in rule.runs]
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
    figures = candidate.runs[0].read_metrics() | {"val/precision_macro": 0.125}
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


def test_every_difference_is_that_of_the_comparison() -> None:
    found = rows(differences(FOUND_OF_DIFFERENCES), "point")
    assert {(row["name"], row["against"]): (row["compared with"], row["value"], row["verdict"]) for row in found} == {
        ("cnn", BELOW): ("rule", 0.25, "better"),
        ("cnn", "rule"): ("rule", 0.25, "better"),
        ("big", BELOW): ("cnn", -0.05, "worse"),
        ("big", "rule"): ("rule", 0.2, "better"),
    }
    assert len(found) == 4
    for row in found:
        assert (row["low"], row["high"]) == (row["value"] - 0.05, row["value"] + 0.06)


def test_the_picture_is_of_the_differences_to_the_baseline(render: Render) -> None:
    chart = differences(FOUND_OF_DIFFERENCES)
    assert options(chart) == {"against": [BELOW, "rule", "!rule"]}
    found = marks(render(chart), "point")
    assert [(each["name"], float(each["value"]), each["verdict"]) for each in found] == [
        ("cnn", 0.25, "better"),
        ("big", 0.2, "better"),
    ]


def test_a_choice_shows_the_rung_below(render: Render) -> None:
    found = marks(render(differences(FOUND_OF_DIFFERENCES), against=BELOW), "point")
    assert [(each["compared with"], float(each["value"])) for each in found] == [("rule", 0.25), ("cnn", -0.05)]


def test_the_line_of_no_difference_is_there_whatever_is_found(render: Render) -> None:
    chart = differences(comparison(result("rule"), result("cnn", baseline=difference("rule", 0.5))))
    assert rows(chart, "rule", 0) == [{"value": 0}]
    svg = render(chart)
    assert len(marks(svg, "rule mark")) == 2, "the line and a whisker"
    assert "difference in weighted F1, 95 % interval" in texts(svg)


def test_a_baseline_that_is_not_the_simplest_is_compared_with_what_is_below_it() -> None:
    rule = result("rule", baseline=difference("cnn", -0.25, "worse"))
    found = comparison(rule, result("cnn"), baseline="cnn")
    chart = differences(found)
    assert [(row["name"], row["against"]) for row in rows(chart, "point")] == [("rule", "cnn")]
    assert options(chart) == {"against": ["cnn", "!cnn"]}, "only the cnn has a simpler model to compare with"


def test_the_baseline_alone_is_no_picture() -> None:
    assert differences(comparison(result("rule"))) is None


def test_a_row_is_the_difference_of_the_comparison() -> None:
    told = group("audio", 0.1, difference=Interval(0.1, -0.07, 0.3), verdict="better", positives=12)
    found = comparison(result("rule"), result("cnn", groups=[told]))
    assert rows(group_differences(found, "label"), "point") == [
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


def test_labels_and_slices_are_apart() -> None:
    assert {row["name"] for row in rows(group_differences(FOUND_OF_GROUPS, "label"), "point")} == {
        "audio",
        "graphs",
        "vision",
    }
    assert [row["name"] for row in rows(group_differences(FOUND_OF_GROUPS, "slice"), "point")] == ["terse"]


def test_the_picture_goes_from_gained_to_lost(render: Render) -> None:
    svg = render(group_differences(FOUND_OF_GROUPS, "label"))
    assert [each["name"] for each in marks(svg, "point")] == ["graphs", "vision", "audio"], "the largest first"
    assert [each for each in texts(svg) if each in ("audio", "graphs", "vision")] == ["vision", "audio", "graphs"]
    assert "difference in F1 to rule, 95 % interval" in texts(svg)
    assert "difference in weighted F1 to rule, 95 % interval" in texts(
        render(group_differences(FOUND_OF_GROUPS, "slice"))
    )


def test_of_many_the_largest_on_either_side_are_drawn(render: Render) -> None:
    values = [(-1) ** number * number / 200 for number in range(MOST + 25)]
    random.Random(0).shuffle(values)
    many = [group(f"label {value}", value) for value in values]
    found = comparison(result("rule"), result("cnn", groups=many), result("big", groups=many[:5]))
    chart = group_differences(found, "label")
    drawn = [row["value"] for row in rows(chart, "point") if row["model"] == "cnn"]
    assert drawn == sorted(values, key=abs, reverse=True)[:MOST]
    assert min(drawn) < 0 < max(drawn)
    assert len([row for row in rows(chart, "point") if row["model"] == "big"]) == 5, "each has as many of its own"
    assert {each["model"] for each in marks(render(chart), "point")} == {"big"}


def test_one_candidate_is_shown_at_a_time(render: Render) -> None:
    found = comparison(result("rule"), result("cnn", groups=GROUPS), result("big", groups=[group("audio", 0.5)]))
    chart = group_differences(found, "label")
    assert options(chart) == {"model": ["cnn", "big", "!big"]}
    [shown] = marks(render(chart), "point")
    assert float(shown["value"]) == 0.5


def test_who_has_no_such_groups_cannot_be_chosen(render: Render) -> None:
    found = comparison(result("rule"), result("cnn", groups=GROUPS), result("big", groups=GROUPS[:2]))
    chart = group_differences(found, "slice")
    assert options(chart) == {"model": ["cnn", "!cnn"]}
    assert len(marks(render(chart), "point")) == 1


@pytest.mark.parametrize("kind", ["label", "slice"])
def test_nothing_to_compare_is_no_picture(kind: str) -> None:
    assert group_differences(comparison(result("rule"), result("cnn")), kind) is None
    assert group_differences(comparison(result("rule", groups=[])), kind) is None


def amounts(rows: list[dict[str, object]]) -> dict[tuple[object, object], object]:
    return {(row["model"], row["cost"]): row["amount"] for row in rows}


def test_every_cost_stands_against_the_metric() -> None:
    found = rows(quality_and_cost(FOUND_OF_COSTS), "point")
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
    assert ("rule", "size (MB)") not in left
    assert left["cnn", "size (MB)"] == 8
    assert len(left) == 9
    assert len(marks(render(chart), "point")) == 2


def test_a_cost_that_nobody_has_cannot_be_chosen(render: Render) -> None:
    costs = {**ALL, "fit_seconds": None, "peak_memory_mb": 0.0}
    chart = quality_and_cost(comparison(result("rule", costs=costs), result("cnn", costs=costs)))
    titles = ["latency p95 (ms)", "texts/s", "size (MB)"]
    assert options(chart) == {"cost": [*titles, f"!{titles[0]}"]}
    svg = render(chart)
    assert [float(each["amount"]) for each in marks(svg, "point")] == [0.5, 0.5]
    assert "weighted F1 over latency p95 (ms)" in texts(svg)


def test_nothing_measured_is_no_picture() -> None:
    for costs in ({}, dict.fromkeys(COSTS), {"latency_ms_p50": 1.0}):
        assert quality_and_cost(comparison(result("rule", costs=costs))) is None


def test_the_scale_is_logarithmic(render: Render) -> None:
    chart = quality_and_cost(FOUND_OF_COSTS)
    assert chart is not None
    assert {each["encoding"]["x"]["scale"]["type"] for each in chart.to_dict()["layer"]} == {"log"}
    assert [float(each["cost, on a logarithmic scale"]) for each in marks(render(chart), "point")] == [0.001, 2]


def test_budgets_are_in_the_units_of_the_costs(render: Render) -> None:
    chart = quality_and_cost(FOUND_OF_COSTS, {"latency_ms_p95": 50, "size_mb": 500.5, "fit_minutes": 1.5})
    assert {(row["cost"], row["amount"], row["budget"]) for row in rows(chart, "rule", 0)} == {
        ("latency p95 (ms)", 50, "at most 50"),
        ("size (MB)", 500.5, "at most 500.5"),
        ("fit (s)", 90, "at most 90"),
    }
    limit, *whiskers = marks(render(chart), "rule mark")
    assert limit["budget"] == "at most 90", "of the cost that is shown"
    assert len(whiskers) == 2


@pytest.mark.parametrize("budgets", [None, {}, {"latency_ms_p95": None, "size_mb": None, "fit_minutes": None}])
def test_without_budgets_there_are_no_limits(budgets: dict[str, float | None] | None, render: Render) -> None:
    chart = quality_and_cost(FOUND_OF_COSTS, budgets)
    assert rows(chart, "rule", 0) == []
    assert len(marks(render(chart), "rule mark")) == 2, "the whiskers"

"""Tests for the tables of a comparison: cell contents, and missing values sorted to one end."""

import dataclasses
import math

import pytest
from tests.builders import comparison, difference, group, result
from tests.reporting.conftest import cells
from tests.reporting.conftest import tables as tables_in

from ratchet.objective.criteria import Criterion
from ratchet.objective.gate import Decision, Judgement, Verdict
from ratchet.objective.review import Alternative, Review
from ratchet.reporting import comparison_tables as tables
from ratchet.reporting import verdict_tables
from ratchet.reporting.blocks import Cell, Section, Table
from ratchet.reporting.findings import Findings

COSTS = {"fit_seconds": 2.0, "latency_ms_p50": 0.2, "latency_ms_p95": 0.5, "items_per_second": 900.0}
COSTS |= {"peak_memory_mb": 64.0, "size_mb": 8.0}
BETTER = difference("rule", 0.25, "better", p=0.002, p_adjusted=0.004, in_words="better than rule")
WORSE = difference("cnn", -0.05, "worse", p=0.0001, p_adjusted=None, in_words="worse than cnn")
RULE = result("rule", 0.5, costs={**COSTS, "fit_seconds": 0.001}, runs=["1", "2", "3"])
CNN = result("cnn", 0.75, costs=COSTS, baseline=BETTER, predecessor=BETTER, runs=["4"])
BIG = result(
    "big",
    0.625,
    costs={**COSTS, "fit_seconds": 500.0, "latency_ms_p95": None, "size_mb": 0.001},
    baseline=difference("rule", 0.125, p=0.5, p_adjusted=0.5),
    predecessor=WORSE,
    promoted="gate: ships",
)
COMPARISON = comparison(RULE, CNN, BIG)


def make_judgement(name: str, state: str, ships: bool = False, clauses: list[Criterion] | None = None) -> Judgement:
    return Judgement(name, name, 0, f"hash of {name}", [], 0.5, state, ships, "why", clauses or [])


def make_verdict(*judgements: Judgement) -> Verdict:
    """Return a verdict with only the part that tables read."""
    decision = Decision("ships", "cnn", "why", list(judgements))
    empty = dict.fromkeys(field.name for field in dataclasses.fields(Verdict))
    return Verdict(**{**empty, "decision": decision})


VERDICT = make_verdict(
    make_judgement("rule", "fail"), make_judgement("cnn", "pass", ships=True), make_judgement("big", "pass")
)


def read_column(table: Table, title: str) -> list[Cell]:
    index = [column.title for column in table.columns].index(title)
    return [row[index] for row in table.rows]


def test_leaderboard_has_one_row_per_candidate() -> None:
    table = verdict_tables.judged_leaderboard(COMPARISON, VERDICT)
    assert [column.title for column in table.columns] == [
        *("model", "runs", "weighted F1", "against rule", "p", "verdict", "gate", "fit (s)", "p95 (ms)", "size (MB)")
    ]
    assert cells(table) == [
        ["rule", "3", "0.500 [0.400, 0.600]", "-", "-", "the baseline", "fail", "<0.01", "0.50", "8.00"],
        [
            *("cnn", "1", "0.750 [0.650, 0.850]", "+0.250 [+0.200, +0.310]", "0.004", "better", "ships"),
            *("2.00", "0.50", "8.00"),
        ],
        [
            *("big", "1", "0.625 [0.525, 0.725]", "+0.125 [+0.075, +0.185]", "0.500", "not distinguishable"),
            *("passes, promoted gate: ships", "500", "-", "<0.01"),
        ],
    ]


def test_leaderboard_is_sorted_by_values() -> None:
    table = verdict_tables.judged_leaderboard(COMPARISON, VERDICT)
    assert [cell.order for cell in read_column(table, "weighted F1")] == [0.5, 0.75, 0.625]
    assert [cell.order for cell in read_column(table, "against rule")] == [-math.inf, 0.25, 0.125]
    assert [cell.order for cell in read_column(table, "p")] == [math.inf, 0.004, 0.5]
    assert [cell.order for cell in read_column(table, "fit (s)")] == [0.001, 2, 500]
    assert [cell.order for cell in read_column(table, "p95 (ms)")] == [0.5, 0.5, -math.inf]


def test_tones_mark_good_and_bad() -> None:
    unclear = make_verdict(make_judgement("rule", "too little evidence"), *VERDICT.decision.judgements[1:])
    table = verdict_tables.judged_leaderboard(COMPARISON, unclear)
    assert [cell.tone for cell in read_column(table, "verdict")] == ["", "good", "even"]
    assert [(cell.text.partition(",")[0], cell.tone) for cell in read_column(table, "gate")] == [
        ("too little evidence", "even"),
        ("ships", "good"),
        ("passes", "good"),
    ]
    steps = tables.steps(COMPARISON)
    assert steps is not None
    assert read_column(steps, "verdict") == [Cell("better", tone="good"), Cell("worse", tone="bad")]


def test_unadjusted_p_value_is_shown() -> None:
    big = dataclasses.replace(BIG, baseline=dataclasses.replace(BETTER, p_adjusted=None))
    assert [
        cell.text for cell in read_column(verdict_tables.judged_leaderboard(comparison(RULE, big), VERDICT), "p")
    ] == [
        "-",
        "0.002",
    ]


def test_leaderboard_uses_metric_of_comparison() -> None:
    table = verdict_tables.judged_leaderboard(comparison(RULE, CNN, BIG, metric="precision_macro"), VERDICT)
    assert [cell.order for cell in read_column(table, "macro precision")] == [0.25, 0.375, 0.3125]


def test_step_shows_difference_and_cost_ratios() -> None:
    table = tables.steps(COMPARISON)
    assert table is not None
    assert cells(table) == [
        ["rule → cnn", "+0.250 [+0.200, +0.310]", "0.004", "better", "2,000", "1.00", "1.00"],
        ["cnn → big", "-0.050 [-0.100, +0.010]", "<.001", "worse", "250", "-", "<0.01"],
    ]
    assert [cell.order for cell in read_column(table, "difference")] == [0.25, -0.05]


def test_step_from_best_simpler_model_has_a_row() -> None:
    top = result("top", costs=COSTS, predecessor=difference("big", 0.1), best_simpler=difference("cnn", -0.2))
    table = tables.steps(comparison(RULE, CNN, BIG, top))
    assert table is not None
    assert [cell.text for cell in read_column(table, "step")] == ["rule → cnn", "cnn → big", "big → top", "cnn → top"]


@pytest.mark.parametrize("below", [0.0, None])
def test_ratio_to_zero_or_missing_cost_is_dash(below: float | None) -> None:
    table = tables.steps(comparison(result("rule", costs={**COSTS, "size_mb": below}), CNN))
    assert table is not None
    assert [cell.text for cell in read_column(table, "size ×")] == ["-"]


def test_baseline_alone_has_no_steps() -> None:
    assert tables.steps(comparison(RULE)) is None


def test_other_metrics_omit_deciding_metric() -> None:
    cnn = result("cnn", 0.5, average_precision_macro=0.875, behaviour={"score": 0.9, "minimum": 1.0})
    table = tables.other_metrics(comparison(RULE, cnn))
    assert [column.title for column in table.columns] == [
        *("model", "macro precision", "macro average precision", "behaviour")
    ]
    assert cells(table) == [["rule", "0.250", "-", "-"], ["cnn", "0.250", "0.875", "0.900"]]


def test_uncertainty_is_split_by_source() -> None:
    cnn = result("cnn", spread_between_splits=0.02, spread_between_seeds=0.003, baseline=BETTER)
    assert cells(tables.uncertainty(comparison(RULE, cnn))) == [
        ["rule", "-", "-", "-", "-", "-"],
        ["cnn", "0.020", "0.003", "0.010", "0.015", "0.070"],
    ]


def test_costs_are_medians_of_comparison() -> None:
    table = tables.costs(COMPARISON)
    assert [column.title for column in table.columns[1:]] == [
        *("fit (s)", "latency p50 (ms)", "latency p95 (ms)", "texts/s", "peak memory (MB)", "size (MB)")
    ]
    assert cells(table)[1:] == [
        ["cnn", "2.00", "0.20", "0.50", "900", "64.0", "8.00"],
        ["big", "500", "0.20", "-", "900", "64.0", "<0.01"],
    ]
    assert [[cell.order for cell in row[1:]] for row in table.rows] == [
        [-math.inf if candidate.costs[name] is None else candidate.costs[name] for name in COSTS]
        for candidate in COMPARISON.candidates
    ]


def test_groups_of_all_candidates_share_one_table_per_kind() -> None:
    audio = {"value": 0.75, "baseline": 0.5, "positives": 1234, "p_adjusted": 0.0004, "verdict": "better"}
    cnn = result("cnn", groups=[group("audio", 0.25, **audio), group("terse", -0.1, "slice", verdict="worse")])
    results = comparison(RULE, cnn, result("big", groups=[group("audio", 0.0)]))
    labels, slices = tables.groups(results, "label"), tables.groups(results, "slice")
    assert labels is not None
    assert slices is not None
    assert cells(labels) == [
        ["cnn", "audio", "1,234", "0.750", "0.500", "+0.250 [+0.150, +0.350]", "<.001", "better"],
        ["big", "audio", "20", "0.700", "0.700", "+0.000 [-0.100, +0.100]", "0.300", "not distinguishable"],
    ]
    assert [cell.tone for cell in read_column(labels, "verdict")] == ["good", "even"]
    assert [cell.order for cell in read_column(labels, "positives")] == [1234, 20]
    assert [row[:2] for row in cells(slices)] == [["cnn", "terse"]]
    assert slices.columns[3].title == "weighted F1"
    assert tables.groups(comparison(RULE, CNN), "label") is None


def test_table_lists_all_groups() -> None:
    groups = [group(f"label {number}", number / 200) for number in range(100)]
    table = tables.groups(comparison(RULE, result("cnn", groups=groups)), "label")
    assert table is not None
    assert [cell.text for cell in read_column(table, "label")] == [member.name for member in groups]


def test_criteria_table_has_one_row_per_criterion() -> None:
    criteria = [Criterion("floor", "fail", "0.5", "0.1 more"), Criterion("repeats", "pass", "3", None)]
    criteria.append(Criterion("records", "too little evidence", "30", "170 more"))
    table = verdict_tables.criteria(make_judgement("cnn", "fail", clauses=criteria))
    assert table.title == "cnn does not ship: why"
    assert cells(table) == [
        ["floor", "fail", "0.5", "0.1 more"],
        ["repeats", "pass", "3", "-"],
        ["records", "too little evidence", "30", "170 more"],
    ]
    assert [cell.tone for cell in read_column(table, "state")] == ["bad", "good", "even"]


def test_alternatives_that_differ_are_marked() -> None:
    alternatives = [Alternative("margin", "0.01", "ships", "cnn"), Alternative("floor", "none", "ships", "rule")]
    alternatives.append(Alternative("floor", "0.9", "nothing ships", None))
    table = verdict_tables.alternatives(Review(Alternative("in force", "", "ships", "cnn"), alternatives))
    assert cells(table) == [
        ["margin", "0.01", "cnn ships", "same"],
        ["floor", "none", "rule ships", "differs"],
        ["floor", "0.9", "nothing ships", "differs"],
    ]


# --- real runs --------------------------------------------------------------------------------------------------------


def test_leaderboard_matches_real_comparison(found: Findings) -> None:
    table = verdict_tables.judged_leaderboard(found.comparison, found.verdict)
    for candidate, row in zip(found.comparison.candidates, table.rows, strict=True):
        metric = candidate.metrics["f1_weighted"]
        assert row[2] == Cell(f"{metric.value:.3f} [{metric.low:.3f}, {metric.high:.3f}]", metric.value)
        assert row[7].order == candidate.costs["fit_seconds"]
        assert row[6].text == found.verdict.decision.of(candidate.name).state.replace("pass", "ships")


def test_all_cells_of_numeric_columns_have_sort_keys(sections: list[Section]) -> None:
    """A cell without an order would be sorted by its text, and so would its column."""
    seen = 0
    for table in tables_in(sections):
        for index, column in enumerate(table.columns):
            orders = [row[index].order for row in table.rows]
            assert all(order is not None for order in orders) if column.numeric else set(orders) == {None}, table.title
            assert not any(math.isnan(order) for order in orders if order is not None)
            seen += column.numeric
    assert seen > 20


def test_rows_have_one_cell_per_column(sections: list[Section]) -> None:
    for table in tables_in(sections):
        assert table.rows, table.title
        assert {len(row) for row in table.rows} == {len(table.columns)}, table.title


def test_groups_of_many_labels_show_the_lowest_p_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_GROUPS", 3)
    groups = [group(f"label {number}", 0.1, p_adjusted=1 - number / 100) for number in range(8)]
    table = tables.groups(comparison(RULE, result("cnn", groups=groups)), "label")
    assert table is not None
    assert [row[1].text for row in table.rows] == ["label 7", "label 6", "label 5"]
    assert table.title == "Labels against rule, the 3 with the lowest p of 8"


def test_criteria_table_counts_most_of_many_rivals() -> None:
    rivals = [Criterion(f"no more than 0.03 below c{number}", "fail", "-0.1", "0.07 more") for number in range(199)]
    rivals[150] = Criterion("no more than 0.03 below c150", "pass", "+0.1")
    table = verdict_tables.criteria(make_judgement("cnn", "fail", clauses=[Criterion("repeats", "pass", "3"), *rivals]))
    names = [row[0].text for row in table.rows]
    assert names[:2] == ["repeats", "no more than 0.03 below c0"]
    assert names[-2:] == ["no more than 0.03 below c150", "178 more rivals"], "each state is counted on its own"
    assert len(names) == 1 + 20 + 1 + 1

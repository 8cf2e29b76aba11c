"""Tests for comparing and judging through the public API, for frames and charts."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import altair as alt
import pytest

from ratchet import Comparison, UserError, compare, load_run, train
from ratchet.charts import comparison_charts, run_charts
from ratchet.comparison.compare import compare_selected
from ratchet.config import compose_objective, plain
from ratchet.objective.gate import gather_and_judge
from ratchet.runs.selection import Selection, select

RESAMPLES = 100


@pytest.fixture
def selection(root: Path) -> Selection:
    return select(root / "runs")


@pytest.fixture
def comparison(root: Path) -> Comparison:
    """Return the comparison of rule and regression on three splits, made in a subdirectory of the project."""
    return compare(resamples=RESAMPLES)


@pytest.fixture
def renderers() -> Iterator[None]:
    """Restore what altair shows in notebooks, which is a setting of the process."""
    renderer, theme = alt.renderers.active, alt.theme.active
    alt.renderers.enable("default")
    yield
    alt.renderers.enable(renderer)
    alt.theme.enable(theme)


# --- selection --------------------------------------------------------------------------------------------------------


def test_comparison_is_that_of_the_command(root: Path, comparison: Comparison, selection: Selection) -> None:
    options: dict[str, Any] = {"metric": "f1_weighted", "baseline": "rule", "resamples": RESAMPLES}
    _, expected = compare_selected(selection, runs_dir=root / "runs", promotions_dir=root / "promotions", **options)
    assert comparison.result == expected
    assert [run.path for run in comparison.runs] == [run.path for run in selection.runs]


@pytest.mark.parametrize("name", ["regression", " regression, ", ["regression"]])
def test_names_are_a_list_or_separated_by_commas(root: Path, name: Any) -> None:
    result = compare("sample", name=name, baseline="regression", resamples=RESAMPLES).result
    assert [candidate.name for candidate in result.candidates] == ["regression"]
    assert result.left_out == ["not named: rule"]


def test_runs_are_named_by_id_or_given(root: Path, selection: Selection) -> None:
    chosen = [candidate.runs[0] for candidate in selection.candidates]
    ids = [run.record.id for run in chosen]
    for runs in (ids, ",".join(ids), [load_run(ids[0]), ids[1]]):
        comparison = compare(runs=runs, resamples=RESAMPLES)
        assert [run.id for run in comparison.runs] == ids


def test_val_runs_are_compared_on_val(root: Path) -> None:
    run = train("model=rule", "evaluate=val", "evaluation.resamples=100")
    result = compare(runs=[run], part="val", resamples=RESAMPLES).result
    assert (result.part, result.candidates[0].runs) == ("val", [run.id])


def test_objective_sets_metric_and_criteria(root: Path) -> None:
    settings = compose_objective(["objective=strict"]).settings
    verdict = compare(objective="strict", resamples=RESAMPLES).verdict().result
    assert verdict.settings == plain(settings)
    assert verdict.objective.name == "strict"


def test_all_configurations_of_a_name_are_compared(root: Path) -> None:
    train("model=rule", "model.stemming=false", "evaluation.resamples=100")
    assert len(compare(name="rule", resamples=RESAMPLES).result.candidates) == 1
    names = [candidate.name for candidate in select(root / "runs", names=["rule"], every=True).candidates]
    result = compare(name="rule", all=True, baseline=names[0], resamples=RESAMPLES).result
    assert [candidate.name for candidate in result.candidates] == names
    assert len(names) == 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"data": "sampel"}, "'sample'"),
        ({"name": "regresion"}, "'regression'"),
        ({"baseline": "rul"}, "'rule'"),
        ({"objective": "strickt"}, "'strict'"),
        ({"resamples": 99}, "resamples=99"),
        ({"runs": "nothing"}, "'nothing'"),
        ({"runs_dir": "nowhere"}, "nowhere"),
        ({"config_dir": "nowhere"}, "nowhere"),
        ({"project": "nowhere"}, "project="),
    ],
)
def test_wrong_argument_is_reported_with_its_value(root: Path, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        compare(**{"resamples": RESAMPLES, **arguments})


def test_runs_and_objectives_of_another_project(root: Path, other_root: Path) -> None:
    (root / "runs").rename(other_root / "runs")
    (other_root / "conf/objective").mkdir()
    (other_root / "conf/objective/lenient.yaml").write_text("defaults: [base_objective, _self_]\nmargin: 0.5\n")
    comparison = compare(objective="lenient", resamples=RESAMPLES, project=other_root)
    assert comparison.verdict().result.settings["margin"] == 0.5
    assert all(run.project.root == other_root for run in comparison.runs)
    changed = [alternative.part for alternative in comparison.review().alternatives]
    assert "objective strict" in changed


# --- frames and tables ------------------------------------------------------------------------------------------------


def test_frame_has_a_row_for_each_candidate(comparison: Comparison) -> None:
    rule, regression = comparison.to_polars().rows(named=True)
    of_rule, of_regression = comparison.result.candidates
    metric = of_regression.metrics["f1_weighted"]
    against = of_regression.baseline
    assert against is not None
    assert (rule["name"], rule["difference"], rule["p"], rule["verdict"]) == ("rule", None, None, None)
    assert [regression[key] for key in ("value", "low", "high")] == [metric.value, metric.low, metric.high]
    assert [regression[key] for key in ("difference", "difference_low", "difference_high", "p", "verdict")] == [
        *(against.value, against.low, against.high),
        *(against.p_adjusted, against.verdict),
    ]
    assert rule["runs"] == 3
    assert {key: rule[key] for key in of_rule.costs} == of_rule.costs


def test_comparison_is_shown_with_the_tables_of_the_command(comparison: Comparison) -> None:
    html = comparison._repr_html_()
    for text in (html, str(comparison)):
        assert "Costs, medians over runs" in text
        assert f"{comparison.result.candidates[1].metrics['f1_weighted'].value:.3f} [" in text
    assert "▲ better" in html
    assert repr(comparison) == "<Comparison on sample, test, f1_weighted: rule, regression>"


def test_verdict_is_that_of_the_command(comparison: Comparison, selection: Selection) -> None:
    verdict = comparison.verdict()
    assert verdict.result == gather_and_judge(selection, compose_objective([]), resamples=RESAMPLES)
    assert (verdict.outcome, verdict.ships) == ("ships", "regression")
    for text in (repr(verdict), str(verdict), verdict._repr_html_()):
        assert f"sample: regression ships: {verdict.why}" in text


def test_frame_of_a_verdict_has_a_row_for_each_criterion(comparison: Comparison) -> None:
    verdict = comparison.verdict()
    frame = verdict.to_polars()
    judgements = verdict.result.decision.judgements
    assert frame["criterion"].to_list() == [clause.name for judgement in judgements for clause in judgement.clauses]
    assert set(frame.filter(ships=True).select("name", "state").rows()) == {("regression", "pass")}
    assert "fail" in frame.filter(name="rule")["state"]


def test_pandas_frames_have_the_columns_of_polars(comparison: Comparison) -> None:
    verdict = comparison.verdict()
    assert list(comparison.to_pandas().columns) == comparison.to_polars().columns
    assert list(verdict.to_pandas().columns) == verdict.to_polars().columns


# --- charts -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("renderers")
def test_charts_are_those_of_the_report(comparison: Comparison, selection: Selection) -> None:
    result = comparison.result
    budgets = plain(compose_objective([]).settings)["budgets"]
    expected = {
        "ladder": comparison_charts.ladder(result, selection),
        "differences": comparison_charts.differences(result),
        "group_differences": comparison_charts.group_differences(result, "label"),
        "quality_and_cost": comparison_charts.quality_and_cost(result, budgets),
        "confusions": run_charts.confusions(selection),
        "threshold_curves": run_charts.threshold_curves(selection, "f1_weighted"),
        "calibration": run_charts.calibration(selection),
    }
    for name, chart in expected.items():
        assert chart is not None
        assert getattr(comparison, name)().to_json() == chart.to_json(), name
    assert comparison.learning_curves() is None
    slices = comparison.group_differences("slice")
    assert slices is not None
    assert "label_not_named" in slices.to_json()


@pytest.mark.usefixtures("renderers")
def test_charts_are_pictures_unless_the_user_chose_another_renderer(comparison: Comparison) -> None:
    alt.renderers.enable("html")
    comparison.ladder()
    assert alt.renderers.active == "html"
    alt.renderers.enable("default")
    comparison.ladder()
    assert alt.renderers.active == "ratchet"


def test_missing_altair_is_reported_with_its_extra(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(UserError, match=r"altair.*\[report\]"):
        comparison.ladder()
    assert comparison.to_polars().height == 2

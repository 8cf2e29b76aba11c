"""The threshold curve: what scikit-learn finds at each threshold, and what the runs found at their own."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score
from tests.charts.conftest import Render, made_candidate, marks, options, rows, selected, targets, texts

from ratchet.charts.thresholds import GRID, threshold_curves
from ratchet.runs.predictions import Predictions, read_predictions
from ratchet.runs.selection import select

AVERAGES = ("weighted", "macro", "micro", "samples")
MEASURES = {"F1": f1_score, "precision": precision_score, "recall": recall_score}
SCORES = np.array([[0.9, 0.2, 0.4], [0.7, 0.5, 0.1], [0.3, 0.8, 0.6]], dtype=np.float32)
SCORED = Predictions(["a", "b", "c"], targets([1, 0, 0], [1, 1, 0], [0, 0, 1]), SCORES, [[], [], []])
EXACT = Predictions(["a", "b", "c"], SCORED.targets, np.round(SCORES), [[], [], []])


@pytest.mark.parametrize("average", AVERAGES)
def test_the_curve_is_what_scikit_learn_finds_on_val(average: str, trained: Path) -> None:
    selection = select(trained)
    runs = [run for run in selection.runs if run.record.name == "regression"]
    read = [read_predictions(run.path / "predictions" / "val.parquet") for run in runs]
    curve = rows(threshold_curves(selection, f"f1_{average}"), "line")
    assert len(curve) == 3 * len(GRID)
    assert {row["model"] for row in curve} == {"regression"}, "rules score 0 and 1"
    for row in curve[::5]:
        measure = MEASURES[row["show"].removeprefix(f"{average} ")]
        decided = [found.scores.astype(float) >= row["threshold"] for found in read]
        values = [
            measure(found.targets, decisions, average=average, zero_division=0)
            for found, decisions in zip(read, decided, strict=True)
        ]
        assert row["value"] == pytest.approx(np.mean(values), abs=1e-4), row


@pytest.mark.parametrize("average", AVERAGES)
def test_a_mark_is_what_its_run_reached_on_val(average: str, trained: Path) -> None:
    selection = select(trained)
    runs = [run for run in selection.runs if run.record.name == "regression"]
    chosen = rows(threshold_curves(selection, f"f1_{average}"), "point")
    for title, key in (("F1", "f1"), ("precision", "precision"), ("recall", "recall")):
        found = [(row["threshold"], row["value"]) for row in chosen if row["show"] == f"{average} {title}"]
        assert found == [
            (
                pytest.approx(next(iter(run.read_json("thresholds.json")["values"].values())), abs=1e-4),
                pytest.approx(run.figures()[f"val/{key}_{average}"], abs=1e-4),
            )
            for run in runs
        ]


def test_one_measure_is_shown_and_the_others_can_be_chosen(tmp_path: Path, render: Render) -> None:
    chart = threshold_curves(selected(made_candidate(tmp_path, "cnn", SCORED, SCORED)), "f1_macro")
    assert options(chart) == {"show": ["macro F1", "macro precision", "macro recall", "!macro F1"]}
    svg = render(chart)
    assert len(marks(svg, "line mark")) == 1
    assert len(marks(svg, "point")) == 2
    assert "macro F1 on val" in texts(svg)
    assert "macro recall on val" in texts(render(chart, show="macro recall"))


def test_val_is_read_and_never_test(tmp_path: Path) -> None:
    scored = made_candidate(tmp_path, "cnn", EXACT, val=SCORED)
    assert len(rows(threshold_curves(selected(scored), "f1_micro"), "line")) == 3 * len(GRID)
    assert threshold_curves(selected(made_candidate(tmp_path, "cnn", SCORED, val=EXACT)), "f1_micro") is None


@pytest.mark.parametrize("score", [0.7, 0.9, 0.1])
def test_a_score_on_the_grid_is_decided_as_runs_decide_it(score: float, tmp_path: Path) -> None:
    """Scores have half the digits of thresholds: .7 as a score is less than .7 as a threshold, .1 is more."""
    scores = np.full((3, 3), score, dtype=np.float32)
    scores[2] = 0.01
    found = Predictions(["a", "b", "c"], targets([1, 1, 1], [1, 1, 1], [0, 0, 0]), scores, [[], [], []])
    chart = threshold_curves(selected(made_candidate(tmp_path, "cnn", found, thresholds=score)), "f1_micro")
    [chosen] = [row for row in rows(chart, "point") if row["show"] == "micro F1"]
    [drawn] = [row for row in rows(chart, "line") if row["show"] == "micro F1" and row["threshold"] == score]
    assert drawn == chosen
    assert chosen["value"] == (1 if score == 0.1 else 0)


def test_thresholds_that_differ_by_label_are_no_mark_but_have_a_curve(tmp_path: Path, render: Render) -> None:
    chart = threshold_curves(
        selected(made_candidate(tmp_path, "cnn", SCORED, thresholds=[0.5, 0.5, 0.4])), "f1_weighted"
    )
    assert len(rows(chart, "line")) == 3 * len(GRID)
    assert rows(chart, "point") == []
    assert marks(render(chart), "point") == []


def test_where_no_threshold_decides_there_is_no_picture(tmp_path: Path) -> None:
    exact = made_candidate(tmp_path, "rule", EXACT)
    argmax = made_candidate(tmp_path, "cnn", SCORED, thresholds=None)
    assert threshold_curves(selected(exact), "f1_weighted") is None
    assert threshold_curves(selected(exact, argmax), "f1_weighted") is None
    by_threshold = made_candidate(tmp_path, "big", SCORED)
    chart = threshold_curves(selected(exact, argmax, by_threshold), "f1_weighted")
    assert {row["model"] for row in [*rows(chart, "line"), *rows(chart, "point")]} == {"big"}


def test_the_grid_is_within_0_and_1() -> None:
    assert GRID.tolist() == sorted(set(GRID.tolist()))
    assert (GRID[0], GRID[-1]) == (0.02, 0.98)


def test_the_metric_of_the_objective_is_the_one_that_is_shown_first(tmp_path: Path) -> None:
    selection = selected(made_candidate(tmp_path, "cnn", SCORED))
    for metric, shown in (("precision_macro", "macro precision"), ("f1_micro", "micro F1")):
        chart = threshold_curves(selection, metric)
        assert chart is not None
        [show] = chart.to_dict()["params"]
        assert (show["name"], show["value"]) == ("show", shown)

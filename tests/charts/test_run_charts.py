"""Tests for the charts of runs: learning, threshold and calibration curves, and confusions."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score
from tests.builders import made_candidate, predictions, selected, targets
from tests.charts.contents import Render, marks, options, rows, texts

from ratchet.charts.run_charts import (
    GRID,
    MOST,
    calibration,
    confused,
    confusions,
    learning_curves,
    learning_rows,
    threshold_curves,
)
from ratchet.runs.predictions import Predictions, read_predictions
from ratchet.runs.selection import Candidate, select

JUDGED = {"a": ("audio", "audio")}
HISTORY = [
    (0, "train/loss", 0.75),
    (0, "val/loss", 0.8),
    (0, "val/f1_weighted", 0.25),
    (0, "learning_rate", 0.001),
    (1, "train/loss", 0.5),
    (1, "val/loss", 0.625),
    (1, "val/f1_weighted", 0.500004),
    (1, "learning_rate", 0.0001),
]
EMPTY = {"count": 0, "mean_score": None, "share_positive": None}
AVERAGES = ("weighted", "macro", "micro", "samples")
MEASURES = {"F1": f1_score, "precision": precision_score, "recall": recall_score}
SCORES = np.array([[0.9, 0.2, 0.4], [0.7, 0.5, 0.1], [0.3, 0.8, 0.6]], dtype=np.float32)
SCORED = Predictions(["a", "b", "c"], targets([1, 0, 0], [1, 1, 0], [0, 0, 1]), SCORES, [[], [], []])
EXACT = Predictions(["a", "b", "c"], SCORED.targets, np.round(SCORES), [[], [], []])
INSTEAD, MISSED, TOO_MUCH = "another label instead", "missed, nothing instead", "too much"
CONFUSED = {
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


def make_network(directory: Path, *histories: list[tuple[int, str, float]], name: str = "cnn") -> Candidate:
    runs = [
        made_candidate(directory, name, JUDGED, history=history, seed=seed).runs[0]
        for seed, history in enumerate(histories)
    ]
    return Candidate(name, tuple(runs))


def test_each_history_point_is_a_row(tmp_path: Path) -> None:
    later = [(epoch, key, value / 2) for epoch, key, value in HISTORY]
    points = learning_rows(selected(make_network(tmp_path, HISTORY, later)))
    assert [(row["repeat"], row["epoch"], row["curve"], row["value"]) for row in points] == [
        *(("split 0, seed 0", *point[:2], round(point[2], 5)) for point in HISTORY if point[1] != "learning_rate"),
        *(("split 0, seed 1", *point[:2], round(point[2], 5)) for point in later if point[1] != "learning_rate"),
    ]
    assert {row["model"] for row in points} == {"cnn"}


def test_each_run_is_a_line_and_metric_is_shown_first(tmp_path: Path, render: Render) -> None:
    chart = learning_curves(
        selected(make_network(tmp_path, HISTORY, HISTORY), make_network(tmp_path, HISTORY, name="big"))
    )
    assert options(chart) == {"curve": ["val/f1_weighted", "train/loss", "val/loss", "!val/f1_weighted"]}
    svg = render(chart)
    assert len(marks(svg, "line mark")) == 3
    assert "val/f1_weighted" in texts(svg), "above the chart"
    assert len(marks(svg, "point")) == 6
    assert {float(point["value"]) for point in marks(render(chart, curve="val/loss"), "point")} == {0.8, 0.625}


def test_legend_lists_only_models_trained_in_epochs(tmp_path: Path, render: Render) -> None:
    labels = texts(
        render(learning_curves(selected(make_network(tmp_path, [], name="rule"), make_network(tmp_path, HISTORY))))
    )
    assert "cnn" in labels
    assert "rule" not in labels


def test_missing_curves_give_no_chart(tmp_path: Path) -> None:
    assert learning_curves(selected(make_network(tmp_path, [], [], name="rule"))) is None
    assert learning_curves(selected(make_network(tmp_path, [(0, "learning_rate", 0.1)]))) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_non_finite_loss_ends_its_curve(value: float, tmp_path: Path, render: Render) -> None:
    """JSON has no such numbers: one of them would break all charts of a page."""
    chart = learning_curves(selected(make_network(tmp_path, [(0, "train/loss", 0.5), (1, "train/loss", value)])))
    assert [(row["epoch"], row["value"]) for row in rows(chart, "line")] == [(0, 0.5)]
    assert len(marks(render(chart), "point")) == 1
    assert learning_curves(selected(make_network(tmp_path, [(0, "train/loss", value)]))) is None


def make_bins(*non_empty: tuple[float, int, float, float]) -> list[dict[str, float | int | None]]:
    """Return ten bins. All are empty except these: (low, count, mean score, share that is true)."""
    filled = {
        low: {"count": count, "mean_score": score, "share_positive": share} for low, count, score, share in non_empty
    }
    return [{"low": low / 10, "high": (low + 1) / 10, **filled.get(low / 10, EMPTY)} for low in range(10)]


def make_calibrated(directory: Path, name: str, *reliabilities: list[dict[str, float | int | None]]) -> Candidate:
    runs = [made_candidate(directory, name, JUDGED, reliability=reliability).runs[0] for reliability in reliabilities]
    return Candidate(name, tuple(runs))


def test_bins_of_several_runs_are_pooled(tmp_path: Path) -> None:
    first = make_bins((0.0, 90, 0.04, 0.1), (0.8, 10, 0.85, 0.6), (0.3, 4, 0.35, 0.25))
    second = make_bins((0.0, 10, 0.08, 0.2), (0.8, 30, 0.81, 1.0))
    assert rows(calibration(selected(make_calibrated(tmp_path, "cnn", first, second))), "point") == [
        {"model": "cnn", "count": 100, "score": 0.044, "share": 0.11},
        {"model": "cnn", "count": 4, "score": 0.35, "share": 0.25},
        {"model": "cnn", "count": 40, "score": 0.82, "share": 0.9},
    ]


def test_bins_of_single_run_are_drawn_as_recorded(sample_runs: Path, render: Render) -> None:
    selection = select(
        sample_runs, ids=[run.record.id for run in select(sample_runs).runs if run.record.split_seed == 1]
    )
    [run] = [run for run in selection.runs if run.record.name == "regression"]
    chart = calibration(selection)
    assert [(row["count"], row["score"], row["share"]) for row in rows(chart, "point")] == [
        (entry["count"], round(entry["mean_score"], 4), round(entry["share_positive"], 4))
        for entry in run.read_json("reliability/test.json")
        if entry["count"]
    ]
    assert len(marks(render(chart), "point")) == len(rows(chart, "point"))


def test_calibration_chart_draws_diagonal(tmp_path: Path, render: Render) -> None:
    chart = calibration(selected(make_calibrated(tmp_path, "cnn", make_bins((0.5, 4, 0.55, 0.5)))))
    assert rows(chart, "line", 0) == [{"score": 0, "share": 0}, {"score": 1, "share": 1}]
    svg = render(chart)
    assert len(marks(svg, "line mark")) == 2
    assert "share that is true, on test" in texts(svg)


def test_models_without_scores_are_left_out(tmp_path: Path, render: Render) -> None:
    rule, cnn = (
        make_calibrated(tmp_path, "rule", [], []),
        make_calibrated(tmp_path, "cnn", make_bins((0.5, 4, 0.55, 0.5))),
    )
    chart = calibration(selected(rule, cnn))
    assert {row["model"] for row in rows(chart, "point")} == {"cnn"}
    assert "rule" not in texts(render(chart))


@pytest.mark.parametrize("reliability", [[], make_bins()])
def test_missing_scores_give_no_chart(reliability: list[dict[str, float | int | None]], tmp_path: Path) -> None:
    assert calibration(selected(make_calibrated(tmp_path, "rule", reliability, reliability))) is None


@pytest.mark.parametrize("average", AVERAGES)
def test_threshold_curve_matches_scikit_learn_on_val(average: str, sample_runs: Path) -> None:
    selection = select(sample_runs)
    runs = [run for run in selection.runs if run.record.name == "regression"]
    outputs = [read_predictions(run.path / "predictions" / "val.parquet") for run in runs]
    curve = rows(threshold_curves(selection, f"f1_{average}"), "line")
    assert len(curve) == 3 * len(GRID)
    assert {row["model"] for row in curve} == {"regression"}, "rules score 0 and 1"
    for row in curve[::5]:
        measure = MEASURES[row["show"].removeprefix(f"{average} ")]
        decided = [output.scores.astype(float) >= row["threshold"] for output in outputs]
        values = [
            measure(output.targets, decisions, average=average, zero_division=0)
            for output, decisions in zip(outputs, decided, strict=True)
        ]
        assert row["value"] == pytest.approx(np.mean(values), abs=1e-4), row


@pytest.mark.parametrize("average", AVERAGES)
def test_threshold_mark_matches_metric_recorded_on_val(average: str, sample_runs: Path) -> None:
    selection = select(sample_runs)
    runs = [run for run in selection.runs if run.record.name == "regression"]
    points = rows(threshold_curves(selection, f"f1_{average}"), "point")
    for title, key in (("F1", "f1"), ("precision", "precision"), ("recall", "recall")):
        marked = [(row["threshold"], row["value"]) for row in points if row["show"] == f"{average} {title}"]
        assert marked == [
            (
                pytest.approx(next(iter(run.read_json("thresholds.json")["values"].values())), abs=1e-4),
                pytest.approx(run.read_metrics()[f"val/{key}_{average}"], abs=1e-4),
            )
            for run in runs
        ]


def test_one_measure_is_shown_at_a_time(tmp_path: Path, render: Render) -> None:
    chart = threshold_curves(selected(made_candidate(tmp_path, "cnn", SCORED, SCORED)), "f1_macro")
    assert options(chart) == {"show": ["macro F1", "macro precision", "macro recall", "!macro F1"]}
    svg = render(chart)
    assert len(marks(svg, "line mark")) == 1
    assert len(marks(svg, "point")) == 2
    assert "macro F1 on val" in texts(svg)
    assert "macro recall on val" in texts(render(chart, show="macro recall"))


def test_threshold_curves_read_only_val(tmp_path: Path) -> None:
    scored = made_candidate(tmp_path, "cnn", EXACT, val=SCORED)
    assert len(rows(threshold_curves(selected(scored), "f1_micro"), "line")) == 3 * len(GRID)
    assert threshold_curves(selected(made_candidate(tmp_path, "cnn", SCORED, val=EXACT)), "f1_micro") is None


@pytest.mark.parametrize("score", [0.7, 0.9, 0.1])
def test_score_on_grid_is_decided_as_in_run(score: float, tmp_path: Path) -> None:
    """A float32 score of .7 is below a float64 threshold of .7, and one of .1 is above .1."""
    scores = np.full((3, 3), score, dtype=np.float32)
    scores[2] = 0.01
    output = Predictions(["a", "b", "c"], targets([1, 1, 1], [1, 1, 1], [0, 0, 0]), scores, [[], [], []])
    chart = threshold_curves(selected(made_candidate(tmp_path, "cnn", output, thresholds=score)), "f1_micro")
    [mark] = [row for row in rows(chart, "point") if row["show"] == "micro F1"]
    [on_curve] = [row for row in rows(chart, "line") if row["show"] == "micro F1" and row["threshold"] == score]
    assert on_curve == mark
    assert mark["value"] == (1 if score == 0.1 else 0)


def test_per_label_thresholds_have_curve_without_mark(tmp_path: Path, render: Render) -> None:
    chart = threshold_curves(
        selected(made_candidate(tmp_path, "cnn", SCORED, thresholds=[0.5, 0.5, 0.4])), "f1_weighted"
    )
    assert len(rows(chart, "line")) == 3 * len(GRID)
    assert rows(chart, "point") == []
    assert marks(render(chart), "point") == []


def test_candidates_without_threshold_have_no_curve(tmp_path: Path) -> None:
    exact = made_candidate(tmp_path, "rule", EXACT)
    argmax = made_candidate(tmp_path, "cnn", SCORED, thresholds=None)
    assert threshold_curves(selected(exact), "f1_weighted") is None
    assert threshold_curves(selected(exact, argmax), "f1_weighted") is None
    by_threshold = made_candidate(tmp_path, "big", SCORED)
    chart = threshold_curves(selected(exact, argmax, by_threshold), "f1_weighted")
    assert {row["model"] for row in [*rows(chart, "line"), *rows(chart, "point")]} == {"big"}


def test_grid_is_sorted_within_0_and_1() -> None:
    assert GRID.tolist() == sorted(set(GRID.tolist()))
    assert (GRID[0], GRID[-1]) == (0.02, 0.98)


def test_metric_of_objective_is_shown_first(tmp_path: Path) -> None:
    selection = selected(made_candidate(tmp_path, "cnn", SCORED))
    for metric, title in (("precision_macro", "macro precision"), ("f1_micro", "micro F1")):
        chart = threshold_curves(selection, metric)
        assert chart is not None
        [show] = chart.to_dict()["params"]
        assert (show["name"], show["value"]) == ("show", title)


def count_confusions(candidate: Candidate) -> dict[tuple[str, str, str], float]:
    pairs = confused(candidate, "test")
    counts = {(row["missed"], row["predicted"], row["kind"]): row["records"] for row in pairs}
    assert len(counts) == len(pairs), "each pair occurs once"
    return counts


def test_confusions_match_counts_by_hand(tmp_path: Path) -> None:
    assert count_confusions(made_candidate(tmp_path, "cnn", CONFUSED)) == {
        ("audio", "vision", INSTEAD): 3,
        ("graphs", "vision", INSTEAD): 2,
        ("audio", "nothing", MISSED): 1,
        ("graphs", "nothing", MISSED): 1,
        ("nothing", "vision", TOO_MUCH): 2,
    }


def test_confusions_are_sorted_by_frequency(tmp_path: Path) -> None:
    pairs = confused(made_candidate(tmp_path, "cnn", CONFUSED), "test")
    assert [row["error"] for row in pairs] == [
        *("audio → vision", "nothing → vision", "graphs → vision", "audio → nothing", "graphs → nothing")
    ]


def test_confusion_counts_are_means_over_runs(tmp_path: Path) -> None:
    right = {"a": ("audio", "audio")}
    one_more = {"a": ("audio", "vision"), "b": ("vision", "")}
    assert count_confusions(made_candidate(tmp_path, "cnn", CONFUSED, right, one_more)) == {
        ("audio", "vision", INSTEAD): 1.33,
        ("graphs", "vision", INSTEAD): 0.67,
        ("nothing", "vision", TOO_MUCH): 0.67,
        ("audio", "nothing", MISSED): 0.33,
        ("graphs", "nothing", MISSED): 0.33,
        ("vision", "nothing", MISSED): 0.33,
    }


def test_multiclass_error_replaces_one_class_by_another(tmp_path: Path) -> None:
    """Argmax decides: no score of the first record reaches .5, two scores of the second do."""
    output = Predictions(
        ["a", "b", "c", "d"],
        targets([1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]),
        targets([20, 30, 10], [90, 80, 0], [70, 60, 0], [10, 10, 80]).astype("float32") / 100,
        [[], [], [], []],
    )
    candidate = made_candidate(tmp_path, "cnn", output, thresholds=None, task="multiclass")
    assert count_confusions(candidate) == {("audio", "graphs", INSTEAD): 1, ("graphs", "audio", INSTEAD): 2}


def test_confusions_use_thresholds_of_each_run(tmp_path: Path) -> None:
    assert count_confusions(
        made_candidate(tmp_path, "cnn", {"a": ("audio", "audio")}, thresholds=[0.95, 0.5, 0.05])
    ) == {("audio", "vision", INSTEAD): 1}


def test_confusion_chart_shows_one_candidate_and_kind(tmp_path: Path, render: Render) -> None:
    rule = made_candidate(tmp_path, "rule", {"a": ("audio", "graphs")})
    chart = confusions(selected(rule, made_candidate(tmp_path, "cnn", CONFUSED)))
    assert options(chart) == {
        "model": ["rule", "cnn", "!cnn"],
        "kind": [INSTEAD, MISSED, TOO_MUCH, f"!{INSTEAD}"],
    }
    svg = render(chart)
    assert [(bar["error"], float(bar["records"])) for bar in marks(svg, "bar")] == [
        ("audio → vision", 3),
        ("graphs → vision", 2),
    ]
    assert {"audio → vision", "graphs → vision"} <= set(texts(svg))
    assert [bar["error"] for bar in marks(render(chart, kind=TOO_MUCH), "bar")] == ["nothing → vision"]
    assert [bar["error"] for bar in marks(render(chart, model="rule"), "bar")] == ["audio → graphs"]


def test_only_most_frequent_confusions_are_drawn(tmp_path: Path) -> None:
    labels = [f"label {number:02}" for number in range(MOST + 6)]
    outcomes = {
        f"{label} {repeat}": ([label], [labels[0]])
        for number, label in enumerate(labels[1:], 1)
        for repeat in range(number)
    }
    output = predictions(outcomes, labels)
    chart = confusions(selected(made_candidate(tmp_path, "cnn", output, labels=labels)))
    bars = rows(chart, "bar")
    assert [row["missed"] for row in bars] == labels[: -MOST - 1 : -1]
    assert [row["records"] for row in bars] == list(range(MOST + 5, 5, -1))


def test_confusion_chart_starts_with_kind_of_last_candidate(tmp_path: Path, render: Render) -> None:
    rule = made_candidate(tmp_path, "rule", {"a": ("audio", "graphs")})
    cnn = made_candidate(tmp_path, "cnn", {"a": ("audio", "")})
    chart = confusions(selected(rule, cnn))
    assert options(chart) == {"model": ["rule", "cnn", "!cnn"], "kind": [INSTEAD, MISSED, f"!{MISSED}"]}
    assert [bar["error"] for bar in marks(render(chart), "bar")] == ["audio → nothing"]


def test_candidates_without_errors_have_no_confusions(tmp_path: Path) -> None:
    right = made_candidate(tmp_path, "big", {"a": ("audio", "audio"), "b": ("", "")})
    assert confusions(selected(right)) is None
    assert confused(right, "test") == []
    wrong = made_candidate(tmp_path, "cnn", {"a": ("audio", "vision")})
    assert options(confusions(selected(wrong, right)))["model"] == ["cnn", "!cnn"]


@pytest.mark.parametrize("part", ["test", "val"])
def test_confusions_use_part_of_selection(part: str, tmp_path: Path, render: Render) -> None:
    val = predictions({"a": (["graphs"], [])}, ("audio", "graphs", "vision"))
    candidate = made_candidate(tmp_path, "cnn", {"a": ("audio", "")}, val=val)
    selection = selected(candidate)
    chart = confusions(type(selection)("made", part, "1a", (candidate,), ()))
    [row] = rows(chart, "bar")
    assert row["missed"] == ("audio" if part == "test" else "graphs")
    assert f"records of {part}, mean over runs" in texts(render(chart))

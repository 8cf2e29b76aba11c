"""Learning curves: every point of history.csv, and none where nothing was logged."""

from pathlib import Path

import pytest
from tests.charts.conftest import Render, made_candidate, marks, options, rows, selected, texts

from ratchet.charts.learning import learning_curves, learning_rows
from ratchet.runs.selection import Candidate

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


def network(directory: Path, *histories: list[tuple[int, str, float]], name: str = "cnn") -> Candidate:
    runs = [
        made_candidate(directory, name, JUDGED, history=history, seed=seed).runs[0]
        for seed, history in enumerate(histories)
    ]
    return Candidate(name, tuple(runs))


def test_every_point_of_every_curve_is_a_row(tmp_path: Path) -> None:
    later = [(epoch, key, value / 2) for epoch, key, value in HISTORY]
    found = learning_rows(selected(network(tmp_path, HISTORY, later)))
    assert [(row["repeat"], row["epoch"], row["curve"], row["value"]) for row in found] == [
        *(("split 0, seed 0", *point[:2], round(point[2], 5)) for point in HISTORY if point[1] != "learning_rate"),
        *(("split 0, seed 1", *point[:2], round(point[2], 5)) for point in later if point[1] != "learning_rate"),
    ]
    assert {row["model"] for row in found} == {"cnn"}


def test_a_line_is_a_run_and_the_metric_is_shown_first(tmp_path: Path, render: Render) -> None:
    chart = learning_curves(selected(network(tmp_path, HISTORY, HISTORY), network(tmp_path, HISTORY, name="big")))
    assert options(chart) == {"curve": ["val/f1_weighted", "train/loss", "val/loss", "!val/f1_weighted"]}
    svg = render(chart)
    assert len(marks(svg, "line mark")) == 3
    assert "val/f1_weighted" in texts(svg), "above the chart"
    assert len(marks(svg, "point")) == 6
    assert {float(each["value"]) for each in marks(render(chart, curve="val/loss"), "point")} == {0.8, 0.625}


def test_only_models_that_train_in_epochs_are_in_the_legend(tmp_path: Path, render: Render) -> None:
    written = texts(render(learning_curves(selected(network(tmp_path, [], name="rule"), network(tmp_path, HISTORY)))))
    assert "cnn" in written
    assert "rule" not in written


def test_no_curves_are_no_picture(tmp_path: Path, trained: Path) -> None:
    assert learning_curves(selected(network(tmp_path, [], [], name="rule"))) is None
    assert learning_curves(selected(network(tmp_path, [(0, "learning_rate", 0.1)]))) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_no_number_any_more_ends_its_curve(value: float, tmp_path: Path, render: Render) -> None:
    """JSON has no such numbers: a page with one could not read any of its charts."""
    chart = learning_curves(selected(network(tmp_path, [(0, "train/loss", 0.5), (1, "train/loss", value)])))
    assert [(row["epoch"], row["value"]) for row in rows(chart, "line")] == [(0, 0.5)]
    assert len(marks(render(chart), "point")) == 1
    assert learning_curves(selected(network(tmp_path, [(0, "train/loss", value)]))) is None

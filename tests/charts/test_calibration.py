"""The reliability diagram: bins as the runs wrote them, added up over repeats."""

from pathlib import Path

import pytest
from tests.charts.conftest import Render, made_candidate, marks, rows, selected, texts

from ratchet.charts.calibration import calibration
from ratchet.runs.selection import Candidate, select

JUDGED = {"a": ("audio", "audio")}
EMPTY = {"count": 0, "mean_score": None, "share_positive": None}


def bins(*counted: tuple[float, int, float, float]) -> list[dict[str, float | int | None]]:
    """Ten of them, empty but for these: (low, count, mean score, share that is true)."""
    told = {low: {"count": count, "mean_score": score, "share_positive": share} for low, count, score, share in counted}
    return [{"low": low / 10, "high": (low + 1) / 10, **told.get(low / 10, EMPTY)} for low in range(10)]


def candidate(directory: Path, name: str, *reliabilities: list[dict[str, float | int | None]]) -> Candidate:
    runs = [made_candidate(directory, name, JUDGED, reliability=each).runs[0] for each in reliabilities]
    return Candidate(name, tuple(runs))


def test_bins_of_several_runs_are_added_up_by_their_counts(tmp_path: Path) -> None:
    first = bins((0.0, 90, 0.04, 0.1), (0.8, 10, 0.85, 0.6), (0.3, 4, 0.35, 0.25))
    second = bins((0.0, 10, 0.08, 0.2), (0.8, 30, 0.81, 1.0))
    assert rows(calibration(selected(candidate(tmp_path, "cnn", first, second))), "point") == [
        {"model": "cnn", "count": 100, "score": 0.044, "share": 0.11},
        {"model": "cnn", "count": 4, "score": 0.35, "share": 0.25},
        {"model": "cnn", "count": 40, "score": 0.82, "share": 0.9},
    ]


def test_one_run_is_drawn_as_it_wrote_them(trained: Path, render: Render) -> None:
    selection = select(trained, ids=[run.record.id for run in select(trained).runs if run.record.split_seed == 1])
    [run] = [run for run in selection.runs if run.record.name == "regression"]
    chart = calibration(selection)
    assert [(row["count"], row["score"], row["share"]) for row in rows(chart, "point")] == [
        (each["count"], round(each["mean_score"], 4), round(each["share_positive"], 4))
        for each in run.read_json("reliability/test.json")
        if each["count"]
    ]
    assert len(marks(render(chart), "point")) == len(rows(chart, "point"))


def test_the_diagonal_is_there_for_comparison(tmp_path: Path, render: Render) -> None:
    chart = calibration(selected(candidate(tmp_path, "cnn", bins((0.5, 4, 0.55, 0.5)))))
    assert rows(chart, "line", 0) == [{"score": 0, "share": 0}, {"score": 1, "share": 1}]
    svg = render(chart)
    assert len(marks(svg, "line mark")) == 2
    assert "share that is true, on test" in texts(svg)


def test_models_without_scores_are_left_out(tmp_path: Path, render: Render) -> None:
    rule, cnn = candidate(tmp_path, "rule", [], []), candidate(tmp_path, "cnn", bins((0.5, 4, 0.55, 0.5)))
    chart = calibration(selected(rule, cnn))
    assert {row["model"] for row in rows(chart, "point")} == {"cnn"}
    assert "rule" not in texts(render(chart))


@pytest.mark.parametrize("reliability", [[], bins()])
def test_no_scores_at_all_are_no_picture(reliability: list[dict[str, float | int | None]], tmp_path: Path) -> None:
    assert calibration(selected(candidate(tmp_path, "rule", reliability, reliability))) is None

"""Tests for the set of charts of a comparison: which exist, that they render, and consistent colours and shapes."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.builders import comparison, made_candidate, result, selected
from tests.charts.contents import Render, marks

from ratchet.charts.pictures import pictures_of, pictures_of_runs
from ratchet.charts.theme import Chart
from ratchet.comparison.compare import compare
from ratchet.comparison.evidence import gather_evidence
from ratchet.comparison.results import Comparison
from ratchet.runs.selection import Candidate, Selection, select

ALL = ["ladder", "differences", "cost", "labels", "slices", "learning", "thresholds", "calibration", "confusions"]
OF_RUNS = ["thresholds", "calibration", "confusions"]


@pytest.fixture(scope="module")
def selection(sample_runs: Path) -> Selection:
    return select(sample_runs)


@pytest.fixture(scope="module")
def results(selection: Selection) -> Comparison:
    evidence = gather_evidence(selection, resamples=100)
    return compare(evidence, runs_dir=None, metric="f1_weighted", baseline="rule", promoted={}, parents={})


@pytest.fixture(scope="module")
def charts(results: Comparison, selection: Selection) -> Mapping[str, Chart]:
    return pictures_of(results, selection)


def test_charts_without_data_are_left_out(
    results: Comparison, selection: Selection, charts: Mapping[str, Chart]
) -> None:
    assert list(charts) == [name for name in ALL if name != "learning"]
    assert list(pictures_of_runs(selection, "f1_weighted")) == OF_RUNS
    rule = dataclasses.replace(selection, candidates=selection.candidates[:1])
    baseline_only = dataclasses.replace(results, candidates=results.candidates[:1])
    assert list(pictures_of(baseline_only, rule)) == ["ladder", "cost", "confusions"], "rules score 0 and 1"


def test_learning_curves_need_a_history(results: Comparison, selection: Selection, tmp_path: Path) -> None:
    predictions = {"a": ("audio", "audio")}
    candidate = made_candidate(tmp_path, "cnn", predictions, history=[(0, "val/loss", 0.5)])
    assert "learning" in pictures_of(comparison(result("cnn")), selected(candidate))


@pytest.mark.parametrize("name", [name for name in ALL if name != "learning"])
def test_vega_lite_renders_without_warnings(name: str, charts: Mapping[str, Chart], render: Render) -> None:
    svg = render(charts[name])
    assert marks(svg, "bar" if name == "confusions" else "point")


def test_threshold_curves_use_average_of_metric(selection: Selection) -> None:
    spec = pictures_of_runs(selection, "precision_micro")["thresholds"].to_dict()
    assert spec["params"][0]["bind"]["options"] == ["micro F1", "micro precision", "micro recall"]


def test_candidate_looks_the_same_in_all_charts(tmp_path: Path) -> None:
    names = [f"model-{number}" for number in range(9)]
    predictions = {"a": ("audio", "vision"), "b": ("vision", "vision")}
    bins = [{"low": 0.5, "high": 0.6, "count": 4, "mean_score": 0.55, "share_positive": 0.5}]
    candidates = [
        made_candidate(tmp_path, name, predictions, history=[(0, "val/loss", 0.5)][number % 2 :], reliability=bins)
        for number, name in enumerate(names)
    ]
    compared = comparison(*(result(name, costs={"size_mb": 1.0}) for name in names))
    seen: dict[str, dict[str, set[str]]] = {"color": {}, "shape": {}, "strokeDash": {}}
    encoded = set()
    for chart_name, chart in pictures_of(compared, Selection("made", "test", "1a", tuple(candidates), ())).items():
        for channel, scale in list_scales(chart.to_dict()):
            assert scale["domain"] == names, chart_name
            encoded.add((chart_name, channel))
            for name, look in zip(scale["domain"], scale["range"], strict=True):
                seen[channel].setdefault(name, set()).add(str(look))
    for channel, looks in seen.items():
        assert {len(styles) for styles in looks.values()} == {1}, channel
    assert {chart_name for chart_name, channel in encoded if channel == "color"} == {
        *("ladder", "cost", "learning", "thresholds", "calibration")
    }
    assert {chart_name for chart_name, channel in encoded if channel != "color"} == {
        chart_name for chart_name, _ in encoded
    }, "colour is never the only difference"


def list_scales(spec: dict[str, object]) -> list[tuple[str, dict[str, list[str]]]]:
    """Return the channel and scale of each encoding of the models."""
    scales = []
    for layer in spec.get("layer", [spec]):
        for channel, encoding in layer["encoding"].items():
            if isinstance(encoding, dict) and encoding.get("field") == "model" and "scale" in encoding:
                scales.append((channel, encoding["scale"]))
    return scales


def test_charts_are_reproducible(results: Comparison, selection: Selection, charts: Mapping[str, Chart]) -> None:
    recomputed = pictures_of(results, selection)
    assert {name: chart.to_json() for name, chart in recomputed.items()} == {
        name: chart.to_json() for name, chart in charts.items()
    }


def test_single_run_can_be_drawn(tmp_path: Path, render: Render) -> None:
    """W&B shows these charts."""
    candidate: Candidate = made_candidate(tmp_path, "cnn", {"a": ("audio", "vision"), "b": ("graphs", "graphs")})
    charts = pictures_of_runs(selected(candidate), "f1_weighted")
    assert list(charts) == ["thresholds", "confusions"]
    assert all(render(chart).startswith("<svg") for chart in charts.values())

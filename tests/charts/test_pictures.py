"""All pictures of a comparison: which there are, that Vega-Lite takes them, and that a candidate looks the same."""

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
def found(selection: Selection) -> Comparison:
    evidence = gather_evidence(selection, resamples=100)
    return compare(evidence, runs_dir=None, metric="f1_weighted", baseline="rule", promoted={}, parents={})


@pytest.fixture(scope="module")
def pictures(found: Comparison, selection: Selection) -> Mapping[str, Chart]:
    return pictures_of(found, selection)


def test_all_that_there_is_something_for_are_drawn(
    found: Comparison, selection: Selection, pictures: Mapping[str, Chart]
) -> None:
    assert list(pictures) == [name for name in ALL if name != "learning"]
    assert list(pictures_of_runs(selection, "f1_weighted")) == OF_RUNS
    rule = dataclasses.replace(selection, candidates=selection.candidates[:1])
    alone = dataclasses.replace(found, candidates=found.candidates[:1])
    assert list(pictures_of(alone, rule)) == ["ladder", "cost", "confusions"], "rules score 0 and 1"


def test_curves_are_drawn_where_there_are_some(found: Comparison, selection: Selection, tmp_path: Path) -> None:
    judged = {"a": ("audio", "audio")}
    sample_runs = made_candidate(tmp_path, "cnn", judged, history=[(0, "val/loss", 0.5)])
    assert "learning" in pictures_of(comparison(result("cnn")), selected(sample_runs))


@pytest.mark.parametrize("name", [name for name in ALL if name != "learning"])
def test_vega_lite_draws_it_and_warns_of_nothing(name: str, pictures: Mapping[str, Chart], render: Render) -> None:
    svg = render(pictures[name])
    assert marks(svg, "bar" if name == "confusions" else "point")


def test_curves_are_of_the_objectives_average(selection: Selection) -> None:
    spec = pictures_of_runs(selection, "precision_micro")["thresholds"].to_dict()
    assert spec["params"][0]["bind"]["options"] == ["micro F1", "micro precision", "micro recall"]


def test_a_candidate_has_one_colour_and_one_shape_in_all_pictures(tmp_path: Path) -> None:
    names = [f"model-{number}" for number in range(9)]
    judged = {"a": ("audio", "vision"), "b": ("vision", "vision")}
    bins = [{"low": 0.5, "high": 0.6, "count": 4, "mean_score": 0.55, "share_positive": 0.5}]
    candidates = [
        made_candidate(tmp_path, name, judged, history=[(0, "val/loss", 0.5)][number % 2 :], reliability=bins)
        for number, name in enumerate(names)
    ]
    rows = comparison(*(result(name, costs={"size_mb": 1.0}) for name in names))
    seen: dict[str, dict[str, set[str]]] = {"color": {}, "shape": {}, "strokeDash": {}}
    drawn = set()
    for picture, chart in pictures_of(rows, Selection("made", "test", "1a", tuple(candidates), ())).items():
        for channel, scale in scales(chart.to_dict()):
            assert scale["domain"] == names, picture
            drawn.add((picture, channel))
            for name, look in zip(scale["domain"], scale["range"], strict=True):
                seen[channel].setdefault(name, set()).add(str(look))
    for channel, looks in seen.items():
        assert {len(each) for each in looks.values()} == {1}, channel
    assert {picture for picture, channel in drawn if channel == "color"} == {
        *("ladder", "cost", "learning", "thresholds", "calibration")
    }
    assert {picture for picture, channel in drawn if channel != "color"} == {picture for picture, _ in drawn}, (
        "nothing is said by colour alone"
    )


def scales(spec: dict[str, object]) -> list[tuple[str, dict[str, list[str]]]]:
    """Of models, by channel."""
    found = []
    for layer in spec.get("layer", [spec]):
        for channel, encoding in layer["encoding"].items():
            if isinstance(encoding, dict) and encoding.get("field") == "model" and "scale" in encoding:
                found.append((channel, encoding["scale"]))
    return found


def test_pictures_are_the_same_each_time(
    found: Comparison, selection: Selection, pictures: Mapping[str, Chart]
) -> None:
    anew = pictures_of(found, selection)
    assert {name: each.to_json() for name, each in anew.items()} == {
        name: each.to_json() for name, each in pictures.items()
    }


def test_a_single_run_can_be_drawn(tmp_path: Path, render: Render) -> None:
    """As W&B shows it."""
    one: Candidate = made_candidate(tmp_path, "cnn", {"a": ("audio", "vision"), "b": ("graphs", "graphs")})
    drawn = pictures_of_runs(selected(one), "f1_weighted")
    assert list(drawn) == ["thresholds", "confusions"]
    assert all(render(chart).startswith("<svg") for chart in drawn.values())

"""Tests for the space of a search: its command line and the values of each key."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from tests.commands import CONF

from ratchet.config import ParameterConfig, SearchConfig
from ratchet.errors import UserError
from ratchet.sweeps.space import (
    as_argument,
    check_space,
    corners,
    default_values,
    list_values,
    read_request,
    round_values,
    to_distributions,
    to_overrides,
    value_in,
)

RATE = ParameterConfig(low=1e-4, high=1e-2, log=True)
LAYERS = ParameterConfig(low=1, high=5)
WIDTHS = ParameterConfig(choices=[[1], [1, 2], None, "english", True])


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (ParameterConfig(), "needs low and high"),
        (ParameterConfig(low=1), "needs low and high"),
        (ParameterConfig(low="a", high=2), "needs low and high"),
        (ParameterConfig(low=True, high=2), "needs low and high"),
        (ParameterConfig(low=float("nan"), high=2), "needs low and high"),
        (ParameterConfig(low=3, high=2), "low=3 is above high=2"),
        (ParameterConfig(low=0, high=2, log=True), "log needs low above 0"),
        (ParameterConfig(low=1, high=2, log=True, step=1), "no step"),
        (ParameterConfig(low=1, high=2, step=0), "step must be a number above 0"),
        (ParameterConfig(choices=[]), "choices is empty"),
        (ParameterConfig(choices=[1], low=1), "choices stand alone"),
    ],
)
def test_invalid_range_is_refused(parameter: ParameterConfig, message: str) -> None:
    with pytest.raises(UserError, match=r"sweep\.space, model\.C: .*" + message):
        check_space({"model.C": parameter})


def test_empty_space_is_refused() -> None:
    with pytest.raises(UserError, match="nothing to search"):
        check_space({})


def test_integer_limits_give_integers() -> None:
    result = to_distributions({"rate": RATE, "layers": LAYERS, "half": ParameterConfig(low=0, high=1.0, step=0.5)})
    assert {key: type(value).__name__ for key, value in result.items()} == {
        "rate": "FloatDistribution",
        "layers": "IntDistribution",
        "half": "FloatDistribution",
    }
    assert (result["rate"].low, result["rate"].high, result["rate"].log) == (1e-4, 1e-2, True)  # type: ignore[attr-defined]


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1e6, 1e6) | TEXTS


@given(PLAIN | st.lists(st.integers(0, 9) | st.none(), max_size=4))
def test_values_round_trip_through_command_line(value: Any) -> None:
    [override] = OverridesParser.create().parse_overrides([f"key={as_argument(value)}"])
    result = override.value()
    assert getattr(result, "text", result) == value
    assert not override.is_sweep_override()


def test_corners_contain_every_limit_and_choice() -> None:
    result = list(corners({"rate": RATE, "layers": LAYERS, "widths": WIDTHS}))
    assert len(result) == 5
    assert {values["rate"] for values in result} == {1e-4, 1e-2}
    assert {values["widths"] for values in result} == {"[1]", "[1,2]", "null", "english", "true"}


def test_only_small_spaces_of_choices_are_listed() -> None:
    two = {"a": ParameterConfig(choices=[1, 2]), "b": ParameterConfig(choices=["x", None])}
    assert list_values(two, 4) == [
        {"a": "1", "b": "x"},
        {"a": "1", "b": "null"},
        {"a": "2", "b": "x"},
        {"a": "2", "b": "null"},
    ]
    assert list_values(two, 3) == []
    assert list_values({**two, "rate": RATE}, 100) == []


def test_default_is_used_only_inside_the_space() -> None:
    assert value_in(RATE, 0.002) == 0.002
    assert value_in(RATE, 0.2) is None
    assert value_in(RATE, None) is None
    stepped = ParameterConfig(low=0.0, high=1.0, step=0.2)
    assert (value_in(stepped, 0.6), value_in(stepped, 0.5)) == (0.6, None), "0.5 is between two steps"
    assert value_in(LAYERS, 3) == 3
    assert value_in(ParameterConfig(low=0.0, high=1.0), 1) == 1.0
    assert value_in(WIDTHS, [1, 2]) == "[1,2]"
    assert value_in(WIDTHS, [3]) is None


def test_sampled_values_have_four_digits() -> None:
    values = round_values({"rate": 0.00123456789, "layers": 3, "widths": "[1,2]"})
    assert to_overrides(values) == ["rate=0.001235", "layers=3", "widths=[1,2]"]


SWEEPS = sorted(path.stem for path in (CONF / "sweep").glob("*.yaml"))


def test_every_model_of_the_ladder_has_a_sweep() -> None:
    assert {"rule", "regression", "cnn", "transformer"} <= set(SWEEPS)


@pytest.mark.parametrize("name", SWEEPS)
def test_sweep_config_searches_its_model_on_val(name: str) -> None:
    request = read_request([f"sweep={name}"])
    config = request.config
    assert (config.model.name, config.name, config.evaluate.name) == (name, f"{name}_search", "val")
    default, outside = default_values(request)
    assert default is not None
    assert outside == []
    assert default.keys() == request.space.keys()
    lines = (CONF / "sweep" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[2].startswith(f"# python train.py -m sweep={name}")


def test_single_values_are_fixed_and_several_are_searched() -> None:
    request = read_request(
        [
            "sweep=regression",
            "model.C=2",
            "model.min_df=2,3",
            "model.mention_weight=interval(0.1,0.5)",
            "threshold.value=tag(log,interval(0.1,0.9))",
            "calibration.method=choice(none,temperature)",
            "model.complexity=range(1,4)",
        ]
    )
    space = request.space
    assert "model.C" not in space
    assert request.fixed == ["sweep=regression", "model.C=2"]
    assert space["model.min_df"] == ParameterConfig(choices=[2, 3])
    assert (space["model.mention_weight"].low, space["model.mention_weight"].high) == (0.1, 0.5)
    assert space["threshold.value"].log
    assert space["calibration.method"].choices == ["none", "temperature"]
    assert (space["model.complexity"].low, space["model.complexity"].high) == (1, 3)
    assert space["model.char_ngrams"].choices, "the space of the config is kept"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep=regression", "seed=0,1"], "seed=0,1: a search tries settings"),
        (["sweep=rule,cnn"], "sweep=rule,cnn: a search tries settings"),
        (["sweep=regression", "evaluate=test"], "on val only"),
        (["sweep=regression", "model.C=glob(*)"], "takes choice"),
        (["sweep=regression", "model.Cc=interval(1,2)"], "sweep.space: .*unknown key|sweep.space: .*did you mean"),
        (["sweep=regression", "model.min_df=interval(0.5,1.5)"], "sweep.space: .*model.min_df"),
        (["sweep=regression", "model.mention_weight=interval(0,-1)"], "low=0.0 is above high=-1.0"),
        (["sweep=regresion"], "did you mean 'regression'"),
        (["sweep=regression", "sweep.trials=0"], "sweep.trials=0 is out of range"),
    ],
)
def test_invalid_request_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_request(arguments)


def test_default_outside_the_space_is_not_a_trial() -> None:
    request = read_request(["sweep=rule", "model.stemming=true", "threshold.value=interval(0.6,0.7)"])
    assert default_values(request) == (None, ["threshold.value=0.5"])


def test_docs_name_existing_keys(project: Path) -> None:
    named = set(re.findall(r"sweep\.(\w+)", (project / "docs" / "search.md").read_text(encoding="utf-8")))
    assert {"trials", "metric", "cost", "margin", "parallel", "prune", "seed", "experiment", "minutes"} <= named
    assert named <= {field.name for field in dataclasses.fields(SearchConfig)}

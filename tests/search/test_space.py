from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from ratchet.config import ParameterConfig
from ratchet.errors import UserError
from ratchet.search.space import (
    as_text,
    check_space,
    corners,
    distributions,
    every_value,
    overrides_of,
    rounded,
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
def test_what_cannot_be_drawn_from_is_refused_by_name(parameter: ParameterConfig, message: str) -> None:
    with pytest.raises(UserError, match=r"sweep\.space, model\.C: .*" + message):
        check_space({"model.C": parameter})


def test_an_empty_space_is_refused() -> None:
    with pytest.raises(UserError, match="nothing to search"):
        check_space({})


def test_limits_that_are_whole_give_whole_numbers() -> None:
    found = distributions({"rate": RATE, "layers": LAYERS, "half": ParameterConfig(low=0, high=1.0, step=0.5)})
    assert {key: type(each).__name__ for key, each in found.items()} == {
        "rate": "FloatDistribution",
        "layers": "IntDistribution",
        "half": "FloatDistribution",
    }
    assert (found["rate"].low, found["rate"].high, found["rate"].log) == (1e-4, 1e-2, True)  # type: ignore[attr-defined]


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1e6, 1e6) | TEXTS


@given(PLAIN | st.lists(st.integers(0, 9) | st.none(), max_size=4))
def test_the_command_line_reads_every_value_back(value: Any) -> None:
    [override] = OverridesParser.create().parse_overrides([f"key={as_text(value)}"])
    found = override.value()
    assert getattr(found, "text", found) == value
    assert not override.is_sweep_override()


def test_corners_hold_every_limit_and_every_choice() -> None:
    found = list(corners({"rate": RATE, "layers": LAYERS, "widths": WIDTHS}))
    assert len(found) == 5
    assert {each["rate"] for each in found} == {1e-4, 1e-2}
    assert {each["widths"] for each in found} == {"[1]", "[1,2]", "null", "english", "true"}


def test_a_small_space_is_listed_whole_and_a_large_one_not_at_all() -> None:
    two = {"a": ParameterConfig(choices=[1, 2]), "b": ParameterConfig(choices=["x", None])}
    assert every_value(two, 4) == [
        {"a": "1", "b": "x"},
        {"a": "1", "b": "null"},
        {"a": "2", "b": "x"},
        {"a": "2", "b": "null"},
    ]
    assert every_value(two, 3) == []
    assert every_value({**two, "rate": RATE}, 100) == []


def test_the_default_is_a_trial_only_where_the_space_holds_it() -> None:
    assert value_in(RATE, 0.002) == 0.002
    assert value_in(RATE, 0.2) is None
    assert value_in(RATE, None) is None
    assert value_in(LAYERS, 3) == 3
    assert value_in(ParameterConfig(low=0.0, high=1.0), 1) == 1.0
    assert value_in(WIDTHS, [1, 2]) == "[1,2]"
    assert value_in(WIDTHS, [3]) is None


def test_what_is_drawn_is_tried_with_four_digits() -> None:
    values = rounded({"rate": 0.00123456789, "layers": 3, "widths": "[1,2]"})
    assert overrides_of(values) == ["rate=0.001235", "layers=3", "widths=[1,2]"]

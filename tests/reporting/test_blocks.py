"""Tests for the blocks of a page: formatted numbers and what they are sorted by."""

import math

import pytest
from tests.builders import comparison, result, selected

from ratchet.charts.comparison_charts import ladder
from ratchet.comparison.results import Interval
from ratchet.reporting.blocks import Cell, Figure, Section, amount, difference, interval, number, p_value, text


def test_cell_is_sorted_by_value_not_text() -> None:
    assert number(0.12349) == Cell("0.123", 0.12349)
    assert number(1234, ",d") == Cell("1,234", 1234)
    assert interval(Interval(0.5, 0.42, 0.6105)) == Cell("0.500 [0.420, 0.611]", 0.5)
    assert difference(Interval(-0.05, -0.1, 0.01)) == Cell("-0.050 [-0.100, +0.010]", -0.05)
    assert p_value(0.0456) == Cell("0.046", 0.0456)
    assert p_value(0.00099) == Cell("<.001", 0.00099)
    assert text("rule", "good") == Cell("rule", None, "good")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "<0.01"),
        (0.00999, "<0.01"),
        (0.01, "0.01"),
        (1.239, "1.24"),
        (12.34, "12.3"),
        (100, "100"),
        (98765.4, "98,765"),
    ],
)
def test_amount_has_about_three_digits(value: float, expected: str) -> None:
    assert amount(value) == Cell(expected, value)


def test_missing_value_is_dash_sorted_to_one_end() -> None:
    """Missing numbers sort below all others, missing p-values above."""
    assert number(None) == amount(None) == difference(None) == Cell("-", -math.inf)
    assert p_value(None) == Cell("-", math.inf)


def test_figure_spec_omits_width_and_config() -> None:
    chart = ladder(comparison(result("rule")), selected())
    spec = Figure("place", "title", "caption", chart).spec()
    assert {"width", "config"} <= set(chart.to_dict())
    assert set(chart.to_dict()) - set(spec) == {"width", "config"}
    assert spec["layer"] == chart.to_dict()["layer"]


def test_section_anchor_is_its_name() -> None:
    assert Section("Ladder", "The ladder").anchor == "ladder"

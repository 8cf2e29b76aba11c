"""What a page is made of: figures as people read them, and what they are sorted by."""

import math

import pytest
from tests.builders import comparison, result, selected

from ratchet.charts.comparison_charts import ladder
from ratchet.comparison.results import Interval
from ratchet.reporting.blocks import Cell, Figure, Section, amount, difference, interval, number, p_value, text


def test_a_figure_is_sorted_by_its_value_and_not_by_its_text() -> None:
    assert number(0.12349) == Cell("0.123", 0.12349)
    assert number(1234, ",d") == Cell("1,234", 1234)
    assert interval(Interval(0.5, 0.42, 0.6105)) == Cell("0.500 [0.420, 0.611]", 0.5)
    assert difference(Interval(-0.05, -0.1, 0.01)) == Cell("-0.050 [-0.100, +0.010]", -0.05)
    assert p_value(0.0456) == Cell("0.046", 0.0456)
    assert p_value(0.00099) == Cell("<.001", 0.00099)
    assert text("rule", "good") == Cell("rule", None, "good")


@pytest.mark.parametrize(
    ("value", "shown"),
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
def test_what_is_spent_has_about_three_digits(value: float, shown: str) -> None:
    assert amount(value) == Cell(shown, value)


def test_what_is_not_there_is_a_dash_that_stays_on_one_side() -> None:
    """Of figures below all others, of p-values above: nothing was found."""
    assert number(None) == amount(None) == difference(None) == Cell("-", -math.inf)
    assert p_value(None) == Cell("-", math.inf)


def test_a_chart_goes_into_a_page_without_what_the_page_sets_itself() -> None:
    chart = ladder(comparison(result("rule")), selected())
    spec = Figure("place", "title", "caption", chart).spec()
    assert {"width", "config"} <= set(chart.to_dict())
    assert set(chart.to_dict()) - set(spec) == {"width", "config"}
    assert spec["layer"] == chart.to_dict()["layer"]


def test_links_lead_to_a_section_by_its_name() -> None:
    assert Section("Ladder", "The ladder").anchor == "ladder"

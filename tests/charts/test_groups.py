"""Labels and slices: the largest differences, and all there is to each."""

import random

import pytest
from tests.charts.conftest import Render, comparison, group, marks, options, result, rows, texts

from ratchet.charts.groups import MOST, group_differences
from ratchet.comparison.results import Interval

GROUPS = [group("audio", 0.1), group("graphs", -0.3), group("terse", 0.2, "slice"), group("vision", 0.25)]
FOUND = comparison(result("rule"), result("cnn", groups=GROUPS))


def test_a_row_is_the_difference_of_the_comparison() -> None:
    told = group("audio", 0.1, difference=Interval(0.1, -0.07, 0.3), verdict="better", positives=12)
    found = comparison(result("rule"), result("cnn", groups=[told]))
    assert rows(group_differences(found, "label"), "point") == [
        {
            "name": "audio",
            "model": "cnn",
            "positives": 12,
            "verdict": "better",
            "value": 0.1,
            "low": -0.07,
            "high": 0.3,
        }
    ]


def test_labels_and_slices_are_apart() -> None:
    assert {row["name"] for row in rows(group_differences(FOUND, "label"), "point")} == {"audio", "graphs", "vision"}
    assert [row["name"] for row in rows(group_differences(FOUND, "slice"), "point")] == ["terse"]


def test_the_picture_goes_from_gained_to_lost(render: Render) -> None:
    svg = render(group_differences(FOUND, "label"))
    assert [each["name"] for each in marks(svg, "point")] == ["graphs", "vision", "audio"], "the largest first"
    assert [each for each in texts(svg) if each in ("audio", "graphs", "vision")] == ["vision", "audio", "graphs"]
    assert "difference in F1 to rule, 95 % interval" in texts(svg)
    assert "difference in weighted F1 to rule, 95 % interval" in texts(render(group_differences(FOUND, "slice")))


def test_of_many_the_largest_on_either_side_are_drawn(render: Render) -> None:
    values = [(-1) ** number * number / 200 for number in range(MOST + 25)]
    random.Random(0).shuffle(values)
    many = [group(f"label {value}", value) for value in values]
    found = comparison(result("rule"), result("cnn", groups=many), result("big", groups=many[:5]))
    chart = group_differences(found, "label")
    drawn = [row["value"] for row in rows(chart, "point") if row["model"] == "cnn"]
    assert drawn == sorted(values, key=abs, reverse=True)[:MOST]
    assert min(drawn) < 0 < max(drawn)
    assert len([row for row in rows(chart, "point") if row["model"] == "big"]) == 5, "each has as many of its own"
    assert {each["model"] for each in marks(render(chart), "point")} == {"big"}


def test_one_candidate_is_shown_at_a_time(render: Render) -> None:
    found = comparison(result("rule"), result("cnn", groups=GROUPS), result("big", groups=[group("audio", 0.5)]))
    chart = group_differences(found, "label")
    assert options(chart) == {"model": ["cnn", "big", "!big"]}
    [shown] = marks(render(chart), "point")
    assert float(shown["value"]) == 0.5


def test_who_has_no_such_groups_cannot_be_chosen(render: Render) -> None:
    found = comparison(result("rule"), result("cnn", groups=GROUPS), result("big", groups=GROUPS[:2]))
    chart = group_differences(found, "slice")
    assert options(chart) == {"model": ["cnn", "!cnn"]}
    assert len(marks(render(chart), "point")) == 1


@pytest.mark.parametrize("kind", ["label", "slice"])
def test_nothing_to_compare_is_no_picture(kind: str) -> None:
    assert group_differences(comparison(result("rule"), result("cnn")), kind) is None
    assert group_differences(comparison(result("rule", groups=[])), kind) is None

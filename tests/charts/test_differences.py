"""What each candidate has gained: on the baseline, or on the rung below it."""

from tests.charts.conftest import Render, comparison, difference, marks, options, result, rows, texts

from ratchet.charts.differences import BELOW, differences

CNN = result("cnn", baseline=difference("rule", 0.25, "better"), predecessor=difference("rule", 0.25, "better"))
BIG = result(
    "big",
    baseline=difference("rule", 0.2, "better"),
    predecessor=difference("cnn", -0.05, "worse"),
    best_simpler=difference("cnn", -0.4, "worse"),
)
FOUND = comparison(result("rule"), CNN, BIG)


def test_every_difference_is_that_of_the_comparison() -> None:
    found = rows(differences(FOUND), "point")
    assert {(row["name"], row["against"]): (row["compared with"], row["value"], row["verdict"]) for row in found} == {
        ("cnn", BELOW): ("rule", 0.25, "better"),
        ("cnn", "rule"): ("rule", 0.25, "better"),
        ("big", BELOW): ("cnn", -0.05, "worse"),
        ("big", "rule"): ("rule", 0.2, "better"),
    }
    assert len(found) == 4
    for row in found:
        assert (row["low"], row["high"]) == (row["value"] - 0.05, row["value"] + 0.06)


def test_the_picture_is_of_the_differences_to_the_baseline(render: Render) -> None:
    chart = differences(FOUND)
    assert options(chart) == {"against": [BELOW, "rule", "!rule"]}
    found = marks(render(chart), "point")
    assert [(each["name"], float(each["value"]), each["verdict"]) for each in found] == [
        ("cnn", 0.25, "better"),
        ("big", 0.2, "better"),
    ]


def test_a_choice_shows_the_rung_below(render: Render) -> None:
    found = marks(render(differences(FOUND), against=BELOW), "point")
    assert [(each["compared with"], float(each["value"])) for each in found] == [("rule", 0.25), ("cnn", -0.05)]


def test_the_line_of_no_difference_is_there_whatever_is_found(render: Render) -> None:
    chart = differences(comparison(result("rule"), result("cnn", baseline=difference("rule", 0.5))))
    assert rows(chart, "rule", 0) == [{"value": 0}]
    svg = render(chart)
    assert len(marks(svg, "rule mark")) == 2, "the line and a whisker"
    assert "difference in weighted F1, 95 % interval" in texts(svg)


def test_a_baseline_that_is_not_the_simplest_is_compared_with_what_is_below_it() -> None:
    rule = result("rule", baseline=difference("cnn", -0.25, "worse"))
    found = comparison(rule, result("cnn"), baseline="cnn")
    chart = differences(found)
    assert [(row["name"], row["against"]) for row in rows(chart, "point")] == [("rule", "cnn")]
    assert options(chart) == {"against": ["cnn", "!cnn"]}, "and nobody stands on a rung above another"


def test_the_baseline_alone_is_no_picture() -> None:
    assert differences(comparison(result("rule"))) is None

import pytest

from ratchet.data.checks import Outcome, Problem, Report
from ratchet.errors import UserError


def problem(number: int, outcome: Outcome, kind: str = "bad date") -> Problem:
    return Problem(kind, f"file.csv, row {number}", f"reason {number}", outcome)


def test_counts_are_by_kind_and_outcome_most_frequent_first() -> None:
    report = Report(problems=[problem(1, "kept", "rare"), problem(2, "dropped"), problem(3, "dropped")])
    assert list(report.counts().items()) == [(("bad date", "dropped"), 2), (("rare", "kept"), 1)]


def test_what_was_dropped_or_kept_stops_nothing() -> None:
    Report(problems=[problem(1, "dropped"), problem(2, "kept")]).stop_if_fatal()


def test_every_fatal_finding_is_in_one_message_with_its_place_and_the_way_on() -> None:
    report = Report(problems=[problem(1, "stops"), problem(2, "dropped"), problem(3, "stops", "no id")])
    with pytest.raises(UserError) as caught:
        report.stop_if_fatal()
    message = str(caught.value)
    assert "2 bad rows" in message
    assert "file.csv, row 1: reason 1" in message
    assert "file.csv, row 3: reason 3" in message
    assert "row 2" not in message
    assert "data.drop_bad_rows=true" in message


def test_a_long_listing_is_cut_and_says_how_much() -> None:
    report = Report(problems=[problem(number, "stops") for number in range(1, 21)])
    with pytest.raises(UserError) as caught:
        report.stop_if_fatal()
    shown = [line for line in str(caught.value).splitlines() if "file.csv, row" in line]
    assert "20 bad rows" in str(caught.value)
    assert f"{20 - len(shown)} more" in str(caught.value)
    assert 1 < len(shown) < 20

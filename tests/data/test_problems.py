import pytest

from ratchet.data.problems import Outcome, Problem, Report
from ratchet.errors import UserError


def make_problem(number: int, outcome: Outcome, kind: str = "bad date") -> Problem:
    return Problem(kind, f"file.csv, row {number}", f"reason {number}", outcome)


def test_problems_are_counted_with_the_most_frequent_first() -> None:
    report = Report(problems=[make_problem(1, "kept", "rare"), make_problem(2, "dropped"), make_problem(3, "dropped")])
    assert list(report.count_problems().items()) == [(("bad date", "dropped"), 2), (("rare", "kept"), 1)]


def test_dropped_and_kept_problems_are_not_fatal() -> None:
    Report(problems=[make_problem(1, "dropped"), make_problem(2, "kept")]).stop_if_fatal()


def test_all_fatal_problems_are_listed_in_one_error() -> None:
    report = Report(problems=[make_problem(1, "stops"), make_problem(2, "dropped"), make_problem(3, "stops", "no id")])
    with pytest.raises(UserError) as caught:
        report.stop_if_fatal()
    message = str(caught.value)
    assert "2 bad rows" in message
    assert "file.csv, row 1: reason 1" in message
    assert "file.csv, row 3: reason 3" in message
    assert "row 2" not in message
    assert "data.drop_bad_rows=true" in message


def test_long_list_of_problems_is_counted_and_truncated() -> None:
    report = Report(problems=[make_problem(number, "stops") for number in range(1, 21)])
    with pytest.raises(UserError) as caught:
        report.stop_if_fatal()
    shown = [line for line in str(caught.value).splitlines() if "file.csv, row" in line]
    assert "20 bad rows" in str(caught.value)
    assert f"{20 - len(shown)} more" in str(caught.value)
    assert 1 < len(shown) < 20


def test_equal_messages_are_shown_once_with_their_number() -> None:
    same = [Problem("bad labels", f"file.csv, row {number}", "labels holds an object", "stops") for number in (2, 3, 9)]
    with pytest.raises(UserError) as caught:
        Report(problems=[*same, make_problem(5, "stops")]).stop_if_fatal()
    lines = str(caught.value).splitlines()
    assert lines[1:3] == ["  file.csv, row 2 (and 2 more): labels holds an object", "  file.csv, row 5: reason 5"]
    assert "4 bad rows" in lines[0]

"""Tests for `ratchet objective review`: the decision under alternative objectives."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.cli import objective as module
from ratchet.config import compose_objective
from ratchet.objective.review import Alternative, Review

Verb = Callable[..., tuple[int, str, str]]
Terminal = Callable[[int], None]
FEW = "resamples=100"  # enough for tests of the layout
pytestmark = pytest.mark.usefixtures("ladder_here")


@pytest.fixture
def review(verb: Verb) -> Verb:
    return lambda *arguments: verb("objective", "review", "resamples=500", *arguments)


def read_rows(out: str) -> list[tuple[str, str]]:
    """Return each changed part with its change, and the outcome with its mark."""
    _, header, *lines = out.split("\n\n")[1].splitlines()
    column = header.index("outcome")
    return [(" ".join(line[:column].split()), " ".join(line[column:].split())) for line in lines]


def test_current_objective_comes_first(review: Verb) -> None:
    code, out, err = review()
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "sample: under default regression ships"
    outcomes = dict(read_rows(out))
    assert outcomes["metric f1_macro"] == "regression ships same"
    assert outcomes["objective strict -"] == "too little evidence differs"
    assert "objective default -" not in outcomes, "it is the current objective"


def test_different_outcomes_are_marked_and_summarised(review: Verb) -> None:
    out = review("objective.floor=0.9")[1]
    assert out.splitlines()[0].startswith("sample: under default ")
    marked = [part for part, outcome in read_rows(out) if outcome.endswith("differs")]
    assert marked
    summary, _, parts = out.splitlines()[-1].partition(", namely on ")
    assert (
        summary == f"another outcome under {len(marked)} of {len(read_rows(out))}: the choice depends on the objective"
    )
    assert parts.split(", ")[0] == "floor"
    current = out.splitlines()[0].removeprefix("sample: under default ")
    assert [
        outcome for _, outcome in read_rows(out) if outcome.startswith(current) == outcome.endswith("differs")
    ] == []


def test_identical_outcomes_are_summarised_as_same(review: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    current = Alternative("in force", "", "nothing ships", None)
    alternatives = [Alternative("margin", f"{margin}", "nothing ships", None) for margin in (0.01, 0.02)]
    monkeypatch.setattr(module, "review", lambda *_: Review(current, alternatives))
    out = review()[1]
    assert read_rows(out) == [("margin 0.01", "nothing ships same"), ("margin 0.02", "nothing ships same")]
    assert out.splitlines()[-1] == "the same under all 2: the choice depends on the models, not on the objective"


def test_json_has_every_alternative(review: Verb) -> None:
    code, out, _ = review("format=json", "objective.margin=0.04")
    assert code == 0
    report = json.loads(out)
    assert report["data"] == "sample"
    assert report["objective"]["hash"] == compose_objective(["objective.margin=0.04"]).hash
    assert report["objective"]["changed"] == "set on the command line: objective.margin=0.04"
    assert report["current"] == {"part": "in force", "change": "", "outcome": "ships", "ships": "regression"}
    margins = [alternative["change"] for alternative in report["alternatives"] if alternative["part"] == "margin"]
    assert margins == ["0.01", "0.02", "0.03", "0.05"]
    assert {alternative["part"] for alternative in report["alternatives"]} >= {"objective default", "objective strict"}
    for alternative in report["alternatives"]:
        assert (alternative["ships"] is not None) == (alternative["outcome"] == "ships")


def test_table_and_json_report_same_outcomes(review: Verb) -> None:
    report = json.loads(review("format=json")[1])
    expected = [
        (
            f"{alternative['part']} {alternative['change']}",
            f"{alternative['ships']} ships" if alternative["ships"] else alternative["outcome"],
        )
        for alternative in report["alternatives"]
    ]
    assert [
        (part, outcome.removesuffix(" differs").removesuffix(" same")) for part, outcome in read_rows(review()[1])
    ] == expected


def test_markdown_has_one_row_per_alternative(review: Verb) -> None:
    lines = [line for line in review("format=md")[1].splitlines() if line.startswith("|")]
    assert lines[0].startswith("| part | changed to | outcome | same? |")
    assert len(lines) - 2 == len(read_rows(review()[1]))


def test_review_writes_no_files(review: Verb) -> None:
    review()
    assert [path.name for path in Path().iterdir()] == ["runs"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["review"]),
        (["reviw"], ["objective reviw", "'review'"]),
        (["review", "objective=strct"], ["'strict'"]),
        (["review", "objective.margn=0.1"], ["'margin'"]),
        (["review", "nme=rule"], ["'name'"]),
        (["review", "name=rul"], ["'rule'"]),
        (["review", "runs_dir=elsewhere"], ["elsewhere"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_invalid_arguments_are_reported(arguments: list[str], parts: list[str], verb: Verb) -> None:
    code, out, err = verb("objective", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err


def test_terminal_output_wraps_without_losing_words(review: Verb, terminal: Terminal) -> None:
    floor = "objective.floor=0.9"
    piped = review(FEW, floor)[1]
    terminal(64)
    out = review(FEW, floor)[1]
    assert out.split() == piped.split()
    assert all(len(line) <= 64 for line in out.splitlines())

"""`ratchet objective review`: what would ship under other objectives, and what the choice depends on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.cli import objective as module
from ratchet.config import compose_objective
from ratchet.objective.review import Alternative, Review

Verb = Callable[..., tuple[int, str, str]]
Terminal = Callable[[int], None]
FEW = "resamples=100"  # where only the layout is looked at
pytestmark = pytest.mark.usefixtures("ladder_here")


@pytest.fixture
def review(verb: Verb) -> Verb:
    return lambda *arguments: verb("objective", "review", "resamples=500", *arguments)


def rows(out: str) -> list[tuple[str, str]]:
    """Part with its change, and outcome with what is said of it."""
    _, header, *lines = out.split("\n\n")[1].splitlines()
    place = header.index("outcome")
    return [(" ".join(line[:place].split()), " ".join(line[place:].split())) for line in lines]


def test_the_objective_in_force_comes_first(review: Verb) -> None:
    code, out, err = review()
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "sample: under default regression ships"
    found = dict(rows(out))
    assert found["metric f1_macro"] == "regression ships same"
    assert found["objective strict -"] == "too little evidence differs"
    assert "objective default -" not in found, "it is the one in force"


def test_what_differs_is_marked_and_named_at_the_end(review: Verb) -> None:
    out = review("objective.floor=0.9")[1]
    assert out.splitlines()[0].startswith("sample: under default ")
    marked = [part for part, said in rows(out) if said.endswith("differs")]
    assert marked
    said, _, parts = out.splitlines()[-1].partition(", namely on ")
    assert said == f"another outcome under {len(marked)} of {len(rows(out))}: the choice depends on the objective"
    assert parts.split(", ")[0] == "floor"
    in_force = out.splitlines()[0].removeprefix("sample: under default ")
    assert [said for _, said in rows(out) if said.startswith(in_force) == said.endswith("differs")] == []


def test_where_nothing_differs_the_models_decide(review: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    current = Alternative("in force", "", "nothing ships", None)
    others = [Alternative("margin", f"{margin}", "nothing ships", None) for margin in (0.01, 0.02)]
    monkeypatch.setattr(module, "review", lambda *_: Review(current, others))
    out = review()[1]
    assert rows(out) == [("margin 0.01", "nothing ships same"), ("margin 0.02", "nothing ships same")]
    assert out.splitlines()[-1] == "the same under all 2: the choice depends on the models, not on the objective"


def test_programs_get_every_alternative(review: Verb) -> None:
    code, out, _ = review("format=json", "objective.margin=0.04")
    assert code == 0
    found = json.loads(out)
    assert found["data"] == "sample"
    assert found["objective"]["hash"] == compose_objective(["objective.margin=0.04"]).hash
    assert found["objective"]["changed"] == "set on the command line: objective.margin=0.04"
    assert found["current"] == {"part": "in force", "change": "", "outcome": "ships", "ships": "regression"}
    margins = [each["change"] for each in found["alternatives"] if each["part"] == "margin"]
    assert margins == ["0.01", "0.02", "0.03", "0.05"]
    assert {each["part"] for each in found["alternatives"]} >= {"objective default", "objective strict"}
    for each in found["alternatives"]:
        assert (each["ships"] is not None) == (each["outcome"] == "ships")


def test_the_table_says_what_the_json_says(review: Verb) -> None:
    found = json.loads(review("format=json")[1])
    expected = [
        (f"{each['part']} {each['change']}", f"{each['ships']} ships" if each["ships"] else each["outcome"])
        for each in found["alternatives"]
    ]
    assert [(part, said.removesuffix(" differs").removesuffix(" same")) for part, said in rows(review()[1])] == expected


def test_markdown_has_a_row_an_alternative(review: Verb) -> None:
    lines = [line for line in review("format=md")[1].splitlines() if line.startswith("|")]
    assert lines[0].startswith("| part | changed to | outcome | same? |")
    assert len(lines) - 2 == len(rows(review()[1]))


def test_the_review_writes_nothing(review: Verb) -> None:
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
def test_a_mistake_is_explained(arguments: list[str], parts: list[str], verb: Verb) -> None:
    code, out, err = verb("objective", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err


def test_on_a_terminal_the_parts_wrap(review: Verb, terminal: Terminal) -> None:
    floor = "objective.floor=0.9"
    piped = review(FEW, floor)[1]
    terminal(64)
    out = review(FEW, floor)[1]
    assert out.split() == piped.split()
    assert all(len(line) <= 64 for line in out.splitlines())

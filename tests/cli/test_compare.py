"""`ratchet compare`: for people, for documents and for programs."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from tests.sample_runs import copy_run
from tests.sample_runs import find_named_runs as of_name
from tests.sample_runs import rewrite_record as rewrite

from ratchet.comparison.results import Comparison

Verb = Callable[..., tuple[int, str, str]]
Terminal = Callable[[int], None]
FEW = "resamples=100"  # where only the layout is looked at


@pytest.fixture(autouse=True)
def runs(ladder_here: Path) -> Path:
    return ladder_here


@pytest.fixture
def compare(verb: Verb) -> Verb:
    return lambda *arguments: verb("compare", "resamples=500", *arguments)


def sections(out: str) -> dict[str, list[str]]:
    """Lines by the title above them."""
    blocks = [block.splitlines() for block in out.strip().split("\n\n")]
    return {title: rows for title, *rows in blocks}


def parsed(out: str) -> Comparison:
    return TypeAdapter(Comparison).validate_json(out, strict=True)


def test_people_get_a_leaderboard_verdicts_and_where_the_uncertainty_comes_from(compare: Verb) -> None:
    code, out, err = compare()
    assert (code, err) == (0, "")
    found = sections(out)
    title, *rest = found
    assert title.startswith("sample, test: weighted F1, mean over 3 splits, ")
    header, rule, regression, _ = (line.split() for line in found[title])
    assert header == ["model", "runs", "weighted", "F1", "against", "rule", "p"]
    assert rule[:2] == ["rule", "3"]
    assert rule[-2:] == ["-", "-"], "the baseline is compared with nothing"
    assert regression[:2] == ["regression", "3"]
    assert [line.split(maxsplit=1) for line in found["Verdicts"]] == [
        ["rule", "the baseline"],
        ["regression", "better than rule"],
    ]
    beginnings = ("Verdicts", "Steps", "Other metrics", "Sources of uncertainty", "Costs", "Labels and slices", "p ")
    for beginning, heading in zip(beginnings, rest, strict=True):
        assert heading.startswith(beginning)
    assert any(line.startswith("test-set accesses  2 so far") for line in out.splitlines())


def test_the_table_says_what_the_json_says(compare: Verb) -> None:
    found = parsed(compare("format=json")[1])
    out = compare()[1]
    difference = found.candidates[1].baseline
    assert difference is not None
    assert f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]" in out
    for each in found.candidates:
        told = each.metrics["f1_weighted"]
        assert f"{told.value:.3f} [{told.low:.3f}, {told.high:.3f}]" in out
        assert f"{each.behaviour['score']:.3f}" in out


def test_markdown_has_tables_under_bold_titles(compare: Verb) -> None:
    code, out, _ = compare("format=md")
    assert code == 0
    lines = out.splitlines()
    assert lines[2].startswith("| model | runs | weighted F1 | against rule | p |")
    assert "- regression: better than rule" in lines
    for index, line in enumerate(lines):
        if line.startswith("**"):
            assert line.endswith("**")
            assert index == 0 or lines[index - 1] == ""
            assert lines[index + 1] == "", "a title stands by itself"
        if line.startswith("| ---"):
            assert lines[index - 2] == "", "a table does too"


def test_programs_get_all_of_it(compare: Verb) -> None:
    code, out, err = compare("format=json")
    assert (code, err) == (0, "")
    found = parsed(out)
    assert (found.data, found.part, found.resamples, found.baseline) == ("sample", "test", 500, "rule")
    assert [each.name for each in found.candidates] == ["rule", "regression"]
    assert {each.kind for each in found.candidates[1].groups} == {"label", "slice"}
    assert found.left_out == []


def test_the_same_runs_give_the_same_bytes(compare: Verb) -> None:
    assert compare("format=json")[1] == compare("format=json")[1]


def test_runs_are_chosen(runs: Path, compare: Verb) -> None:
    only = parsed(compare("format=json", "name=regression", "baseline=regression")[1])
    assert [each.name for each in only.candidates] == ["regression"]
    ids = [of_name(runs, name)[0].record.id for name in ("rule", "regression")]
    one = parsed(compare("format=json", f"runs={ids[0]}, {ids[1]}")[1])
    assert [each.runs for each in one.candidates] == [[ids[0]], [ids[1]]]
    assert "one split, " in compare(f"runs={','.join(ids)}")[1].splitlines()[0]
    assert compare("data=sample")[1] == compare()[1]


def test_all_configurations_of_a_name_are_taken_when_asked_for(runs: Path, compare: Verb) -> None:
    for run in of_name(runs, "regression"):
        copy_run(run, "again", name="regression", config_hash="12345678-and-so-on")
    assert "an older configuration" in compare()[1]
    names = [each.name for each in parsed(compare("all=true", "format=json")[1]).candidates]
    assert names[0] == "rule"
    assert "regression@12345678" in names
    assert len(names) == 3


def test_the_objective_says_which_metric_counts(compare: Verb) -> None:
    assert compare("objective.metric=precision_macro")[1].startswith("sample, test: macro precision, ")
    found = parsed(compare("objective.metric=f1_samples", "format=json")[1])
    assert found.metric == "f1_samples"
    difference = found.candidates[1].baseline
    assert difference is not None
    assert difference.value == difference.metrics["f1_samples"].value


def test_val_is_compared_without_a_test_reading(runs: Path, compare: Verb) -> None:
    readings = (runs / "sample" / "test_readings.jsonl").read_bytes()
    out = compare("part=val")[1]
    assert out.startswith("sample, val: ")
    assert "test splits" not in out
    assert "note" in out
    assert (runs / "sample" / "test_readings.jsonl").read_bytes() == readings


def test_comparing_writes_nothing_and_reads_no_test_part_anew(runs: Path, compare: Verb) -> None:
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    compare()
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in Path().iterdir()) == ["runs"]


def test_what_is_left_out_is_said_at_the_end(runs: Path, compare: Verb) -> None:
    rewrite(of_name(runs, "rule")[0].path, status="failed")
    out = compare()[1]
    assert "mean over 2 splits" in out.splitlines()[0]
    said = [line.split(maxsplit=2)[2] for line in out.splitlines() if line.startswith("left out")]
    assert said == [
        "1 run: the run is failed",
        "split.seed=0 of regression: not all candidates were measured there",
    ]


def test_the_change_since_the_parent_is_told_with_its_effect(runs: Path, compare: Verb) -> None:
    parents = {run.record.split_seed: run.record.id for run in of_name(runs, "rule")}
    for run in of_name(runs, "regression"):
        rewrite(run.path, parent=parents[run.record.split_seed], hypothesis="words know more", lock_hash="other")
    out = compare()[1]
    [title] = [title for title in sections(out) if title.startswith("regression, since its parent ")]
    assert parents[2] in title
    rows = dict(line.split(maxsplit=1) for line in sections(out)[title][1:])
    assert (rows["model"], rows["lock"]) == ("rule -> regression", "requirements.lock")
    assert rows["effect"].startswith("+")
    assert rows["effect"].endswith("(not adjusted): better than rule")
    assert rows["hypothesis"] == "words know more"
    assert any(title.startswith("warning: model and lock changed at once") for title in sections(out))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["basline=rule"], ["unknown key 'basline'", "did you mean 'baseline'?"]),
        (["baseline=ruel"], ["baseline=ruel", "did you mean 'rule'?", "baseline=NAME"]),
        (["part=tset"], ["part=tset", "did you mean 'test'?"]),
        (["format=xml"], ["format=xml", "valid: json, md, table"]),
        (["data=smple"], ["data=smple", "did you mean 'sample'?"]),
        (["name=regresion"], ["name=regresion", "did you mean 'regression'?"]),
        (["runs=nobody"], ["no run 'nobody' in runs"]),
        (["runs_dir=elsewhere"], ["no runs in elsewhere"]),
        (["all=perhaps"], ["all=perhaps"]),
        (["objective=strct"], ["conf/objective/strct.yaml", "did you mean 'strict'?"]),
        (["objective.metrik=f1_macro"], ["objective.metrik", "did you mean 'metric'?"]),
        (["rule"], ["'rule' is not of the form key=value", "baseline"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_mistake_is_explained(arguments: list[str], parts: list[str], compare: Verb) -> None:
    code, out, err = compare(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err


def test_predictions_that_were_changed_by_hand_are_a_mistake(runs: Path, compare: Verb) -> None:
    one, other, _ = of_name(runs, "regression")
    shutil.copy(other.path / "predictions/test.parquet", one.path / "predictions/test.parquet")
    code, out, err = compare()
    assert (code, out) == (2, "")
    assert "not comparable" in err
    assert str(one.path) in err


def test_json_has_no_number_that_json_does_not_have(compare: Verb) -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    assert json.loads(compare("format=json")[1], parse_constant=refuse)


def test_on_a_terminal_sentences_wrap_below_themselves_and_nothing_is_lost(
    compare: Verb, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    piped = compare(FEW)[1]
    assert max(len(line) for line in piped.splitlines()) > 80, "a line stays a line where it is piped"
    terminal(80)
    out = compare(FEW)[1]
    assert sorted("".join(out.split())) == sorted("".join(piped.split()))
    assert all(len(line) <= 80 for line in out.splitlines())
    place = next(index for index, line in enumerate(out.splitlines()) if line.startswith("p  "))
    first, second = out.splitlines()[place : place + 2]
    assert len(second) - len(second.lstrip()) == len("p") + len(first[1:]) - len(first[1:].lstrip())


def test_long_names_cost_no_figure(runs: Path, compare: Verb, terminal: Terminal) -> None:
    name = "regression_words_only_without_stemming"
    for run in of_name(runs, "regression"):
        rewrite(run.path, name=name)
    piped = compare(FEW)[1]
    terminal(80)
    out = compare(FEW)[1]
    assert all(len(line) <= 80 for line in out.splitlines())
    figures = re.compile(r"[+-]?\d[\d.,]*|<\.001")
    assert sorted(figures.findall(out)) == sorted(figures.findall(piped))


def test_markdown_is_the_same_on_a_terminal(compare: Verb, terminal: Terminal) -> None:
    piped = compare(FEW, "format=md")[1]
    terminal(60)
    assert compare(FEW, "format=md")[1] == piped

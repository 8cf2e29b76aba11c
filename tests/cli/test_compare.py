"""Tests for `ratchet compare`: its table, Markdown and JSON, and its error messages."""

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
FEW = "resamples=100"  # enough for tests of the layout


@pytest.fixture(autouse=True)
def runs(ladder_here: Path) -> Path:
    return ladder_here


@pytest.fixture
def compare(verb: Verb) -> Verb:
    return lambda *arguments: verb("compare", "resamples=500", *arguments)


def split_sections(out: str) -> dict[str, list[str]]:
    """Return the lines of each block by its title."""
    blocks = [block.splitlines() for block in out.strip().split("\n\n")]
    return {title: rows for title, *rows in blocks}


def parse_comparison(out: str) -> Comparison:
    return TypeAdapter(Comparison).validate_json(out, strict=True)


def test_table_has_leaderboard_verdicts_and_uncertainty_sources(compare: Verb) -> None:
    code, out, err = compare()
    assert (code, err) == (0, "")
    sections = split_sections(out)
    title, *rest = sections
    assert title.startswith("sample, test: weighted F1, mean over 3 splits, ")
    header, rule, regression, _ = (line.split() for line in sections[title])
    assert header == ["model", "runs", "weighted", "F1", "against", "rule", "p"]
    assert rule[:2] == ["rule", "3"]
    assert rule[-2:] == ["-", "-"], "the baseline is not compared"
    assert regression[:2] == ["regression", "3"]
    assert [line.split(maxsplit=1) for line in sections["Verdicts"]] == [
        ["rule", "the baseline"],
        ["regression", "better than rule"],
    ]
    prefixes = ("Verdicts", "Steps", "Other metrics", "Sources of uncertainty", "Costs", "Labels and slices", "p ")
    for prefix, heading in zip(prefixes, rest, strict=True):
        assert heading.startswith(prefix)
    assert any(line.startswith("test-set accesses  2 so far") for line in out.splitlines())


def test_table_and_json_report_same_values(compare: Verb) -> None:
    comparison = parse_comparison(compare("format=json")[1])
    out = compare()[1]
    difference = comparison.candidates[1].baseline
    assert difference is not None
    assert f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]" in out
    for candidate in comparison.candidates:
        metric = candidate.metrics["f1_weighted"]
        assert f"{metric.value:.3f} [{metric.low:.3f}, {metric.high:.3f}]" in out
        assert f"{candidate.behaviour['score']:.3f}" in out


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
            assert lines[index + 1] == "", "a title is a paragraph of its own"
        if line.startswith("| ---"):
            assert lines[index - 2] == "", "a blank line precedes a table"


def test_json_contains_complete_comparison(compare: Verb) -> None:
    code, out, err = compare("format=json")
    assert (code, err) == (0, "")
    comparison = parse_comparison(out)
    assert (comparison.data, comparison.part, comparison.resamples, comparison.baseline) == (
        "sample",
        "test",
        500,
        "rule",
    )
    assert [candidate.name for candidate in comparison.candidates] == ["rule", "regression"]
    assert {group.kind for group in comparison.candidates[1].groups} == {"label", "slice"}
    assert comparison.left_out == []


def test_comparison_of_same_runs_is_deterministic(compare: Verb) -> None:
    assert compare("format=json")[1] == compare("format=json")[1]


def test_runs_are_selected_by_name_id_or_data(runs: Path, compare: Verb) -> None:
    comparison = parse_comparison(compare("format=json", "name=regression", "baseline=regression")[1])
    assert [candidate.name for candidate in comparison.candidates] == ["regression"]
    ids = [of_name(runs, name)[0].record.id for name in ("rule", "regression")]
    split = parse_comparison(compare("format=json", f"runs={ids[0]}, {ids[1]}")[1])
    assert [candidate.runs for candidate in split.candidates] == [[ids[0]], [ids[1]]]
    assert "one split, " in compare(f"runs={','.join(ids)}")[1].splitlines()[0]
    assert compare("data=sample")[1] == compare()[1]


def test_all_option_includes_older_configurations(runs: Path, compare: Verb) -> None:
    for run in of_name(runs, "regression"):
        copy_run(run, "again", name="regression", config_hash="12345678-and-so-on")
    assert "an older configuration" in compare()[1]
    names = [candidate.name for candidate in parse_comparison(compare("all=true", "format=json")[1]).candidates]
    assert names[0] == "rule"
    assert "regression@12345678" in names
    assert len(names) == 3


def test_objective_sets_compared_metric(compare: Verb) -> None:
    assert compare("objective.metric=precision_macro")[1].startswith("sample, test: macro precision, ")
    comparison = parse_comparison(compare("objective.metric=f1_samples", "format=json")[1])
    assert comparison.metric == "f1_samples"
    difference = comparison.candidates[1].baseline
    assert difference is not None
    assert difference.value == difference.metrics["f1_samples"].value


def test_comparison_on_val_does_not_access_test_set(runs: Path, compare: Verb) -> None:
    accesses = (runs / "sample" / "test_readings.jsonl").read_bytes()
    out = compare("part=val")[1]
    assert out.startswith("sample, val: ")
    assert "accesses" not in out
    assert "note" in out
    assert (runs / "sample" / "test_readings.jsonl").read_bytes() == accesses


def test_comparison_changes_no_files(runs: Path, compare: Verb) -> None:
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    compare()
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in Path().iterdir()) == ["runs"]


def test_left_out_runs_are_listed_at_end(runs: Path, compare: Verb) -> None:
    rewrite(of_name(runs, "rule")[0].path, status="failed")
    out = compare()[1]
    assert "mean over 2 splits" in out.splitlines()[0]
    reasons = [line.split(maxsplit=2)[2] for line in out.splitlines() if line.startswith("left out")]
    assert reasons == [
        "1 run: the run is failed",
        "split.seed=0 of regression: not measured there: rule",
        "to include them: `ratchet train split.seed=0`",
    ]


def test_changes_since_parent_are_shown_with_effect(runs: Path, compare: Verb) -> None:
    parents = {run.record.split_seed: run.record.id for run in of_name(runs, "rule")}
    for run in of_name(runs, "regression"):
        rewrite(run.path, parent=parents[run.record.split_seed], hypothesis="words know more", lock_hash="other")
    out = compare()[1]
    [title] = [title for title in split_sections(out) if title.startswith("regression, since its parent ")]
    assert parents[2] in title
    rows = dict(line.split(maxsplit=1) for line in split_sections(out)[title][1:])
    assert (rows["model"], rows["lock"]) == ("rule -> regression", "requirements.lock")
    assert rows["effect"].startswith("+")
    assert rows["effect"].endswith("(not adjusted): better than rule")
    assert rows["hypothesis"] == "words know more"
    assert any(title.startswith("warning: model and lock changed at once") for title in split_sections(out))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["basline=rule"], ["unknown key 'basline'", "did you mean 'baseline'?"]),
        (["baseline=ruel"], ["baseline=ruel", "did you mean 'rule'?", "baseline=NAME"]),
        (["part=tset"], ["part=tset", "did you mean 'test'?"]),
        (["format=xml"], ["format=xml", "valid: json, md, table"]),
        (["data=smple"], ["data=smple", "did you mean 'sample'?"]),
        (["name=regresion"], ["name=regresion", "did you mean 'regression'?"]),
        (["runs=unknown"], ["no run 'unknown' in runs"]),
        (["runs_dir=elsewhere"], ["no runs in elsewhere"]),
        (["all=perhaps"], ["all=perhaps"]),
        (["objective=strct"], ["conf/objective/strct.yaml", "did you mean 'strict'?"]),
        (["objective.metrik=f1_macro"], ["objective.metrik", "did you mean 'metric'?"]),
        (["rule"], ["'rule' is not of the form key=value", "baseline"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_invalid_arguments_are_reported(arguments: list[str], parts: list[str], compare: Verb) -> None:
    code, out, err = compare(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err


def test_altered_predictions_are_rejected(runs: Path, compare: Verb) -> None:
    altered, source, _ = of_name(runs, "regression")
    shutil.copy(source.path / "predictions/test.parquet", altered.path / "predictions/test.parquet")
    code, out, err = compare()
    assert (code, out) == (2, "")
    assert "not comparable" in err
    assert str(altered.path) in err


def test_json_has_no_nan_or_infinity(compare: Verb) -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    assert json.loads(compare("format=json")[1], parse_constant=refuse)


def test_terminal_output_wraps_without_losing_text(
    compare: Verb, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    piped = compare(FEW)[1]
    assert max(len(line) for line in piped.splitlines()) > 80, "piped output is not wrapped"
    terminal(80)
    out = compare(FEW)[1]
    assert sorted("".join(out.split())) == sorted("".join(piped.split()))
    assert all(len(line) <= 80 for line in out.splitlines())
    start = next(index for index, line in enumerate(out.splitlines()) if line.startswith("p  "))
    first, second = out.splitlines()[start : start + 2]
    assert len(second) - len(second.lstrip()) == len("p") + len(first[1:]) - len(first[1:].lstrip())


def test_long_names_do_not_hide_numbers(runs: Path, compare: Verb, terminal: Terminal) -> None:
    name = "regression_words_only_without_stemming"
    for run in of_name(runs, "regression"):
        rewrite(run.path, name=name)
    piped = compare(FEW)[1]
    terminal(80)
    out = compare(FEW)[1]
    assert all(len(line) <= 80 for line in out.splitlines())
    numbers = re.compile(r"[+-]?\d[\d.,]*|<\.001")
    assert sorted(numbers.findall(out)) == sorted(numbers.findall(piped))


def test_markdown_does_not_depend_on_terminal(compare: Verb, terminal: Terminal) -> None:
    piped = compare(FEW, "format=md")[1]
    terminal(60)
    assert compare(FEW, "format=md")[1] == piped

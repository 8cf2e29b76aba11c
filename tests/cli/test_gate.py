"""Tests for `ratchet gate`: its exit codes, criteria and reports."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from tests.sample_runs import copy_run, find_named_runs, rewrite_record

from ratchet.config import compose_objective, plain

Verb = Callable[..., tuple[int, str, str]]
Terminal = Callable[[int], None]
FEW = "resamples=100"  # enough for tests of the layout
UNCLEAR = "objective.evidence.repeats=5"
NOTHING = "objective.floor=0.99"
SIMPLE = ("objective.floor=0.1", "objective.margin=0.5")


@pytest.fixture(autouse=True)
def runs(ladder_here: Path) -> Path:
    return ladder_here


@pytest.fixture
def gate(verb: Verb) -> Verb:
    return lambda *arguments: verb("gate", "resamples=500", *arguments)


def split_cells(table: str) -> list[list[str]]:
    """Return the cells of each row, without the title and the column headers."""
    return [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()[2:]]


@pytest.mark.parametrize(
    ("arguments", "code", "headline"),
    [
        ([], 0, "sample: regression ships: the only one that meets every criterion"),
        (SIMPLE, 0, "sample: rule ships: the simplest of 2 that meet every criterion"),
        ([NOTHING], 3, "sample: nothing ships: every candidate fails a criterion"),
        ([UNCLEAR], 3, "sample: too little evidence: nothing meets every criterion, but regression failed none"),
    ],
    ids=["ships", "simplest", "nothing", "unclear"],
)
def test_exit_code_and_first_line_give_decision(arguments: list[str], code: int, headline: str, gate: Verb) -> None:
    exit_code, out, err = gate(*arguments)
    assert (exit_code, err) == (code, "")
    assert out.splitlines()[0] == headline
    assert gate(*arguments, "format=md")[0] == code
    assert gate(*arguments, "format=json")[0] == code


def test_every_criterion_shows_state_and_what_is_needed(gate: Verb) -> None:
    out = gate(UNCLEAR)[1]
    rule, regression = out.split("\n\n")[1:]
    assert rule.splitlines()[0].startswith("rule does not ship: fails 1 of ")
    criteria = {row[0]: row[1:] for row in split_cells(rule)}
    assert {state for state, *_ in criteria.values()} == {"pass", "too little evidence", "fail"}
    state, _, needed = criteria["no more than 0.03 below regression"]
    assert state == "fail"
    assert needed.startswith("0.")
    assert regression.splitlines()[0] == "regression does not ship: too little evidence"
    [unclear] = [row for row in split_cells(regression) if row[1] == "too little evidence"]
    assert unclear[0] == "repeats at least 5"
    assert unclear[2] == "3"
    assert unclear[3].startswith("2 more (split.seed=")
    assert all(word in out for word in ("latency p95 at most 50 ms", "size at most 500 MB", "fit at most 30 min"))


def test_passing_but_less_simple_candidate_is_explained(gate: Verb) -> None:
    out = gate(*SIMPLE)[1]
    assert "rule ships: meets every criterion, and nothing simpler does" in out
    assert "regression does not ship: passes too, but rule is simpler" in out


def test_objective_is_shown_with_name_and_hash(gate: Verb) -> None:
    line = gate("objective=strict")[1].splitlines()[1]
    assert line.startswith(f"  objective strict ({compose_objective(['objective=strict']).hash[:12]}, ")


def test_command_line_objective_settings_are_noted(gate: Verb) -> None:
    assert "  note: set on the command line: objective.floor=0.99" in gate(NOTHING)[1].splitlines()
    assert "command line" not in gate()[1]


def test_objective_changed_after_runs_started_is_noted(runs: Path, gate: Verb) -> None:
    for run in find_named_runs(runs, "rule"):
        rewrite_record(run.path, started_at="2020-01-01T00:00:00+00:00")
    [note] = [line for line in gate()[1].splitlines() if "note: " in line]
    assert "default.yaml was changed on " in note
    assert "after the first of these runs had started (2020-01-01 00:00 UTC)" in note


def test_json_has_complete_evidence_of_decision(runs: Path, gate: Verb) -> None:
    code, out, err = gate("objective.floor=0.2", "format=json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    objective = compose_objective(["objective.floor=0.2"])
    assert report["objective"]["hash"] == objective.hash
    assert report["objective"]["changed"] == "set on the command line: objective.floor=0.2"
    assert report["settings"] == plain(objective.settings)
    assert report["split_hashes"] == sorted(str(run.record.split_hash) for run in find_named_runs(runs, "rule"))
    decision = report["decision"]
    assert (decision["outcome"], decision["ships"]) == ("ships", "regression")
    assert [judgement["name"] for judgement in decision["judgements"]] == ["rule", "regression"]
    for judgement in decision["judgements"]:
        assert judgement["runs"] == [run.record.id for run in find_named_runs(runs, judgement["name"])]
        assert judgement["ships"] == (judgement["name"] == "regression")
        assert {clause["state"] for clause in judgement["clauses"]} <= {"pass", "fail", "too little evidence"}
        assert all((clause["needed"] is None) == (clause["state"] == "pass") for clause in judgement["clauses"])


def test_markdown_has_one_table_per_candidate(gate: Verb) -> None:
    lines = gate("format=md", NOTHING)[1].splitlines()
    assert sum(line == "| criterion | state | evidence | needed |" for line in lines) == 2
    assert all(line.count("|") == 5 for line in lines if line.startswith("|"))
    assert any(line.startswith("**rule does not ship: fails 1 of ") for line in lines)


def test_left_out_runs_are_listed_at_end(runs: Path, gate: Verb) -> None:
    rewrite_record(find_named_runs(runs, "regression")[0].path, status="interrupted")
    code, out, _ = gate("name=rule,regression")
    assert code == 3, "only two repeats remain"
    assert out.splitlines()[-3:-1] == [
        "left out  1 run: the run is interrupted",
        "left out  split.seed=0 of rule: not measured there: regression",
    ]
    assert out.splitlines()[-1] == "left out  to include them: `ratchet train split.seed=0`"


def test_interrupted_repeat_of_the_best_lets_nothing_worse_ship(runs: Path, gate: Verb) -> None:
    rewrite_record(find_named_runs(runs, "regression")[0].path, status="interrupted")
    code, out, _ = gate()
    assert code == 3
    assert out.startswith("sample: too little evidence: nothing meets every criterion, but rule failed none")
    assert "  set aside: regression: measured on split.seed=1,2 only; " in out
    [row] = [line for line in out.splitlines() if line.startswith("no more than 0.03 below regression, which is set")]
    assert "split.seed=0`" in row


def test_exploratory_run_takes_no_evidence_from_others(runs: Path, gate: Verb) -> None:
    [run, *_] = find_named_runs(runs, "regression")
    copy_run(run, "try", overrides=["model=regression", "name=try", "model.C=0.5", "split.seed=0"])
    code, out, _ = gate()
    assert code == 0
    assert out.splitlines()[0] == "sample: regression ships: the only one that meets every criterion; set aside: try"
    command = "ratchet train -m model=regression name=try model.C=0.5 split.seed=1,2"
    assert (
        f"set aside: try: measured on split.seed=0 only; with more repeats it could change the outcome: `{command}`"
        in out
    )
    report = json.loads(gate("format=json")[1])
    assert report["set_aside"] == [{"name": "try", "why": "measured on split.seed=0 only", "complete": command}]
    assert [judgement["name"] for judgement in report["decision"]["judgements"]] == ["rule", "regression"]


def test_budget_that_a_busy_machine_exceeds_is_not_judged(runs: Path, gate: Verb) -> None:
    named = find_named_runs(runs, "regression")
    for run in named:
        costs = json.loads((run.path / "cost.json").read_text())
        costs |= {"cost/latency_ms_p95": 281.0, "cost/latency_waited": 0.82, "cost/load_average": 11.0, "cost/cores": 2}
        (run.path / "cost.json").write_text(json.dumps(costs))
    code, out, _ = gate()
    assert code == 3
    assert out.startswith("sample: too little evidence: nothing meets every criterion, but regression failed none")
    [row] = [line for line in out.splitlines() if line.startswith("latency p95") and "281 ms" in line]
    assert (
        "not judged, because the machine was busy (82% of the time waiting for a processor, load 11 on 2 cores)" in row
    )
    assert f"`ratchet runs measure {' '.join(run.record.id for run in named)}`" in row


def test_custom_objective_is_read_from_config_dir(gate: Verb) -> None:
    path = Path("mine", "objective", "easy.yaml")
    path.parent.mkdir(parents=True)
    path.write_text("defaults: [base_objective, _self_]\nmargin: 0.5\nevidence: {repeats: 1, test_records: 1}\n")
    code, out, _ = gate("--config-dir", "mine", "objective=easy")
    assert code == 0
    assert out.startswith("sample: rule ships")
    assert "objective easy (" in out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["objective=defualt"], ["conf/objective/defualt.yaml", "'default'"]),
        (["objective.flor=0.1"], ["'objective.flor'", "'floor'"]),
        (["objective.floor=2"], ["objective.floor=2", "at most 1"]),
        (["objectve=strict"], ["'objectve'", "'objective'"]),
        (["+objective.labels.adio=0.5"], ["objective.labels", "'adio'", "'audio'"]),
        (["baseline=rule"], ["'baseline'"]),
        (["name=rul"], ["'rule'"]),
        (["formt=json"], ["'format'"]),
        (["--config-dir", "nowhere"], ["nowhere"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_invalid_arguments_are_reported(arguments: list[str], parts: list[str], gate: Verb) -> None:
    code, out, err = gate(*arguments)
    assert (code, out) == (2, "")
    for part in parts:
        assert part in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [([], 0), ([NOTHING], 3), ([UNCLEAR], 3)],
    ids=["ships", "nothing", "unclear"],
)
def test_check_repeats_stored_verdict_and_exit_code(arguments: list[str], code: int, gate: Verb, verb: Verb) -> None:
    out = gate(*arguments, "format=json")[1]
    Path("build").mkdir()
    Path("build", "verdict.json").write_text(out, encoding="utf-8")
    headline = gate(*arguments)[1].splitlines()[0]
    assert verb("gate", "--check") == (code, f"{headline}\n", "")
    Path("build", "verdict.json").rename("mine.json")
    assert verb("gate", "verdict=mine.json", "--check") == (code, f"{headline}\n", "")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"5", b"\xff", b"{}", b'{"data": "sample"}', b'{"data": "sample", "decision": []}'],
    ids=repr,
)
def test_check_rejects_invalid_verdict_file(content: bytes, verb: Verb) -> None:
    Path("verdict.json").write_bytes(content)
    code, out, err = verb("gate", "--check", "verdict=verdict.json")
    assert (code, out) == (2, "")
    assert err.startswith("error: verdict.json: ")
    assert "`dvc repro`" in err


def test_check_reports_command_that_writes_missing_verdict(verb: Verb) -> None:
    code, out, err = verb("gate", "--check")
    assert (code, out) == (2, "")
    assert err.startswith("error: build/verdict.json: ")
    assert "`dvc repro`" in err


def test_check_does_not_accept_an_objective(verb: Verb) -> None:
    code, out, err = verb("gate", "--check", "objective=strict")
    assert (code, out) == (2, "")
    assert "'objective'" in err


def test_terminal_output_wraps_criteria_without_losing_text(gate: Verb, terminal: Terminal) -> None:
    piped = gate(FEW, UNCLEAR)[1]
    terminal(80)
    out = gate(FEW, UNCLEAR)[1]
    assert sorted("".join(out.split())) == sorted("".join(piped.split())), "no character is lost"
    assert all(len(line) <= 80 for line in out.splitlines())


def test_long_names_wrap_without_losing_text(runs: Path, gate: Verb, terminal: Terminal) -> None:
    name = "régression_日本語_with_words_only_and_without_stemming"
    for run in find_named_runs(runs, "regression"):
        rewrite_record(run.path, name=name)
    piped = gate(FEW)[1]
    terminal(80)
    out = gate(FEW)[1]
    assert all(cell_len(line) <= 80 for line in out.splitlines())
    assert sorted("".join(out.split())) == sorted("".join(piped.split())), "no character is lost"


def test_markdown_does_not_depend_on_terminal(gate: Verb, terminal: Terminal) -> None:
    piped = gate(FEW, "format=md", UNCLEAR)[1]
    terminal(60)
    assert gate(FEW, "format=md", UNCLEAR)[1] == piped

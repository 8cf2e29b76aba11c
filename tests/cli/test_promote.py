"""Tests for `ratchet promote`: it records the decision of the gate, is overruled only by force, and only appends."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.commands import PROJECT
from tests.sample_runs import copy_run, find_named_runs

from ratchet.config import compose_objective
from ratchet.objective.gate import gather_and_judge
from ratchet.runs.promotions import Promotion, add_decision, find_promoted, read_decisions
from ratchet.runs.provenance import read_git_state

Verb = Callable[..., tuple[int, str, str]]
Terminal = Callable[[int], None]
FILE = Path("promotions/sample.jsonl")
SIMPLE = ("objective.floor=0.1", "objective.margin=0.5")
FORCE = ("force=true", "reason=because")


@pytest.fixture(autouse=True)
def runs(ladder_here: Path) -> Path:
    return ladder_here


@pytest.fixture
def promote(verb: Verb) -> Verb:
    return lambda *arguments: verb("promote", "resamples=500", *arguments)


@pytest.fixture
def show_json(verb: Verb) -> Callable[[], dict[str, Any]]:
    """Return a function that reads the JSON of `promote show`."""
    return lambda: dict(json.loads(verb("promote", "show", "format=json")[1]))


def read_log() -> list[Promotion]:
    return read_decisions(Path("promotions"), "sample")


def test_shipping_candidate_is_promoted(runs: Path, promote: Verb) -> None:
    code, out, err = promote()
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "sample: regression ships: the only one that meets every criterion",
        "promoted regression (gate: ships)",
        f"written to {FILE}: commit it",
    ]
    [decision] = read_log()
    assert (decision.name, decision.model, decision.gate, decision.forced) == (
        "regression",
        "regression",
        "ships",
        False,
    )
    assert decision.why == "meets every criterion, and nothing simpler does"
    assert decision.runs == {run.record.id: run.record.split_hash for run in find_named_runs(runs, "regression")}
    assert decision.config_hash == find_named_runs(runs, "regression")[0].record.config_hash
    code = {run.record.code_hash for run in find_named_runs(runs, "regression")}
    assert decision.code == ([] if None in code else sorted(map(str, code))), "None: it was edited meanwhile"


def test_decision_records_evidence_and_objective(promote: Verb) -> None:
    promote(*SIMPLE, "reason='small machine'")
    [decision] = read_log()
    assert (decision.name, decision.why) == ("rule", "small machine")
    objective = compose_objective(SIMPLE)
    assert decision.objective["hash"] == objective.hash
    assert decision.objective["settings"]["margin"] == 0.5
    assert decision.objective["changed"] == f"set on the command line: {' '.join(SIMPLE)}"
    assert set(decision.evidence["candidates"]) == {"rule", "regression"}
    assert {clause["state"] for clause in decision.evidence["clauses"]} == {"pass"}
    assert decision.evidence["records"] > 200
    assert decision.commit == read_git_state(PROJECT)[0]["commit"]


def test_shipping_candidate_may_be_named(promote: Verb) -> None:
    assert promote("candidate=regression")[0] == 0
    assert read_log()[0].forced is False
    assert promote("candidate=regression", *FORCE)[0] == 0
    assert read_log()[1].forced is False, "force is not recorded where the gate agrees"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["candidate=rule"], "not promoted: rule fails 1 of "),
        (["objective.floor=0.99"], "not promoted: nothing ships"),
        (["objective.evidence.repeats=5"], "not promoted: too little evidence"),
        ([*SIMPLE, "candidate=regression"], "not promoted: regression passes too, but rule is simpler"),
    ],
    ids=["worse", "nothing", "unclear", "not the simplest"],
)
def test_rejected_promotion_writes_nothing(arguments: list[str], message: str, promote: Verb) -> None:
    code, out, err = promote(*arguments)
    assert (code, err) == (3, "")
    assert out.splitlines()[1].startswith(message)
    assert 'force=true reason="..." overrules it' in out
    assert sorted(path.name for path in Path().iterdir()) == ["runs"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["candidate=rule", "force=true"], ["force=true", "reason"]),
        (["candidate=rule", "force=true", "reason='  '"], ["force=true", "reason"]),
        (["force=true"], ["force=true", "reason"]),
        ([*FORCE, "objective.floor=0.99"], ["candidate=NAME"]),
        (["candidate=ruel"], ["candidate=ruel", "'rule'"]),
        (["candidat=rule"], ["'candidat'", "'candidate'"]),
        (["force=perhaps"], ["force=perhaps"]),
        (["data=smple"], ["data=smple", "'sample'"]),
        (["objective=strct"], ["'strict'"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_invalid_arguments_are_reported_and_write_nothing(
    arguments: list[str], parts: list[str], promote: Verb
) -> None:
    code, _, err = promote(*arguments)
    assert code == 2
    assert err.startswith("error: ")
    for part in parts:
        assert part in err
    assert not FILE.exists()


@pytest.mark.parametrize(
    ("arguments", "gate"),
    [
        (["candidate=rule"], "regression ships, not rule"),
        (["candidate=rule", "objective.floor=0.99"], "nothing ships"),
        (["candidate=regression", "objective.evidence.repeats=5"], "too little evidence"),
    ],
)
def test_forced_promotion_is_marked_wherever_model_is_shown(
    arguments: list[str], gate: str, promote: Verb, verb: Verb, show_json: Callable[[], dict[str, Any]]
) -> None:
    name = arguments[0].partition("=")[2]
    settings = " ".join(argument for argument in arguments if argument.startswith("objective."))
    objective_note = f"; objective set on the command line: {settings}" if settings else ""
    remark = f"gate: {gate}{objective_note}; forced: the customer waits"
    code, out, _ = promote(*arguments, "force=true", 'reason="the customer waits"')
    assert code == 0
    assert f"promoted {name} ({remark})" in out
    assert verb("promote", "show")[1].splitlines()[0] == f"sample: {name} is promoted ({remark})"
    [row] = [line for line in verb("promote", "show")[1].splitlines() if " promote " in line]
    assert f"{gate}, forced" in row
    promotion = show_json()["promoted"]
    assert (promotion["name"], promotion["gate"], promotion["forced"], promotion["why"]) == (
        name,
        gate,
        True,
        "the customer waits",
    )
    table = verb("compare", "resamples=200")[1]
    assert f"promoted ({remark})" in table
    comparison = json.loads(verb("compare", "resamples=200", "format=json")[1])
    assert {candidate["name"]: candidate["promoted"] for candidate in comparison["candidates"]}[name] == remark


def test_rollback_restores_previous_promotion(promote: Verb, verb: Verb) -> None:
    promote("candidate=rule", "objective.floor=0.99", *FORCE)
    promote()
    code, out, _ = verb("promote", "rollback", "reason='too slow'")
    assert code == 0
    remark = "(gate: nothing ships; objective set on the command line: objective.floor=0.99; forced: because)"
    first, second = read_log()[:2]
    old, new = (f"{it.name}@{str(it.config_hash)[:8]} of {it.at[:19]}" for it in (first, second))
    assert out.splitlines()[0] == f"sample: {new} rolled back, {old} is promoted again {remark}"
    assert "warning" not in out
    assert f"rule is promoted {remark}" in verb("promote", "show")[1]
    assert (read_log()[-1].action, read_log()[-1].why) == ("rollback", "too slow")
    code, out, _ = verb("promote", "rollback", "reason='that neither'")
    assert (code, out.splitlines()[0]) == (0, f"sample: {old} rolled back, nothing is promoted now")
    assert verb("promote", "show")[1].splitlines()[0] == "sample: nothing is promoted"
    assert "promoted (" not in verb("compare", "resamples=200")[1]


def test_rollback_skips_repeated_promotions_of_the_candidate(promote: Verb, verb: Verb) -> None:
    promote("candidate=rule", *FORCE)
    promote()
    promote()
    out = verb("promote", "rollback", "reason='too slow'")[1]
    assert "rule@" in out.splitlines()[0].partition("rolled back, ")[2]
    promoted = find_promoted(Path("promotions"), "sample")
    assert promoted is not None
    assert promoted.name == "rule"


def test_rollback_warns_of_runs_that_cannot_score(runs: Path, promote: Verb, verb: Verb) -> None:
    promote("candidate=rule", *FORCE)
    promote()
    first, second = find_named_runs(runs, "rule")[:2]
    shutil.rmtree(first.path)
    shutil.rmtree(second.path / "model")
    code, out, _ = verb("promote", "rollback", "reason='too slow'")
    assert code == 0
    assert f"cannot score with all of its runs: {first.record.id}: not in runs; {second.path}: its weights" in out
    assert "runs_dir=" in out
    promoted = find_promoted(Path("promotions"), "sample")
    assert promoted is not None
    assert promoted.name == "rule"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda run: shutil.rmtree(run), "not a run directory"),
        (lambda run: shutil.rmtree(run / "model"), "its weights (model/) were not kept or were removed"),
        (lambda run: next((run / "model").iterdir()).unlink(), "its weights (model/) are incomplete"),
        (lambda run: (run / "predictions/test.parquet").unlink(), "without predictions/test.parquet"),
        (lambda run: (run / "calibration.json").unlink(), "without calibration.json"),
    ],
    ids=["removed", "no weights", "weights incomplete", "no predictions", "no calibration"],
)
def test_incomplete_run_is_not_promoted(
    damage: Callable[[Path], None], reason: str, runs: Path, promote: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be pruned while the gate judges."""
    run = find_named_runs(runs, "regression")[0].path

    def judge_and_damage(*arguments: Any, **options: Any) -> Any:
        verdict = gather_and_judge(*arguments, **options)
        damage(run)
        return verdict

    monkeypatch.setattr("ratchet.cli.promote.gather_and_judge", judge_and_damage)
    code, _, err = promote()
    assert code == 2
    assert str(run) in err
    assert reason in err
    assert not FILE.exists()


@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_decision_of_another_process_is_not_overruled(
    action: str, promote: Verb, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision is made on what the command read: if the log has changed by then, nothing is recorded."""
    for _ in range(2):
        promote("candidate=rule", *FORCE)
    [first, _] = read_log()

    def record_another_first(root: Path) -> Any:
        add_decision(Path("promotions"), dataclasses.replace(first, name="other", at="later"))
        return read_git_state(root)

    monkeypatch.setattr("ratchet.objective.promote.read_git_state", record_another_first)
    code, _, err = promote() if action == "promote" else verb("promote", "rollback", "reason=slow")
    assert code == 2
    assert "another decision was recorded meanwhile (promote other at later): nothing was recorded" in err
    assert [decision.name for decision in read_log()] == ["rule", "rule", "other"]


def test_history_file_is_append_only(promote: Verb, verb: Verb) -> None:
    steps: list[Callable[[], tuple[int, str, str]]] = [
        promote,
        lambda: promote("candidate=rule", *FORCE),
        lambda: verb("promote", "rollback", "reason=oops"),
        lambda: verb("promote", "rollback", "reason='once more'"),
        promote,
    ]
    before = b""
    for number, step in enumerate(steps, start=1):
        assert step()[0] == 0
        after = FILE.read_bytes()
        assert after.startswith(before)
        assert after.count(b"\n") == number
        before = after
    lines = verb("promote", "show")[1].splitlines()
    assert [line.split()[1] for line in lines[3:]] == ["promote", "promote", "rollback", "rollback", "promote"]
    assert [path.name for path in FILE.parent.iterdir()] == [FILE.name]


def test_rejected_decision_leaves_file_unchanged(promote: Verb, verb: Verb) -> None:
    promote()
    before = FILE.read_bytes()
    promote("candidate=rule")
    promote("candidate=rule", "force=true")
    verb("promote", "rollback")
    assert FILE.read_bytes() == before


def test_history_is_shown_in_markdown(promote: Verb, verb: Verb) -> None:
    promote()
    lines = verb("promote", "show", "format=md")[1].splitlines()
    assert lines[2].startswith("| at | decision | candidate | gate | objective | commit | why |")
    assert "| promote | regression | ships | default |" in lines[4]


@pytest.mark.parametrize(("dirty", "shown"), [(True, "01234567+"), (False, "01234567"), (None, "01234567?")])
def test_history_shows_whether_the_code_differed_from_its_commit(
    promote: Verb, verb: Verb, dirty: bool | None, shown: str
) -> None:
    promote()
    decision = json.loads(FILE.read_text())
    FILE.write_text(json.dumps(decision | {"commit": "0123456789abcdef", "commit_dirty": dirty}) + "\n")
    assert f"| {shown} |" in verb("promote", "show", "format=md")[1]


def test_data_set_must_be_named_if_ambiguous(promote: Verb, verb: Verb) -> None:
    promote()
    shutil.copy(FILE, FILE.with_name("other.jsonl"))
    for action in ("show", "rollback"):
        code, _, err = verb("promote", action)
        assert code == 2
        assert "data=other or data=sample" in err
    assert verb("promote", "show", "data=sample")[0] == 0
    assert "'sample'" in verb("promote", "show", "data=sampl")[2]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["sho"], ["promote sho", "'show'"]),
        (["regression"], ["promote regression", "candidate=NAME names one"]),
        (["show"], ["promotions"]),
        (["rollback", "reason=x"], ["promotions"]),
        (["show", "formt=md"], ["'format'"]),
        (["rollback", "resaon=x"], ["'reason'"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_invalid_action_is_reported(arguments: list[str], parts: list[str], verb: Verb) -> None:
    code, out, err = verb("promote", *arguments)
    assert (code, out) == (2, "")
    for part in parts:
        assert part in err


def test_rollback_requires_reason_and_promotion(promote: Verb, verb: Verb) -> None:
    promote()
    for reason in ([], ["reason=''"], ["reason=' '"]):
        code, _, err = verb("promote", "rollback", *reason)
        assert code == 2
        assert "reason" in err
    verb("promote", "rollback", "reason=oops")
    code, _, err = verb("promote", "rollback", "reason=again")
    assert (code, err.startswith("error: sample: ")) == (2, True)
    assert find_promoted(Path("promotions"), "sample") is None


def test_left_out_candidates_are_noted_in_promotion(promote: Verb, verb: Verb) -> None:
    """A candidate without competitors is sure to win."""
    code, out, _ = promote("name=rule")
    assert code == 0
    assert "promoted rule (gate: ships, with regression out of the contest)" in out
    assert "with regression out of the contest" in verb("promote", "show")[1]
    assert "not named: regression" in verb("gate", "resamples=500", "name=rule")[1]


def test_reason_is_stored_verbatim(promote: Verb, verb: Verb) -> None:
    why = "see #12: costs ${5\u2028and more"
    assert promote("candidate=rule", "force=true", f"reason={why}")[0] == 0
    assert read_log()[-1].why == why
    assert verb("promote", "show")[0] == 0


def test_command_line_objective_is_marked_in_history(promote: Verb, verb: Verb) -> None:
    assert promote("+objective.labels.audio=0.01", "objective.floor=0.1")[0] == 0
    assert promote("objective.floor=0.1")[0] == 0
    out = verb("promote", "show")[1]
    assert "default*" in out
    assert "* set on the command line: objective.floor=0.1" in out


def test_promotion_on_chosen_runs_is_noted(runs: Path, promote: Verb) -> None:
    """The choice of splits can decide which candidate wins."""
    ids = ",".join(run.record.id for name in ("rule", "regression") for run in find_named_runs(runs, name))
    assert "promoted regression (gate: ships, on chosen runs)" in promote(f"runs={ids}")[1]


def test_history_on_terminal_shows_every_column(promote: Verb, verb: Verb, terminal: Terminal) -> None:
    """A single table would be far wider than 80 columns."""
    why = "the customer wants the rules, whatever they cost, and has said so in the meeting of last Thursday"
    assert promote("candidate=rule", "force=true", f"reason={why}")[0] == 0
    row = verb("promote", "show")[1].splitlines()[3]
    terminal(80)
    out = verb("promote", "show")[1]
    assert all(len(line) <= 80 for line in out.splitlines())
    assert set(out.split()) >= set(row.split()) | {"decision", "candidate", "gate", "objective", "commit", "why"}
    assert " ".join(out.split()).replace(read_log()[0].at, "").count("meeting of last Thursday") == 2


def test_rejection_wraps_on_terminal(promote: Verb, terminal: Terminal) -> None:
    arguments = ("candidate=rule", "resamples=100")
    piped = promote(*arguments)[1]
    terminal(80)
    out = promote(*arguments)[1]
    assert out.split() == piped.split()
    assert all(len(line) <= 80 for line in out.splitlines())


def test_candidate_set_aside_is_named_in_promotion(promote: Verb, verb: Verb) -> None:
    [run, *_] = find_named_runs(Path("runs"), "regression")
    copy_run(run, "try", overrides=["model=regression", "name=try", "split.seed=0"])
    code, _, err = promote("candidate=try", "force=true", "reason=curious")
    assert (
        code,
        "candidate=try: set aside: measured on split.seed=0 only. Complete it: `ratchet train -m " in err,
    ) == (
        2,
        True,
    )
    code, out, _ = promote()
    assert code == 0
    assert "promoted regression (gate: ships, with try out of the contest)" in out
    assert promote("name=try", "candidate=try", "force=true", "reason=curious")[0] == 0

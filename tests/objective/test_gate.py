"""Tests for the gate: which candidate ships and why, and how changes of the objective are reported."""

import dataclasses
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.objective.builders import build_evidence, build_objective, set_aside

from ratchet.comparison.evidence import Doubt
from ratchet.config import Metric, Objective, ObjectiveConfig, compose_objective
from ratchet.config.objective_schema import BudgetConfig, MinimumEvidence
from ratchet.errors import UserError
from ratchet.objective.criteria import Criterion
from ratchet.objective.gate import Decision, ObjectiveState, decide, describe_objective, judge
from ratchet.runs import StoredRun
from ratchet.runs.git import run_git

BUDGET = BudgetConfig(size_mb=10)
LARGE = {"size_mb": 100.0}
Git = Callable[..., str]
BEFORE, DURING, AFTER = (datetime(2026, 1, day, 12, tzinfo=UTC) for day in (1, 10, 20))


def get_states(decision: Decision) -> dict[str, str]:
    return {judgement.name: judgement.state for judgement in decision.judgements}


def test_simplest_passing_candidate_ships() -> None:
    decision = decide(build_evidence(0.4, 0.80, 0.82, 0.83), build_objective(floor=0.6, margin=0.2))
    assert get_states(decision) == {"a": "fail", "b": "pass", "c": "pass", "d": "pass"}
    assert (decision.outcome, decision.ships) == ("ships", "b")
    assert decision.why == "the simplest of 3 that meet every criterion"
    assert [judgement.ships for judgement in decision.judgements] == [False, True, False, False]
    assert decision.of("b").why == "meets every criterion, and nothing simpler does"
    assert decision.of("c").why == "passes too, but b is simpler"


def test_simpler_candidate_below_margin_does_not_ship() -> None:
    decision = decide(build_evidence(0.6, 0.9), build_objective(margin=0.05))
    assert (decision.ships, decision.why) == ("b", "the only one that meets every criterion")
    assert decision.of("a").clauses[-1].name == "no more than 0.05 below b"
    assert decision.of("a").state == "fail"
    assert decision.of("a").why.startswith("fails 1 of 4 criteria; needed: no more than 0.05 below b: 0.")


def test_better_of_equally_simple_candidates_ships() -> None:
    decision = decide(build_evidence(0.80, 0.85, complexities=[1, 1]), build_objective(margin=0.3))
    assert get_states(decision) == {"a": "pass", "b": "pass"}
    assert decision.ships == "b"
    assert decision.of("a").why == "passes too, but b is as simple and scores higher"


@pytest.mark.parametrize("metric", [Metric.f1_weighted, Metric.f1_macro])
def test_judgement_value_is_metric_of_objective(metric: Metric) -> None:
    evidence = build_evidence(0.80, 0.85)
    for judgement in decide(evidence, build_objective(metric=metric)).judgements:
        metrics = evidence.of(judgement.name).metrics
        assert judgement.value == pytest.approx(metrics[metric.name].values.mean())
        assert metrics["f1_weighted"].values.mean() != pytest.approx(metrics["f1_macro"].values.mean())


def test_candidate_over_budget_is_no_rival() -> None:
    evidence = build_evidence(0.7, 0.95, costs=[{}, LARGE])
    without_budget = decide(evidence, build_objective(margin=0.05))
    assert without_budget.ships == "b", "without a budget, b ships"
    decision = decide(evidence, build_objective(margin=0.05, budgets=BUDGET))
    assert (decision.outcome, decision.ships) == ("ships", "a")
    assert not any("below b" in criterion.name for criterion in decision.of("a").clauses)
    assert decision.of("b").state == "fail"
    assert decision.of("b").clauses[-1].name == "no more than 0.05 below a", "b is still compared with its rivals"


def test_candidate_with_unknown_cost_is_a_rival() -> None:
    evidence = build_evidence(0.7, 0.95, costs=[{}, {"size_mb": None}])
    decision = decide(evidence, build_objective(margin=0.05, budgets=BUDGET))
    assert get_states(decision) == {"a": "fail", "b": "too little evidence"}
    assert decision.outcome == "too little evidence"


def test_busy_machine_does_not_change_what_ships() -> None:
    """Without its budget, b ships. A busy machine must not let the simpler and worse a ship instead."""
    budgets = BudgetConfig(latency_ms_p95=50)
    doubt = {"latency_ms_p95": Doubt({"b-0": "load 11 on 2 cores"}, only=True)}
    slow = build_evidence(0.7, 0.95, costs=[{}, {"latency_ms_p95": 281.0}], doubts=[{}, doubt])
    decision = decide(slow, build_objective(margin=0.05, budgets=budgets))
    assert (decision.outcome, decision.ships) == ("too little evidence", None)
    assert get_states(decision) == {"a": "fail", "b": "too little evidence"}
    assert "latency p95 at most 50 ms: an idle machine: `ratchet runs measure " in decision.of("b").why


def test_candidate_set_aside_takes_no_evidence_and_is_named() -> None:
    evidence = set_aside(build_evidence(0.4, 0.80), "try", {"s1": 0.81})
    decision = decide(evidence, build_objective(floor=0.6, margin=0.05))
    assert (decision.outcome, decision.ships) == ("ships", "b")
    assert decision.why == "the only one that meets every criterion; set aside: try"
    assert [clause.name for clause in decision.of("b").clauses if "try" in clause.name] == []


def test_much_better_candidate_set_aside_holds_the_decision() -> None:
    """Otherwise the simplest model ships as soon as a repeat of the best one is interrupted."""
    evidence = build_evidence(0.80)
    value = evidence.of("a").metrics["f1_weighted"].values[:2]
    better = {split: float(own) + 0.06 for split, own in zip(("s0", "s1"), value, strict=True)}
    decision = decide(set_aside(evidence, "best", better), build_objective(margin=0.05))
    assert (decision.outcome, decision.ships) == ("too little evidence", None)
    [criterion] = [clause for clause in decision.of("a").clauses if clause.state != "pass"]
    assert criterion == Criterion(
        "no more than 0.05 below best, which is set aside",
        "too little evidence",
        "-0.060 on the 2 splits that both have",
        "`ratchet train name=best`",
    )
    assert decide(set_aside(evidence, "best", better), build_objective(margin=0.07)).ships == "a"
    too_large = set_aside(evidence, "best", better, size_mb=100.0)
    assert decide(too_large, build_objective(margin=0.05, budgets=BUDGET)).ships == "a", "over budget, it cannot ship"
    elsewhere = set_aside(evidence, "best", {"s7": 1.0})
    assert decide(elsewhere, build_objective(margin=0.05)).ships == "a", "no split in common"


def test_times_of_different_machines_are_noted() -> None:
    evidence = build_evidence(0.7, 0.95)
    objective = build_objective(budgets=BudgetConfig(latency_ms_p95=50))
    slow, fast = ({"processor": name, "cores": 2} for name in ("Slow", "Fast"))
    first, second = evidence.selection.candidates

    def judge_on(*machines: dict[str, Any]) -> list[str]:
        candidates = tuple(
            dataclasses.replace(candidate, runs=tuple(
                dataclasses.replace(run, record=dataclasses.replace(run.record, machine=machine))
                for run in candidate.runs
            ))
            for candidate, machine in zip((first, second), machines, strict=True)
        )  # fmt: skip
        selection = dataclasses.replace(evidence.selection, candidates=candidates)
        named = Objective(objective, "mine", Path(__file__), ())
        return judge(dataclasses.replace(evidence, selection=selection), named).notes

    assert judge_on(slow, slow) == judge_on({}, slow) == []
    [note] = judge_on(slow, fast)
    assert note.startswith(
        "budgets compare times of different machines: Slow, 2 cores (a); Fast, 2 cores (b). `ratchet"
    )


def test_nothing_ships_if_every_candidate_fails_a_criterion() -> None:
    decision = decide(build_evidence(0.5, 0.6), build_objective(floor=0.9))
    assert (decision.outcome, decision.ships, decision.why) == (
        "nothing ships",
        None,
        "every candidate fails a criterion",
    )
    assert get_states(decision) == {"a": "fail", "b": "fail"}
    assert not any(judgement.ships for judgement in decision.judgements)


def test_reason_names_candidates_without_failures() -> None:
    evidence = build_evidence(0.80, 0.82, 0.81, 0.3)
    decision = decide(evidence, build_objective(margin=0.2, evidence=MinimumEvidence(repeats=5)))
    assert (decision.outcome, decision.ships) == ("too little evidence", None)
    assert decision.why == "nothing meets every criterion, but a, b and c failed none"
    assert decision.of("a").why.startswith("needed: repeats at least 5: 2 more")
    single = decide(build_evidence(0.8), build_objective(evidence=MinimumEvidence(repeats=5)))
    assert single.why == "nothing meets every criterion, but a failed none"


@pytest.mark.parametrize(
    ("minimum", "outcome"),
    [((3, 300), "ships"), ((4, 300), "too little evidence"), ((3, 301), "too little evidence")],
)
def test_nothing_ships_below_minimum_evidence(minimum: tuple[int, int], outcome: str) -> None:
    objective = build_objective(evidence=MinimumEvidence(*minimum))
    assert decide(build_evidence(0.8), objective).outcome == outcome


def test_equal_candidates_with_little_evidence_ship_nothing() -> None:
    decision = decide(build_evidence(0.8, 0.8, records=60), build_objective(margin=0.01))
    assert decision.outcome == "too little evidence"
    assert all(judgement.state == "too little evidence" for judgement in decision.judgements)


def test_candidate_is_not_its_own_rival() -> None:
    decision = decide(build_evidence(0.8, 0.8, 0.8), build_objective())
    for judgement in decision.judgements:
        rivals = [criterion.name.rpartition(" ")[2] for criterion in judgement.clauses if "below" in criterion.name]
        assert sorted([*rivals, judgement.name]) == ["a", "b", "c"]


def test_judgement_names_candidate_and_runs() -> None:
    [judgement] = decide(build_evidence(0.8, complexities=[2]), build_objective()).judgements
    assert (judgement.name, judgement.model, judgement.complexity, judgement.config_hash) == ("a", "a", 2, "hash-a")
    assert judgement.runs == ["a-0", "a-1", "a-2"]


def test_unknown_label_raises() -> None:
    with pytest.raises(UserError, match="'audio'"):
        decide(build_evidence(0.8), build_objective(labels={"adio": 0.5}))


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Run git in a scratch repository: `git("commit", "-qm", "it", at=BEFORE)`."""
    for name in [variable for variable in os.environ if variable.startswith("GIT_")]:
        monkeypatch.delenv(name)

    def call(*arguments: str, at: datetime = BEFORE) -> str:
        dates = {"GIT_AUTHOR_DATE": at.isoformat(), "GIT_COMMITTER_DATE": at.isoformat()}
        result = subprocess.run(
            ["git", *arguments], cwd=tmp_path, env={**os.environ, **dates}, capture_output=True, text=True, check=True
        )
        return result.stdout.strip()

    call("init", "-q")
    call("config", "user.name", "somebody")
    call("config", "user.email", "somebody@example.org")
    call("config", "commit.gpgsign", "false")
    return call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the objective's file, last changed at `BEFORE`."""
    path = tmp_path / "mine.yaml"
    write_file(path, "floor: 0.6\n", BEFORE)
    return path


def write_file(path: Path, text: str, at: datetime) -> None:
    path.write_text(text)
    os.utime(path, (at.timestamp(), at.timestamp()))


def make_runs(*times: datetime) -> list[StoredRun]:
    [run, *_] = build_evidence(0.8).selection.runs
    return [dataclasses.replace(run, record=dataclasses.replace(run.record, started_at=at.isoformat())) for at in times]


def describe_state(path: Path, *overrides: str, started: datetime = DURING) -> ObjectiveState:
    objective = Objective(ObjectiveConfig(), "mine", path, overrides)
    return describe_objective(objective, make_runs(AFTER, started))


def commit_objective(git: Git, at: datetime) -> str:
    git("add", "mine.yaml")
    git("commit", "-q", "-m", "objective", at=at)
    return git("rev-parse", "HEAD")


def test_change_before_runs_is_not_reported(git: Git, path: Path) -> None:
    last = commit_objective(git, BEFORE)
    state = describe_state(path)
    assert (state.commit, state.changed) == (last, None)
    assert (state.name, state.hash) == ("mine", Objective(ObjectiveConfig(), "mine", path, ()).hash)


def test_file_whose_status_is_unknown_is_not_taken_for_committed(
    git: Git, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_objective(git, BEFORE)
    monkeypatch.setattr(
        "ratchet.objective.gate.run_git", lambda *arguments: None if "status" in arguments else run_git(*arguments)
    )
    assert describe_state(path).commit is None


def test_change_after_first_run_is_reported_with_commit(git: Git, path: Path) -> None:
    commit_objective(git, BEFORE)
    path.write_text("floor: 0.5\n")
    last = commit_objective(git, datetime(2026, 1, 15, 9, 30, tzinfo=UTC))
    state = describe_state(path)
    assert state.commit == last
    assert state.changed == (
        f"mine.yaml was changed on 2026-01-15 09:30 UTC in commit {last[:12]}, "
        "after the first of these runs had started (2026-01-10 12:00 UTC)"
    )
    assert describe_state(path, started=datetime(2026, 1, 16, tzinfo=UTC)).changed is None


def test_times_are_compared_across_time_zones(git: Git, path: Path) -> None:
    commit_objective(git, datetime.fromisoformat("2026-01-10T22:00:00+12:00"))  # 10:00 UTC
    assert describe_state(path).changed is None
    assert describe_state(path, started=datetime.fromisoformat("2026-01-10T11:30:00+02:00")).changed is not None


def test_later_commit_of_other_files_is_ignored(git: Git, path: Path) -> None:
    last = commit_objective(git, BEFORE)
    (path.parent / "other.yaml").write_text("floor: 0.5\n")
    git("add", "other.yaml")
    git("commit", "-q", "-m", "other", at=AFTER)
    assert (describe_state(path).commit, describe_state(path).changed) == (last, None)


def test_uncommitted_change_is_reported(git: Git, path: Path) -> None:
    commit_objective(git, BEFORE)
    write_file(path, "floor: 0.4\n", datetime(2026, 1, 12, 8, tzinfo=UTC))
    state = describe_state(path)
    assert state.commit is None, "no commit has this content"
    assert state.changed is not None
    assert state.changed.startswith("mine.yaml was changed on 2026-01-12 08:00 UTC and not committed")


def test_uncommitted_change_before_runs_is_not_reported(git: Git, path: Path) -> None:
    commit_objective(git, BEFORE)
    write_file(path, "floor: 0.4\n", datetime(2026, 1, 9, tzinfo=UTC))
    assert (describe_state(path).commit, describe_state(path).changed) == (None, None)


def test_reverted_change_is_not_reported(git: Git, path: Path) -> None:
    last = commit_objective(git, BEFORE)
    write_file(path, "floor: 0.4\n", AFTER)
    write_file(path, "floor: 0.6\n", AFTER)
    assert (describe_state(path).commit, describe_state(path).changed) == (last, None)


def test_command_line_settings_are_always_reported(git: Git, path: Path) -> None:
    last = commit_objective(git, BEFORE)
    state = describe_state(path, "objective.floor=0.5", "objective.margin=0.1")
    assert state.commit == last
    assert state.changed == "set on the command line: objective.floor=0.5 objective.margin=0.1"


@pytest.mark.usefixtures("git")
def test_untracked_file_uses_modification_time(path: Path) -> None:
    assert (describe_state(path).commit, describe_state(path).changed) == (None, None)
    write_file(path, "floor: 0.4\n", AFTER)
    assert "not committed" in str(describe_state(path).changed)


@pytest.mark.parametrize("missing", ["repository", "program"])
def test_modification_time_is_used_without_git(missing: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing == "program":
        monkeypatch.setenv("PATH", "")
    else:
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(path.parent.parent))
    assert (describe_state(path).commit, describe_state(path).changed) == (None, None)
    write_file(path, "floor: 0.4\n", AFTER)
    assert "2026-01-20 12:00 UTC and not committed" in str(describe_state(path).changed)


def test_objective_records_overrides() -> None:
    objective = compose_objective(["objective=strict", "objective.floor=0.5"])
    assert describe_objective(objective, make_runs(AFTER)).changed == "set on the command line: objective.floor=0.5"

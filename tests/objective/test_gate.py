"""Check the decision: the simplest candidate that meets every criterion ships, or none, or evidence is too little."""

import dataclasses
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.objective.builders import build_evidence, build_objective

from ratchet.config import Metric, Objective, ObjectiveConfig, compose_objective
from ratchet.config.objective_schema import BudgetConfig, MinimumEvidence
from ratchet.errors import UserError
from ratchet.objective.gate import Decision, ObjectiveState, decide, describe_objective
from ratchet.runs import StoredRun

BUDGET = BudgetConfig(size_mb=10)
LARGE = {"size_mb": 100.0}
Git = Callable[..., str]
State = Callable[..., ObjectiveState]
BEFORE, DURING, AFTER = (datetime(2026, 1, day, 12, tzinfo=UTC) for day in (1, 10, 20))


def states(found: Decision) -> dict[str, str]:
    return {each.name: each.state for each in found.judgements}


def test_the_simplest_of_those_that_pass_ships() -> None:
    found = decide(build_evidence(0.4, 0.80, 0.82, 0.83), build_objective(floor=0.6, margin=0.2))
    assert states(found) == {"a": "fail", "b": "pass", "c": "pass", "d": "pass"}
    assert (found.outcome, found.ships) == ("ships", "b")
    assert found.why == "the simplest of 3 that meet every criterion"
    assert [each.ships for each in found.judgements] == [False, True, False, False]
    assert found.of("b").why == "meets every criterion, and nothing simpler does"
    assert found.of("c").why == "passes too, but b is simpler"


def test_a_simpler_one_that_falls_short_of_a_better_one_does_not_ship() -> None:
    found = decide(build_evidence(0.6, 0.9), build_objective(margin=0.05))
    assert (found.ships, found.why) == ("b", "the only one that meets every criterion")
    assert found.of("a").clauses[-1].name == "no more than 0.05 below b"
    assert found.of("a").state == "fail"
    assert found.of("a").why.startswith("fails 1 of 4 criteria; needed: no more than 0.05 below b: 0.")


def test_of_equally_simple_ones_the_better_ships() -> None:
    found = decide(build_evidence(0.80, 0.85, complexities=[1, 1]), build_objective(margin=0.3))
    assert states(found) == {"a": "pass", "b": "pass"}
    assert found.ships == "b"
    assert found.of("a").why == "passes too, but b is as simple and scores higher"


@pytest.mark.parametrize("metric", [Metric.f1_weighted, Metric.f1_macro])
def test_the_value_of_a_judgement_is_the_objectives_metric(metric: Metric) -> None:
    evidence = build_evidence(0.80, 0.85)
    for each in decide(evidence, build_objective(metric=metric)).judgements:
        drawn = evidence.of(each.name).metrics
        assert each.value == pytest.approx(drawn[metric.name].values.mean())
        assert drawn["f1_weighted"].values.mean() != pytest.approx(drawn["f1_macro"].values.mean())


def test_a_candidate_over_budget_sets_no_bar_for_the_others() -> None:
    evidence = build_evidence(0.7, 0.95, costs=[{}, LARGE])
    alone = decide(evidence, build_objective(margin=0.05))
    assert alone.ships == "b", "without a budget it ships, and a does not"
    found = decide(evidence, build_objective(margin=0.05, budgets=BUDGET))
    assert (found.outcome, found.ships) == ("ships", "a")
    assert not any("below b" in each.name for each in found.of("a").clauses)
    assert found.of("b").state == "fail"
    assert found.of("b").clauses[-1].name == "no more than 0.05 below a", "itself it is judged against the others"


def test_a_candidate_that_is_not_proven_bad_does_set_a_bar() -> None:
    evidence = build_evidence(0.7, 0.95, costs=[{}, {"size_mb": None}])
    found = decide(evidence, build_objective(margin=0.05, budgets=BUDGET))
    assert states(found) == {"a": "fail", "b": "too little evidence"}
    assert found.outcome == "too little evidence"


def test_nothing_ships_if_every_candidate_fails_a_criterion() -> None:
    found = decide(build_evidence(0.5, 0.6), build_objective(floor=0.9))
    assert (found.outcome, found.ships, found.why) == ("nothing ships", None, "every candidate fails a criterion")
    assert states(found) == {"a": "fail", "b": "fail"}
    assert not any(each.ships for each in found.judgements)


def test_candidates_that_failed_nothing_are_named() -> None:
    evidence = build_evidence(0.80, 0.82, 0.81, 0.3)
    found = decide(evidence, build_objective(margin=0.2, evidence=MinimumEvidence(repeats=5)))
    assert (found.outcome, found.ships) == ("too little evidence", None)
    assert found.why == "nothing meets every criterion, but a, b and c failed none"
    assert found.of("a").why.startswith("needed: repeats at least 5: 2 more")
    one = decide(build_evidence(0.8), build_objective(evidence=MinimumEvidence(repeats=5)))
    assert one.why == "nothing meets every criterion, but a failed none"


@pytest.mark.parametrize(
    ("minimum", "outcome"),
    [((3, 300), "ships"), ((4, 300), "too little evidence"), ((3, 301), "too little evidence")],
)
def test_below_the_least_evidence_nothing_ships(minimum: tuple[int, int], outcome: str) -> None:
    objective = build_objective(evidence=MinimumEvidence(*minimum))
    assert decide(build_evidence(0.8), objective).outcome == outcome


def test_equal_candidates_with_little_evidence_ship_nothing() -> None:
    found = decide(build_evidence(0.8, 0.8, records=60), build_objective(margin=0.01))
    assert found.outcome == "too little evidence"
    assert all(each.state == "too little evidence" for each in found.judgements)


def test_a_candidate_is_not_its_own_rival() -> None:
    found = decide(build_evidence(0.8, 0.8, 0.8), build_objective())
    for each in found.judgements:
        against = [clause.name.rpartition(" ")[2] for clause in each.clauses if "below" in clause.name]
        assert sorted([*against, each.name]) == ["a", "b", "c"]


def test_a_judgement_names_its_candidate_and_its_runs() -> None:
    [found] = decide(build_evidence(0.8, complexities=[2]), build_objective()).judgements
    assert (found.name, found.model, found.complexity, found.config_hash) == ("a", "a", 2, "hash-a")
    assert found.runs == ["a-0", "a-1", "a-2"]


def test_a_missing_label_is_refused() -> None:
    with pytest.raises(UserError, match="'audio'"):
        decide(build_evidence(0.8), build_objective(labels={"adio": 0.5}))


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Run git in a scratch repository: `git("commit", "-qm", "it", at=BEFORE)`."""
    for name in [each for each in os.environ if each.startswith("GIT_")]:
        monkeypatch.delenv(name)

    def call(*arguments: str, at: datetime = BEFORE) -> str:
        dates = {"GIT_AUTHOR_DATE": at.isoformat(), "GIT_COMMITTER_DATE": at.isoformat()}
        done = subprocess.run(
            ["git", *arguments], cwd=tmp_path, env={**os.environ, **dates}, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    call("init", "-q")
    call("config", "user.name", "somebody")
    call("config", "user.email", "somebody@example.org")
    call("config", "commit.gpgsign", "false")
    return call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the objective's file, last changed at `BEFORE`."""
    path = tmp_path / "mine.yaml"
    write(path, "floor: 0.6\n", BEFORE)
    return path


def write(path: Path, text: str, at: datetime) -> None:
    path.write_text(text)
    os.utime(path, (at.timestamp(), at.timestamp()))


def runs_begun(*times: datetime) -> list[StoredRun]:
    [run, *_] = build_evidence(0.8).selection.runs
    return [dataclasses.replace(run, record=dataclasses.replace(run.record, started_at=at.isoformat())) for at in times]


def state(path: Path, *overrides: str, begun: datetime = DURING) -> ObjectiveState:
    objective = Objective(ObjectiveConfig(), "mine", path, overrides)
    return describe_objective(objective, runs_begun(AFTER, begun))


def commit(git: Git, at: datetime) -> str:
    git("add", "mine.yaml")
    git("commit", "-q", "-m", "objective", at=at)
    return git("rev-parse", "HEAD")


def test_a_change_before_the_runs_is_not_reported(git: Git, path: Path) -> None:
    last = commit(git, BEFORE)
    found = state(path)
    assert (found.commit, found.changed) == (last, None)
    assert (found.name, found.hash) == ("mine", Objective(ObjectiveConfig(), "mine", path, ()).hash)


def test_a_change_after_the_first_run_is_reported_with_its_commit(git: Git, path: Path) -> None:
    commit(git, BEFORE)
    path.write_text("floor: 0.5\n")
    last = commit(git, datetime(2026, 1, 15, 9, 30, tzinfo=UTC))
    found = state(path)
    assert found.commit == last
    assert found.changed == (
        f"mine.yaml was changed on 2026-01-15 09:30 UTC in commit {last[:12]}, "
        "after the first of these runs had started (2026-01-10 12:00 UTC)"
    )
    assert state(path, begun=datetime(2026, 1, 16, tzinfo=UTC)).changed is None


def test_times_are_compared_across_time_zones(git: Git, path: Path) -> None:
    commit(git, datetime.fromisoformat("2026-01-10T22:00:00+12:00"))  # 10:00 UTC
    assert state(path).changed is None
    assert state(path, begun=datetime.fromisoformat("2026-01-10T11:30:00+02:00")).changed is not None


def test_a_later_commit_of_other_files_changes_nothing(git: Git, path: Path) -> None:
    last = commit(git, BEFORE)
    (path.parent / "other.yaml").write_text("floor: 0.5\n")
    git("add", "other.yaml")
    git("commit", "-q", "-m", "other", at=AFTER)
    assert (state(path).commit, state(path).changed) == (last, None)


def test_an_uncommitted_change_is_reported(git: Git, path: Path) -> None:
    commit(git, BEFORE)
    write(path, "floor: 0.4\n", datetime(2026, 1, 12, 8, tzinfo=UTC))
    found = state(path)
    assert found.commit is None, "no commit has this content"
    assert found.changed is not None
    assert found.changed.startswith("mine.yaml was changed on 2026-01-12 08:00 UTC and not committed")


def test_a_change_before_the_runs_need_not_be_committed(git: Git, path: Path) -> None:
    commit(git, BEFORE)
    write(path, "floor: 0.4\n", datetime(2026, 1, 9, tzinfo=UTC))
    assert (state(path).commit, state(path).changed) == (None, None)


def test_a_change_that_was_taken_back_is_none(git: Git, path: Path) -> None:
    last = commit(git, BEFORE)
    write(path, "floor: 0.4\n", AFTER)
    write(path, "floor: 0.6\n", AFTER)
    assert (state(path).commit, state(path).changed) == (last, None)


def test_settings_of_the_command_line_are_always_reported(git: Git, path: Path) -> None:
    last = commit(git, BEFORE)
    found = state(path, "objective.floor=0.5", "objective.margin=0.1")
    assert found.commit == last
    assert found.changed == "set on the command line: objective.floor=0.5 objective.margin=0.1"


@pytest.mark.usefixtures("git")
def test_a_file_that_git_does_not_know_goes_by_its_own_time(path: Path) -> None:
    assert (state(path).commit, state(path).changed) == (None, None)
    write(path, "floor: 0.4\n", AFTER)
    assert "not committed" in str(state(path).changed)


@pytest.mark.parametrize("missing", ["repository", "program"])
def test_without_git_the_files_own_time_counts(missing: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing == "program":
        monkeypatch.setenv("PATH", "")
    else:
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(path.parent.parent))
    assert (state(path).commit, state(path).changed) == (None, None)
    write(path, "floor: 0.4\n", AFTER)
    assert "2026-01-20 12:00 UTC and not committed" in str(state(path).changed)


def test_an_objective_records_its_overrides() -> None:
    objective = compose_objective(["objective=strict", "objective.floor=0.5"])
    assert describe_objective(objective, runs_begun(AFTER)).changed == "set on the command line: objective.floor=0.5"

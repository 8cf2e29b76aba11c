"""An objective that was changed after the runs were begun is told, whatever git knows of it."""

import dataclasses
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.objective.test_clauses import evidence_of

from ratchet.config import Objective, ObjectiveConfig, compose_objective
from ratchet.objective.change import ObjectiveState, objective_state
from ratchet.runs import StoredRun

Git = Callable[..., str]
State = Callable[..., ObjectiveState]
BEFORE, DURING, AFTER = (datetime(2026, 1, day, 12, tzinfo=UTC) for day in (1, 10, 20))


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """`git("commit", "-qm", "it", at=BEFORE)` in a scratch repository."""
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
    """The objective's file, as old as `BEFORE`."""
    path = tmp_path / "mine.yaml"
    write(path, "floor: 0.6\n", BEFORE)
    return path


def write(path: Path, text: str, at: datetime) -> None:
    path.write_text(text)
    os.utime(path, (at.timestamp(), at.timestamp()))


def runs_begun(*times: datetime) -> list[StoredRun]:
    [run, *_] = evidence_of(0.8).selection.runs
    return [dataclasses.replace(run, record=dataclasses.replace(run.record, started_at=at.isoformat())) for at in times]


def state(path: Path, *overrides: str, begun: datetime = DURING) -> ObjectiveState:
    objective = Objective(ObjectiveConfig(), "mine", path, overrides)
    return objective_state(objective, runs_begun(AFTER, begun))


def commit(git: Git, at: datetime) -> str:
    git("add", "mine.yaml")
    git("commit", "-q", "-m", "objective", at=at)
    return git("rev-parse", "HEAD")


def test_what_was_committed_before_the_runs_is_not_told(git: Git, path: Path) -> None:
    last = commit(git, BEFORE)
    found = state(path)
    assert (found.commit, found.changed) == (last, None)
    assert (found.name, found.hash) == ("mine", Objective(ObjectiveConfig(), "mine", path, ()).hash)


def test_what_was_committed_after_the_first_run_is_told_with_its_commit(git: Git, path: Path) -> None:
    commit(git, BEFORE)
    path.write_text("floor: 0.5\n")
    last = commit(git, datetime(2026, 1, 15, 9, 30, tzinfo=UTC))
    found = state(path)
    assert found.commit == last
    assert found.changed == (
        f"mine.yaml was changed on 2026-01-15 09:30 UTC in commit {last[:12]}, "
        "after the first of these runs had begun (2026-01-10 12:00 UTC)"
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


def test_a_change_that_is_not_committed_is_told(git: Git, path: Path) -> None:
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


def test_what_the_command_line_sets_is_told_whenever_it_was_committed(git: Git, path: Path) -> None:
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


def test_an_objective_knows_what_was_set_beside_its_file() -> None:
    objective = compose_objective(["objective=strict", "objective.floor=0.5"])
    assert objective_state(objective, runs_begun(AFTER)).changed == "set on the command line: objective.floor=0.5"

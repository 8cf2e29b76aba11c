"""When an objective was last changed: one that moved after the runs were seen may have been moved because of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ratchet.config import Objective
from ratchet.runs.provenance import run_git
from ratchet.runs.stored import StoredRun


@dataclass(frozen=True)
class ObjectiveState:
    """The objective that a verdict rests on. `commit` is the last that touched its file, None if that is not in git.

    `changed` is a sentence if it was changed after the first of the runs had begun, or is not what the file says.
    """

    name: str
    hash: str
    commit: str | None
    changed: str | None


def objective_state(objective: Objective, runs: Sequence[StoredRun]) -> ObjectiveState:
    """What a verdict says of its objective."""
    commit, when = _last_change(objective.path)
    return ObjectiveState(objective.name, objective.hash, commit, _changed(objective, commit, when, runs))


def _changed(objective: Objective, commit: str | None, when: datetime, runs: Sequence[StoredRun]) -> str | None:
    if objective.overrides:
        return f"set on the command line: {' '.join(objective.overrides)}"
    first = min(datetime.fromisoformat(run.record.started_at) for run in runs)
    if when <= first:
        return None
    how = f"in commit {commit[:12]}" if commit else "and not committed since"
    return (
        f"{objective.path.name} was changed on {when.astimezone(UTC):%Y-%m-%d %H:%M} UTC {how}, "
        f"after the first of these runs had begun ({first:%Y-%m-%d %H:%M} UTC)"
    )


def _last_change(path: Path) -> tuple[str | None, datetime]:
    """The commit that last touched the file, and when; with changes since, no commit and the file's own time."""
    log = run_git(path.parent, "log", "-1", "--format=%H %cI", "--", path.name)
    changed_since = run_git(path.parent, "status", "--porcelain", "--", path.name)
    if log and not changed_since:
        commit, _, when = log.strip().partition(" ")
        return commit, datetime.fromisoformat(when)
    return None, datetime.fromtimestamp(path.stat().st_mtime, UTC)

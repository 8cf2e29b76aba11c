"""Which runs can go: those that came to nothing, and those that a newer run of the same candidate replaced."""

import shutil
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from ratchet.runs.stored import StoredRun

PROTECTING_TAGS = frozenset({"keep", "promoted"})


def prunable(
    runs: Sequence[StoredRun],
    *,
    statuses: Sequence[str],
    superseded: bool,
    older_than_days: float,
    keep: Collection[str] = (),
) -> list[StoredRun]:
    """Runs of `statuses`, and (if asked) finished ones that a newer run of the same candidate, split and seed replaced.

    Never a run that is running, that another run names as its parent, that is tagged `keep` or `promoted`, or whose id
    is in `keep`.
    """
    parents = {run.record.parent for run in runs}
    newest = {_key(run): run.record.id for run in runs if run.status == "finished"}
    before = datetime.now(UTC) - timedelta(days=older_than_days)
    found = []
    for run in runs:
        protected = run.record.id in parents or run.record.id in keep or not PROTECTING_TAGS.isdisjoint(run.record.tags)
        replaced = superseded and run.status == "finished" and newest[_key(run)] != run.record.id
        old = datetime.fromisoformat(run.record.started_at) <= before
        if old and not protected and run.status != "running" and (run.status in statuses or replaced):
            found.append(run)
    return found


def _key(run: StoredRun) -> tuple[object, ...]:
    record = run.record
    candidate = (record.data, record.name, record.config_hash)
    return (*candidate, record.dataset_version, record.split_hash, record.seed, record.evaluate)


def remove(run: StoredRun) -> None:
    """Delete a run directory; its record goes first, so that half a deletion is no run."""
    (run.path / "record.json").unlink()
    shutil.rmtree(run.path)

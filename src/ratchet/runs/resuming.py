"""Check that a run can be resumed: it ended, and by the code and packages that began it."""

import platform
from collections.abc import Mapping, Sequence

from ratchet.errors import UserError
from ratchet.extras import DISTRIBUTION
from ratchet.runs import provenance
from ratchet.runs.code import changed_definitions, code_of_run, hash_definitions
from ratchet.runs.stored import RunRecord, StoredRun

_MOST_NAMED = 8  # changed definitions that a message lists


def check_can_be_resumed(stored: StoredRun) -> None:
    """Check that a run did not finish, is not in progress, and began with code that is known.

    Raises:
        UserError: one of these does not hold.
    """
    if stored.status == "finished":
        raise UserError(f"{stored.path}: the run is finished, there is nothing to resume")
    if stored.status == "running":
        raise explain_running(stored)
    if stored.record.code_changed:
        raise UserError(
            f"{stored.path}: the code changed while the run was in progress: {name_some(stored.record.code_changed)}. "
            "What its checkpoints were made with is unknown: start a new run"
        )


def explain_running(stored: StoredRun) -> UserError:
    """Return the error for a run that is in progress, or may be."""
    record = stored.record
    reason = stored.explain_unknown_process() or f"process {record.pid} on {record.host}"
    return UserError(f"{stored.path}: the run is still running ({reason})")


def check_same_code(stored: StoredRun, lock_hash: str | None) -> None:
    """Check that a run is continued by what began it: code, packages, lock file and version of Python.

    A run that was killed before it recorded them has trained nothing. `lock_hash` is that of the lock file now.

    Raises:
        UserError: one of them differs from the record. A result of two versions could not be attributed to either.
    """
    record = stored.record
    if not record.packages:
        return
    definitions = code_of_run(record.model)
    if record.code_hash is not None and record.code_hash != hash_definitions(definitions):
        raise UserError(
            f"{stored.path}: the code changed since the run started: {_name_changes(stored, definitions)}. Restore the "
            "code (its commit and code.diff are recorded) and resume again, or start a new run"
        )
    changes = list_changed_packages(record)
    python = str(record.machine.get("python", ""))
    if python and python.split(".")[:2] != platform.python_version().split(".")[:2]:
        changes.append(f"Python {python} -> {platform.python_version()}")
    if record.lock_hash != lock_hash:
        changes.append("requirements.lock")
    if changes:
        raise UserError(
            f"{stored.path}: the environment changed since the run started: {name_some(changes)}. Restore it and "
            "resume again, or start a new run"
        )


def _name_changes(stored: StoredRun, now: Mapping[str, str]) -> str:
    """Return the names of the definitions that differ from those that the run recorded, if it did."""
    try:
        before = stored.read_json("code.json")
        names = changed_definitions(before, now, same_model=True)
    except (UserError, AttributeError):  # it is missing or damaged
        names = []
    return name_some(names) or "its hash differs"


def list_changed_packages(record: RunRecord) -> list[str]:
    """Return the packages whose versions differ from those of the record, as `name before -> now`, without Ratchet's.

    Ratchet's own code is compared, not its version.
    """
    before = {name: version for name, version in record.packages.items() if name != DISTRIBUTION}
    now = provenance.read_library_versions()
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return [f"{name} {before.get(name, 'missing')} -> {now.get(name, 'missing')}" for name in names]


def name_some(changes: Sequence[str]) -> str:
    """Return the first changes, and how many more there are."""
    more = f" and {len(changes) - _MOST_NAMED} more" if len(changes) > _MOST_NAMED else ""
    return f"{', '.join(changes[:_MOST_NAMED])}{more}"

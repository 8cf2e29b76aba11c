"""Find the runs that can be deleted, name why others are kept, and delete runs so that a kill leaves no partial run.

A run is kept if anything depends on it, or may. Deletion has two steps: the directory gets a name that begins with a
dot, so that no command finds it, then it is emptied. What a killed command leaves behind, the next one deletes.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ratchet.errors import UserError, storage_error
from ratchet.project import MARKER
from ratchet.runs.liveness import lock_run, unlock_run
from ratchet.runs.promotions import find_promoted_runs, locked_promotions
from ratchet.runs.stored import StoredRun, find_runs, read_run

PROTECTING_TAGS = frozenset({"keep", "promoted"})
_PROMOTIONS_KEY = re.compile(r"^promotions_dir: *(.+?) *$", re.MULTILINE)
_ENDING = ".pruned"  # of the directory of a run that is being deleted: `.<name>.pruned`


@dataclass(frozen=True)
class Request:
    """Which runs to delete: those with one of `statuses`, and superseded ones if `superseded`."""

    statuses: Sequence[str]
    superseded: bool = False
    older_than_days: float = 0.0


@dataclass(frozen=True)
class Plan:
    """The runs that can be deleted, and how many others the request names but are kept, by reason."""

    runs: list[StoredRun]
    kept: Mapping[str, int]


# --- what can be deleted ----------------------------------------------------------------------------------------------


def plan_pruning(runs: Sequence[StoredRun], request: Request, keep: Mapping[str, str] | None = None) -> Plan:
    """Return which of all runs of a directory can be deleted.

    A run is superseded if a newer run of the same candidate, split and seed finished, whose code is known. A run is
    kept if it is or may be in progress, is the parent of another run, is tagged `keep` or `promoted`, has an export, a
    link leads to it, or `keep` gives a reason for its id.
    """
    parents = {run.record.parent for run in runs}
    newest: dict[tuple[object, ...], tuple[str, str]] = {}
    for run in runs:
        if run.status == "finished" and not run.record.code_changed:
            newest[_get_identity(run)] = max(_get_age(run), newest.get(_get_identity(run), _get_age(run)))
    before = datetime.now(UTC) - timedelta(days=request.older_than_days)
    chosen: list[StoredRun] = []
    kept: Counter[str] = Counter()
    for run in runs:
        if not _is_requested(run, request, newest) or not _is_older(run, before):
            continue
        reason = _find_reason_to_keep(run, parents, keep or {})
        if reason is None:
            chosen.append(run)
        else:
            kept[reason] += 1
    return Plan(chosen, dict(kept))


def _is_requested(run: StoredRun, request: Request, newest: Mapping[tuple[object, ...], tuple[str, str]]) -> bool:
    if run.status == "running":  # it is reported if it would be deleted once it is known to be dead
        return "killed" in request.statuses and run.explain_unknown_process() is not None
    replaced = run.status == "finished" and _get_age(run) < newest.get(_get_identity(run), _get_age(run))
    return run.status in request.statuses or (request.superseded and replaced)


def _get_identity(run: StoredRun) -> tuple[object, ...]:
    record = run.record
    candidate = (record.data, record.name, record.config_hash)
    return (*candidate, record.dataset_version, record.split_hash, record.seed, record.evaluate)


def _get_age(run: StoredRun) -> tuple[str, str]:
    """Return what orders runs by time, the newest last."""
    return run.record.started_at, run.record.id


def _is_older(run: StoredRun, before: datetime) -> bool:
    """Return whether the run started before that time. A start that cannot be read may be of any time."""
    try:
        return datetime.fromisoformat(run.record.started_at) <= before
    except (ValueError, TypeError):
        return False


def _find_reason_to_keep(run: StoredRun, parents: set[str | None], keep: Mapping[str, str]) -> str | None:
    record = run.record
    if run.status == "running":
        return f"may be in progress: {run.explain_unknown_process() or 'their processes exist'}"
    if record.id in keep:
        return keep[record.id]
    if record.id in parents:
        return "parent of another run"
    if tags := PROTECTING_TAGS.intersection(record.tags):
        return f"tagged {min(tags)}"
    if (run.path / "export").is_dir():
        return "exported, something may use RUN/export"
    return "reached through a link, which is not followed" if _is_linked(run.path) else None


def _is_linked(path: Path) -> bool:
    """Return whether the directory of a run, of its candidate or of its data set is a link."""
    return any(directory.is_symlink() for directory in (path, *path.parents[:2]))


# --- where promotions are ---------------------------------------------------------------------------------------------


def find_promotion_directories(runs_dir: Path, runs: Sequence[StoredRun], given: Path) -> list[Path]:
    """Return every existing directory that may hold promotions of the runs, wherever the command was called.

    These are `given`, `promotions` of the project that the runs directory is in (also where a link leads to) and of
    the directories between the two, and what the runs were configured with.
    """
    found = {given, *_list_promotions_above(runs_dir)}
    found |= {directory for run in runs for directory in _list_configured(run)}
    return sorted({directory.resolve() for directory in found if directory.is_dir()})


def _list_promotions_above(runs_dir: Path) -> Iterator[Path]:
    paths = [Path.cwd() / runs_dir]
    while paths[-1].is_symlink():  # a link may lead to a link in another project
        paths.append(paths[-1].parent / paths[-1].readlink())
    for path in (*(Path(os.path.normpath(path)) for path in paths), runs_dir.resolve()):
        for directory in path.parents:
            yield directory / "promotions"
            if (directory / MARKER).is_file() or (directory / ".git").exists():
                break


def _list_configured(run: StoredRun) -> Iterator[Path]:
    """Yield `promotions_dir` of the configuration of a run, in the project that it was made in."""
    try:
        match = _PROMOTIONS_KEY.search((run.path / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    configured = Path(match[1].strip("'\"")) if match else Path("promotions")
    if configured.is_absolute() or run.record.project:
        yield Path(run.record.project or "") / configured


# --- deletion ---------------------------------------------------------------------------------------------------------


def delete_runs(
    runs_dir: Path, runs: Sequence[StoredRun], request: Request, *, promotions_dir: Path, keep: Mapping[str, str]
) -> list[StoredRun]:
    """Delete those of `runs` that can still be deleted. Return them.

    Nothing is promoted meanwhile. What changed since the runs were listed is read again: a run that was promoted,
    resumed or became a parent is kept.

    Raises:
        UserError: a directory cannot be deleted, or the promotions cannot be read.
    """
    aside: list[Path] = []
    deleted = []
    try:
        with ExitStack() as locks:
            promotions = find_promotion_directories(runs_dir, runs, promotions_dir)
            for directory in promotions:
                locks.enter_context(locked_promotions(directory))
            keep = {**keep, **find_promoted(promotions)}
            wanted = {run.record.id: run for run in runs}
            for run in plan_pruning(find_runs(runs_dir), request, keep).runs:
                listed = wanted.get(run.record.id)
                if listed is not None and listed.path == run.path and (path := _set_aside(listed)) is not None:
                    aside.append(path)
                    deleted.append(listed)
    finally:
        for path in aside:
            _delete(path)
    return deleted


def find_promoted(directories: Sequence[Path]) -> dict[str, str]:
    """Return the reason to keep each run of a promotion, rolled back or not, in these directories.

    Raises:
        UserError: a log is not valid.
    """
    return {run: "promoted" for directory in directories for run in find_promoted_runs(directory)}


def find_leftovers(runs_dir: Path) -> list[Path]:
    """Return the directories that an earlier, killed deletion left behind: empty, or still with a run's record."""
    return [
        path
        for path in runs_dir.glob(f"[!.]*/[!.]*/.*{_ENDING}")
        if path.is_dir() and not _is_linked(path) and _is_leftover(path)
    ]


def delete_leftovers(runs_dir: Path) -> None:
    """Delete what an earlier, killed deletion left behind.

    Raises:
        UserError: a directory cannot be deleted.
    """
    for path in find_leftovers(runs_dir):
        _delete(path)


def _is_leftover(path: Path) -> bool:
    with suppress(UserError):
        read_run(path)
        return True
    return not any(path.iterdir())


def _set_aside(run: StoredRun) -> Path | None:
    """Rename the directory of a run. Return the new path, or None if another process uses or changed the run.

    Raises:
        UserError: it cannot be renamed.
    """
    target = run.path.with_name(f".{run.path.name}{_ENDING}")
    lock = None
    try:
        lock = lock_run(run.path)
        if _is_linked(run.path) or read_run(run.path).record != run.record:
            return None
        run.path.rename(target)
        return target
    except (BlockingIOError, FileNotFoundError):  # it was resumed, or another command deletes it
        return None
    except OSError as error:
        raise _explain(run.path, error) from error
    finally:
        unlock_run(lock)


def _delete(path: Path) -> None:
    """Delete the directory of a run that was set aside; its record last, by which the rest is recognised.

    Links in it are deleted, not followed.
    """
    try:
        with suppress(FileNotFoundError):  # another command deletes it, too
            for entry in path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name != "record.json":
                    entry.unlink()
            (path / "record.json").unlink(missing_ok=True)
            path.rmdir()
    except OSError as error:
        raise _explain(path, error) from error


def _explain(path: Path, error: OSError) -> UserError:
    otherwise = UserError(f"{path}: cannot be deleted: {error.strerror or error}")
    return storage_error(error, path, "; what is left is deleted by the same command") or otherwise

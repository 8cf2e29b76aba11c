"""Write the files of a project, all or none: also if the disk is full, or the process is killed in between.

Everything is first written to a hidden directory in the project, `.ratchet-init`, with a journal of what will be new.
Then it is moved into place; `ratchet.yaml`, which makes the directory a project, comes last. An error undoes what the
journal lists. After a kill, the next `ratchet init` finds the journal and does it. A file that was changed since is
kept.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ratchet.errors import UserError, storage_error
from ratchet.files import sha256_of, write_json
from ratchet.project import MARKER
from ratchet.scaffold.dvc_setup import DVC, IGNORED_BY_DVC, init_dvc, remove_dvc
from ratchet.scaffold.planning import GITIGNORE, Plan, encode_text

STAGING = ".ratchet-init"
_JOURNAL = "journal.json"
_BEFORE = "gitignore-before"

Journal = Mapping[str, Any]


def write_plan(root: Path, plan: Plan, dvc_flags: list[str] | None) -> None:
    """Write the files of a plan into `root`, which is created if it is missing, and initialise DVC with `dvc_flags`.

    Raises:
        UserError: a file cannot be written, DVC cannot be initialised, or another `ratchet init` runs there. Then
            nothing is left that was not there before.
    """
    staging = root / STAGING
    try:
        journal = _make_journal(root, plan, has_dvc=dvc_flags is not None)
        try:
            root.mkdir(parents=True, exist_ok=True)
            staging.mkdir(exist_ok=True)
            with _locked(root):
                _check_new(root, plan)
                _stage(root, plan, journal)
                _move(root, plan)
                if dvc_flags is not None:
                    init_dvc(root, dvc_flags)
                _move_marker(root)
                shutil.rmtree(staging, ignore_errors=True)
        except _Busy:
            raise
        except BaseException:
            with suppress(OSError):  # the next `ratchet init` continues from the journal
                _undo(root, journal)
            raise
    except OSError as error:
        raise _explain(error, root) from error


def recover(root: Path) -> bool:
    """Remove what an interrupted `ratchet init` left in `root`; return whether there was anything.

    Raises:
        UserError: another `ratchet init` is running there, or a file cannot be removed.
    """
    staging = root / STAGING
    if not staging.is_dir():
        return False
    try:
        with _locked(root):
            journal = _read_journal(staging)
            if journal is None or (root / MARKER).is_file():  # nothing was moved yet, or everything was
                _remove_staging(staging)
            else:
                _undo(root, journal)
    except OSError as error:
        raise _explain(error, root) from error
    return True


def _remove_staging(staging: Path) -> None:
    """Delete a staging directory, unless it has files that `ratchet init` does not write there.

    Raises:
        UserError: names such a file.
    """
    known = {_JOURNAL, _BEFORE, "lock", "files"}
    for path in sorted(staging.iterdir()):
        if path.name not in known and not path.name.startswith(f".{_JOURNAL}."):
            raise _Busy(f"{path}: not written by `ratchet init`, which uses this directory: move it away")
    shutil.rmtree(staging)


class _Busy(UserError):
    """Another process writes this project, or just wrote it."""


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the lock of the staging directory. The system releases it if the process is killed."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(root / STAGING / "lock", timeout=0):
            yield
    except Timeout as error:
        raise _Busy(f"{root}: another `ratchet init` is running there: wait until it ends") from error


def _make_journal(root: Path, plan: Plan, *, has_dvc: bool) -> Journal:
    """Return what will be new: files with their sha256, and directories, the innermost first."""
    hashes = {path: hashlib.sha256(encode_text(content)).hexdigest() for path, content in plan.files.items()}
    hashes |= {path: sha256_of(source) for path, source in plan.copies.items()}
    parents = {parent for path in hashes for parent in (root / path).parents} | {root, *root.parents}
    new = sorted((path for path in parents if not path.exists()), key=lambda path: -len(path.parts))
    return {
        "files": {path.as_posix(): digest for path, digest in hashes.items()},
        "directories": [str(path) for path in new],
        "had_gitignore": (root / GITIGNORE).exists(),
        "dvc": has_dvc,
        "dvcignore": has_dvc and not (root / IGNORED_BY_DVC).exists(),
    }


def _check_new(root: Path, plan: Plan) -> None:
    for path in (*plan.files, *plan.copies):
        if path != GITIGNORE and os.path.lexists(root / path):
            shutil.rmtree(root / STAGING)
            raise _Busy(f"{root / path}: another process has just written it: start `ratchet init` again")


def _read_journal(staging: Path) -> Journal | None:
    try:
        journal = json.loads((staging / _JOURNAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # killed before it was written
        return None
    return journal if isinstance(journal, dict) else None


def _stage(root: Path, plan: Plan, journal: Journal) -> None:
    staging = root / STAGING
    if journal["had_gitignore"]:
        shutil.copyfile(root / GITIGNORE, staging / _BEFORE)
    for path in (*plan.files, *plan.copies):
        (staging / "files" / path).parent.mkdir(parents=True, exist_ok=True)
    for path, content in plan.files.items():
        (staging / "files" / path).write_bytes(encode_text(content))
    for path, source in plan.copies.items():
        shutil.copyfile(source, staging / "files" / path)
    write_json(staging / _JOURNAL, journal)  # last: without it, nothing was moved


def _move(root: Path, plan: Plan) -> None:
    for path in (*plan.files, *plan.copies):
        if path != Path(MARKER):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / STAGING / "files" / path).replace(root / path)


def _move_marker(root: Path) -> None:
    staged = root / STAGING / "files" / MARKER
    if staged.is_file():
        staged.replace(root / MARKER)


def _undo(root: Path, journal: Journal) -> None:
    """Remove the new files that are unchanged, restore .gitignore, and remove new directories that are empty."""
    staging = root / STAGING
    for name, digest in journal["files"].items():
        path = root / name
        is_inside = path.resolve().is_relative_to(root.resolve())  # a journal may be copied with a directory
        if not is_inside or not path.is_file() or sha256_of(path) != digest:
            continue
        if Path(name) == GITIGNORE and journal["had_gitignore"]:
            shutil.copyfile(staging / _BEFORE, path)
        else:
            path.unlink()
    if journal["dvc"] and (root / DVC).exists():
        remove_dvc(root, is_new_ignore=journal["dvcignore"])
    shutil.rmtree(staging, ignore_errors=True)
    for name in journal["directories"]:
        with suppress(OSError):  # not there yet, or something else is in it
            Path(name).rmdir()


def _explain(error: OSError, root: Path) -> UserError:
    explained = storage_error(error, root, ", or choose another directory. Nothing was written")
    reason = error.strerror or str(error)
    return explained or UserError(f"{error.filename or root}: {reason}. Nothing was written: choose another directory")

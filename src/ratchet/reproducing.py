"""Train a finished run again from its record, at its commit, and compare the predictions."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ratchet.errors import UserError
from ratchet.extras import DISTRIBUTION
from ratchet.machine import machine
from ratchet.project import MARKER, VARIABLE, current_project
from ratchet.runs import StoredRun
from ratchet.runs.predictions import read_predictions
from ratchet.runs.provenance import GitError, ask_git, format_size, git_environment, hash_file, read_package_versions
from ratchet.runs.stored import read_run

# The recorded code executes this script. It may be older than this file, so the script uses as few names as possible.
_AGAIN = """
import sys
from pathlib import Path
from ratchet.config import load, register
from ratchet.models import all_settings
from ratchet.training import train
register(all_settings())
config = load(Path(sys.argv[1]), all_settings())
config.runs_dir, config.run_dir, config.threads = sys.argv[2], sys.argv[3], int(sys.argv[4])
config.parent = config.resume = None
config.trainer.progress_bar = False
if hasattr(config, "tracker"):
    config.tracker = type(config.tracker)()  # no tracker: a reproduction is not a new run
train(config)
"""


@dataclass(frozen=True)
class Reproduction:
    """The result of a reproduction.

    `identical`: all stored predictions of val and (if the run read it) test are equal to the bit. `largest_change`:
    the largest change of a score; None if the records or their true labels differ. `differences`: the inputs that
    changed. `moved`: the metrics that changed, with the value before and after.
    """

    identical: bool
    largest_change: float | None
    differences: list[str]
    moved: dict[str, tuple[float | None, float | None]]


def reproduce(run: StoredRun, *, keep: Path | None = None) -> Reproduction:
    """Train the run again in a temporary git worktree at its commit, with its configuration, data, split and seed.

    With `keep`, write the new run to that directory and keep it.

    Raises:
        UserError: the run did not finish; its code is not available (it was made outside of git, the commit is not
            in this repository, or its recorded diff is incomplete or was changed); or the new run failed.
    """
    if run.status != "finished":
        raise UserError(f"{run.path}: the run is {run.status}: only a finished run can be reproduced")
    _check_code_is_recorded(run)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as directory, _worktree(run, Path(directory, "code")) as code:
        again = _train_again(run, code, keep or Path(directory, "run"), Path(directory, "runs"))
        return _compare_runs(run, again)


def _check_code_is_recorded(run: StoredRun) -> None:
    git = run.record.git
    if git.get("commit") is None:
        reason = f"git gave no commit ({git['problem']})" if git.get("problem") else "it was made outside of git"
        raise UserError(f"{run.path}: cannot be reproduced: {reason}, its code is not recorded")
    if git.get("dirty") and not git.get("diff_complete") and not git.get("files"):
        raise UserError(f"{run.path}: cannot be reproduced: the uncommitted changes were too large to record")
    if git.get("diff_sha256"):
        digest = hashlib.sha256((run.path / "code.diff").read_bytes()).hexdigest()
        if digest != git.get("diff_sha256"):
            raise UserError(f"{run.path}/code.diff: the file was changed (its sha256 differs): restore the original")


@contextmanager
def _worktree(run: StoredRun, directory: Path) -> Iterator[Path]:
    """Check out the recorded commit with the recorded changes in `directory`. Remove it at the end of the block.

    Yield the root of the project in it, which may be below the root of the repository.
    """
    commit = str(run.record.git["commit"])
    repository = current_project().code_root
    try:
        ask_git(repository, "rev-parse", "--git-dir")
    except GitError as error:
        raise UserError(f"{run.path}: cannot be reproduced: git: {error}") from error
    if _run_git(repository, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise UserError(f"{run.path}: its commit {commit[:12]} is not in this repository: fetch it")
    _check_success(_run_git(repository, "worktree", "add", "--detach", str(directory), commit))
    try:
        if run.record.git.get("diff_sha256"):
            diff = str((run.path / "code.diff").resolve())
            _check_success(_run_git(directory, "apply", "--binary", "--whitespace=nowarn", diff))
        root = directory / _run_git(repository, "rev-parse", "--show-prefix").stdout.strip()
        _restore_large_files(run, repository, root)
        yield root
    finally:
        _run_git(repository, "worktree", "remove", "--force", str(directory))


def _restore_large_files(run: StoredRun, project: Path, root: Path) -> None:
    """Copy the files that the record holds by their hash from the project to `root`, and remove the deleted ones.

    Raises:
        UserError: a file is missing, or its content is another one now.
    """
    for file in run.record.git.get("files", []):
        source, target = project / file["path"], root / file["path"]
        if file["size"] is None:
            target.unlink(missing_ok=True)
            continue
        if not source.is_file() or hash_file(source) != file["sha256"]:
            change = "has another content now" if source.is_file() else "is missing"
            raise UserError(
                f"{run.path}: cannot be reproduced: {file['path']} {change}; the record holds its hash only "
                f"(sha256 {_short(file['sha256'])}, {format_size(file['size'])}): restore it"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _run_git(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    try:
        environment = git_environment(directory)
        return subprocess.run(
            ["git", *arguments], cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UserError(f"git cannot be run: {error.strerror}") from error


def _check_success(process: "subprocess.CompletedProcess[str]") -> None:
    if process.returncode:
        raise UserError(f"{' '.join(process.args[:3])}: {process.stderr.strip()}")


def _train_again(run: StoredRun, code: Path, directory: Path, runs_dir: Path) -> StoredRun:
    """Train in a new process that imports only the recorded code. It reads the data of this project."""
    arguments = [str(run.path / "config.yaml"), str(runs_dir), str(directory), str(run.record.threads)]
    own_code = {}
    if current_project().is_marked:
        shutil.copy(current_project().root / MARKER, code)  # git may not track it
        own_code[VARIABLE] = str(code)
    process = subprocess.run(
        [sys.executable, "-c", _AGAIN, *arguments],
        env={**os.environ, "PYTHONPATH": str(code / "src"), "PYTHONDONTWRITEBYTECODE": "1", **own_code},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        last = process.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UserError(f"{run.path}: the reproduction failed: {last[0]}")
    return read_run(directory)


def _compare_runs(run: StoredRun, again: StoredRun) -> Reproduction:
    parts = ["val", "test"] if run.record.evaluate == "test" else ["val"]
    changes = [_find_largest_change(run, again, part) for part in parts]
    known = [change for change in changes if change is not None]
    largest = max(known) if len(known) == len(changes) else None
    return Reproduction(
        largest == 0.0, largest, list(_describe_differences(run, again)), _find_changed_metrics(run, again)
    )


def _find_largest_change(run: StoredRun, again: StoredRun, part: str) -> float | None:
    """Return the largest change of a score; None if the records or their true labels differ."""
    before, after = (read_predictions(stored.path / "predictions" / f"{part}.parquet") for stored in (run, again))
    if before.ids != after.ids or not np.array_equal(before.targets, after.targets):
        return None
    return float(np.abs(before.scores.astype(np.float64) - after.scores).max(initial=0.0))


def _describe_differences(run: StoredRun, again: StoredRun) -> Iterator[str]:
    before, after = run.record, again.record
    if before.dataset_version != after.dataset_version:
        yield f"data: version {_short(before.dataset_version)} then, {_short(after.dataset_version)} now"
    elif before.split_hash != after.split_hash:
        yield f"split: {_short(before.split_hash)} then, {_short(after.split_hash)} now"
    if before.config_hash != after.config_hash:
        yield "configuration: this code interprets it differently (its hash changed)"
    installed = read_package_versions()
    changed = [
        f"{name} {before.packages.get(name, '-')} then, {installed.get(name, '-')} now"
        for name in sorted({*before.packages, *installed} - {"ratchet", DISTRIBUTION})
        if before.packages.get(name) != installed.get(name)
    ]
    if changed:
        yield f"packages: {'; '.join(changed)}"
    current = machine()
    for key in ("python", "architecture", "processor", "features"):
        if key in before.machine and before.machine.get(key) != current.get(key):
            yield f"machine: {key} {before.machine.get(key)} then, {current.get(key)} now"


def _find_changed_metrics(run: StoredRun, again: StoredRun) -> dict[str, tuple[float | None, float | None]]:
    before, after = (stored.read_json("metrics.json") for stored in (run, again))
    keys: list[str] = [key for key in {**before, **after} if key.count("/") == 1 and before.get(key) != after.get(key)]
    return {key: (before.get(key), after.get(key)) for key in keys}


def _short(value: Any) -> str:
    return str(value)[:12]

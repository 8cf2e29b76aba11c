"""Train a finished run again from its record, at its commit, and see whether the same predictions come out."""

import hashlib
import os
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
from ratchet.machine import machine
from ratchet.project import PROJECT
from ratchet.runs import StoredRun
from ratchet.runs.predictions import read_predictions
from ratchet.runs.provenance import package_versions
from ratchet.runs.stored import read_run

# What the recorded code is asked to do: it may be older than this file, so it is asked for as little as possible.
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
    config.tracker = type(config.tracker)()  # none: nobody but the one who asked is told
train(config)
"""


@dataclass(frozen=True)
class Reproduction:
    """What came of it: `differences` are inputs that are not what they were, `moved` metrics with both values.

    `identical` means all stored predictions, of val and (where the run read it) test, bit for bit. `largest_change` is
    that of a score, None where the records or their true labels are others.
    """

    identical: bool
    largest_change: float | None
    differences: list[str]
    moved: dict[str, tuple[float | None, float | None]]


def reproduce(run: StoredRun, *, keep: Path | None = None) -> Reproduction:
    """Train the run again in a temporary git worktree at its commit, with its configuration, data, split and seed.

    With `keep`, the new run directory stays there.

    Raises:
        UserError: the run did not finish, or its code cannot be had: not made in git, the commit is not here, the
            recorded difference to it is incomplete or changed; the new run failed.
    """
    if run.status != "finished":
        raise UserError(f"{run.path}: the run is {run.status}: only a finished one can be reproduced")
    _check_code_is_recorded(run)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as directory, _worktree(run, Path(directory, "code")) as code:
        again = _train_again(run, code, keep or Path(directory, "run"), Path(directory, "runs"))
        return _compared(run, again)


def _check_code_is_recorded(run: StoredRun) -> None:
    git = run.record.git
    if git.get("commit") is None:
        raise UserError(f"{run.path}: made outside of git: there is no commit to go back to")
    if git.get("dirty") and not git.get("diff_complete"):
        raise UserError(f"{run.path}: made with changes too large to be recorded whole: code.diff is cut short")
    if git.get("dirty"):
        found = hashlib.sha256((run.path / "code.diff").read_bytes()).hexdigest()
        if found != git.get("diff_sha256"):
            raise UserError(f"{run.path}/code.diff: not what was recorded (its sha256 differs): it was changed")


@contextmanager
def _worktree(run: StoredRun, directory: Path) -> Iterator[Path]:
    """The recorded commit with the recorded changes, checked out beside the working tree."""
    commit = str(run.record.git["commit"])
    if _git(PROJECT, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise UserError(f"{run.path}: its commit {commit[:12]} is not in this repository: fetch it")
    _must(_git(PROJECT, "worktree", "add", "--detach", str(directory), commit))
    try:
        if run.record.git.get("dirty"):
            _must(_git(directory, "apply", "--binary", "--whitespace=nowarn", str((run.path / "code.diff").resolve())))
        yield directory
    finally:
        _git(PROJECT, "worktree", "remove", "--force", str(directory))


def _git(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(f"git cannot be run: {error.strerror}") from error


def _must(done: "subprocess.CompletedProcess[str]") -> None:
    if done.returncode:
        raise UserError(f"{' '.join(done.args[:3])}: {done.stderr.strip()}")


def _train_again(run: StoredRun, code: Path, directory: Path, runs_dir: Path) -> StoredRun:
    """In a process of its own, which imports the recorded code and nothing of this one."""
    arguments = [str(run.path / "config.yaml"), str(runs_dir), str(directory), str(run.record.threads)]
    done = subprocess.run(
        [sys.executable, "-c", _AGAIN, *arguments],
        env=_environment(code),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UserError(f"{run.path}: the run failed when it was made again: {last[0]}")
    return read_run(directory)


def _environment(code: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(code / "src"), "PYTHONDONTWRITEBYTECODE": "1"}


def _compared(run: StoredRun, again: StoredRun) -> Reproduction:
    parts = ["val", "test"] if run.record.evaluate == "test" else ["val"]
    changes = [_largest_change(run, again, part) for part in parts]
    told = [change for change in changes if change is not None]
    largest = max(told) if len(told) == len(changes) else None
    return Reproduction(largest == 0.0, largest, list(_differences(run, again)), _moved(run, again))


def _largest_change(run: StoredRun, again: StoredRun, part: str) -> float | None:
    """Of a score; None where the records or their true labels differ."""
    before, after = (read_predictions(each.path / "predictions" / f"{part}.parquet") for each in (run, again))
    if before.ids != after.ids or not np.array_equal(before.targets, after.targets):
        return None
    return float(np.abs(before.scores.astype(np.float64) - after.scores).max(initial=0.0))


def _differences(run: StoredRun, again: StoredRun) -> Iterator[str]:
    before, after = run.record, again.record
    if before.dataset_version != after.dataset_version:
        yield f"data: version {_short(before.dataset_version)} then, {_short(after.dataset_version)} now"
    elif before.split_hash != after.split_hash:
        yield f"split: {_short(before.split_hash)} then, {_short(after.split_hash)} now"
    if before.config_hash != after.config_hash:
        yield "configuration: what it means to this code is not what it meant"
    installed = package_versions()
    changed = [
        f"{name} {before.packages.get(name, '-')} then, {installed.get(name, '-')} now"
        for name in sorted({*before.packages, *installed} - {"ratchet"})
        if before.packages.get(name) != installed.get(name)
    ]
    if changed:
        yield f"packages: {'; '.join(changed)}"
    here = machine()
    for key in ("python", "architecture", "processor", "features"):
        if key in before.machine and before.machine.get(key) != here.get(key):
            yield f"machine: {key} {before.machine.get(key)} then, {here.get(key)} now"


def _moved(run: StoredRun, again: StoredRun) -> dict[str, tuple[float | None, float | None]]:
    before, after = (each.read_json("metrics.json") for each in (run, again))
    keys: list[str] = [key for key in {**before, **after} if key.count("/") == 1 and before.get(key) != after.get(key)]
    return {key: (before.get(key), after.get(key)) for key in keys}


def _short(value: Any) -> str:
    return str(value)[:12]

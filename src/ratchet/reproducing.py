"""Train a finished run again from its record, at its commit, and compare the predictions."""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ratchet.config.saved import read_recorded
from ratchet.errors import UserError
from ratchet.extras import DISTRIBUTION
from ratchet.machine import machine
from ratchet.project import MARKER, VARIABLE, current_project
from ratchet.runs import StoredRun
from ratchet.runs.code import changed_definitions, hash_definitions
from ratchet.runs.git import GitError, ask_git, run_git
from ratchet.runs.predictions import read_predictions
from ratchet.runs.provenance import format_size, hash_file, is_own_diff, read_package_versions
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
# So does this one. It prints the hashes of the definitions, null if that code is too old to compute any.
_HASH = """
import json, sys
try:
    from ratchet.runs.code import code_of_run
except ImportError:
    print("null")
else:
    try:
        print(json.dumps(dict(code_of_run(sys.argv[1]))))
    except LookupError:  # the model is not part of it
        print("{}")
"""
_CHECKOUT_SECONDS = 600.0
_SHOWN = 5  # names or lines that a message lists


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


def reproduce(run: StoredRun, *, keep: Path | None = None, trust: bool = False) -> Reproduction:
    """Train the run again in a temporary git worktree at its commit, with its configuration, data, split and seed.

    Args:
        run: the run.
        keep: the directory to write the new run to, and to keep.
        trust: whether to execute uncommitted changes that were not recorded in this repository.

    Raises:
        UserError: the run did not finish; its code is not available (it was made outside of git, git did not say what
            had changed, the commit is not in this repository, or its recorded diff is incomplete, was changed, or is
            not this repository's and `trust` is not set); that code is not what was trained; or the new run failed.
    """
    if run.status != "finished":
        raise UserError(f"{run.path}: the run is {run.status}: only a finished run can be reproduced")
    read_recorded(run.path / "config.yaml")
    _check_code_is_recorded(run)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as name:
        directory = Path(name)
        with _worktree(run, directory / "code", trust=trust) as code:
            python = _RecordedCode(code, _find_package(directory / "code"))
            _check_same_code(run, python)
            again = _train_again(run, python, keep or directory / "run", directory / "runs")
            return _compare_runs(run, again)


def _check_code_is_recorded(run: StoredRun) -> None:
    git = run.record.git
    if git.get("commit") is None:
        reason = f"git gave no commit ({git['problem']})" if git.get("problem") else "it was made outside of git"
        raise UserError(f"{run.path}: cannot be reproduced: {reason}, its code is not recorded")
    if git.get("problem"):
        raise UserError(
            f"{run.path}: cannot be reproduced: whether its code differed from the commit is unknown, as git failed "
            f"({git['problem']})"
        )
    if not re.fullmatch("[0-9a-f]{7,64}", str(git["commit"])):
        raise UserError(f"{run.path}/record.json: git.commit={git['commit']!r} is not a commit")
    if git.get("dirty") and not git.get("diff_complete") and not git.get("files"):
        raise UserError(f"{run.path}: cannot be reproduced: the uncommitted changes were too large to record")
    if git.get("diff_sha256"):
        digest = hashlib.sha256((run.path / "code.diff").read_bytes()).hexdigest()
        if digest != git.get("diff_sha256"):
            raise UserError(f"{run.path}/code.diff: the file was changed (its sha256 differs): restore the original")


@contextmanager
def _worktree(run: StoredRun, directory: Path, *, trust: bool = False) -> Iterator[Path]:
    """Check out the recorded commit with the recorded changes in `directory`. Remove it at the end of the block.

    Yield the root of the project in it, which may be below the root of the repository.
    """
    commit = str(run.record.git["commit"])
    project = current_project().code_root
    try:
        # Of the project, not of the working directory, which may be below it.
        prefix = ask_git(project, "rev-parse", "--show-prefix").rstrip("\n")
    except GitError as error:
        raise UserError(f"{run.path}: cannot be reproduced: git: {error}") from error
    if run_git(project, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        raise UserError(f"{run.path}: its commit {commit[:12]} is not in this repository: fetch it")
    if not trust:
        _check_own_diff(run, project)
    try:
        ask_git(project, "worktree", "add", "--detach", str(directory), commit, seconds=_CHECKOUT_SECONDS)
        if run.record.git.get("diff_sha256"):
            ask_git(directory, "apply", "--binary", str((run.path / "code.diff").resolve()))
        _restore_large_files(run, project, directory / prefix)
        yield directory / prefix
    except GitError as error:
        raise UserError(f"{run.path}: its code cannot be checked out: git: {error}") from error
    finally:
        run_git(project, "worktree", "remove", "--force", str(directory))


def _find_top(project: Path) -> Path:
    """Return the root of the repository that the project is in."""
    return Path(ask_git(project, "rev-parse", "--show-toplevel").rstrip("\n")).resolve()


def _check_own_diff(run: StoredRun, project: Path) -> None:
    """Check that the recorded changes were made here: they are executed, and a run directory may come from elsewhere.

    Raises:
        UserError: they were not recorded in this repository; names the files that they change.
    """
    sha256 = run.record.git.get("diff_sha256")
    if not sha256 or is_own_diff(project, sha256):
        return
    try:
        # At the top: in a subdirectory, git leaves out the files above it.
        listed = ask_git(_find_top(project), "apply", "--numstat", str((run.path / "code.diff").resolve()))
    except GitError as error:
        raise UserError(f"{run.path}/code.diff: not a diff: {error}") from error
    names = [line.split("\t", 2)[2] for line in listed.splitlines()]
    raise UserError(
        f"{run.path}: its uncommitted changes were not recorded in this repository, and would be executed. "
        f"code.diff changes {_list_some(names)}. Read it; if you trust it: "
        f"{shlex.join(['ratchet', 'reproduce', str(run.path), 'trust=true'])}"
    )


def _restore_large_files(run: StoredRun, project: Path, root: Path) -> None:
    """Copy the files that the record holds by their hash from the project to `root`, and remove the deleted ones.

    Raises:
        UserError: a file is missing, or its content is another one now.
    """
    for file in run.record.git.get("files", []):
        source, target = project / file["path"], root / file["path"]
        if ".." in Path(file["path"]).parts or not target.resolve().is_relative_to(root.resolve()):
            raise UserError(f"{run.path}/record.json: git.files: {file['path']!r} leads out of the project")
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


@dataclass(frozen=True)
class _RecordedCode:
    """Runs scripts with the recorded code: `root` is the project, `package` the directory that `ratchet` is in."""

    root: Path
    package: Path

    def run(self, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a script in a new process that imports no other code of the project. It reads the data of the project."""
        project, own_code = current_project(), {}
        if project.is_marked:
            if not (self.root / MARKER).exists():  # git may not track it
                shutil.copy(project.root / MARKER, self.root)
            own_code[VARIABLE] = str(self.root)
        path = os.pathsep.join(map(str, (self.package, self.root)))
        return subprocess.run(
            [sys.executable, "-P", "-c", script, *arguments],  # -P: nothing is imported from the working directory
            cwd=project.root,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **own_code},
            capture_output=True,
            text=True,
            check=False,
        )


def _find_package(worktree: Path) -> Path:
    """Return the directory of the package `ratchet` in the worktree; the installed one if it is not part of it."""
    installed = Path(__file__).resolve().parents[1]
    top = _find_top(current_project().code_root)
    if installed.is_relative_to(top):
        recorded = worktree / installed.relative_to(top)
        if (recorded / "ratchet" / "__init__.py").is_file():
            return recorded
    return installed


def _check_same_code(run: StoredRun, python: _RecordedCode) -> None:
    """Check that the code that was checked out is the code that was trained.

    Raises:
        UserError: it is not; names the definitions that differ. Nothing is raised if they cannot be compared.
    """
    process = python.run(_HASH, run.record.model)
    if process.returncode:
        raise UserError(f"{run.path}: the recorded code does not run: {_get_last_line(process)}")
    changed = _list_changed_code(run, json.loads(process.stdout))
    if changed:
        then, now = run.record.packages.get(DISTRIBUTION, "-"), read_package_versions([DISTRIBUTION])[DISTRIBUTION]
        version = f", or another version of Ratchet ({then} then, {now} now)" if then != now else ""
        raise UserError(
            f"{run.path}: cannot be reproduced: the recorded commit and changes are not the code that was trained. "
            f"Different: {_list_some(changed)}. Possible reasons: files that git ignores or that were hidden from it "
            f"(skip-worktree, assume-unchanged), files outside of the project, a submodule{version}"
        )


def _list_changed_code(run: StoredRun, now: Mapping[str, str] | None) -> list[str] | None:
    """Return the definitions that differ from those of the record; None if they cannot be compared.

    That is so if the record has none, or if all hashes differ: then another version of Ratchet computed them.
    """
    if run.record.code_hash is None or now is None:
        return None
    if hash_definitions(now) == run.record.code_hash:
        return []
    before = _read_definitions(run)
    if before is None or hash_definitions(before) != run.record.code_hash:
        return ["which definitions is unknown, as code.json is missing or was changed"]
    own_before, own_now = ({value.partition("-")[0] for value in hashes.values()} for hashes in (before, now))
    if now and own_before.isdisjoint(own_now):
        return None
    return changed_definitions(before, now, same_model=True) or ["the names that definitions stand for"]


def _read_definitions(run: StoredRun) -> dict[str, str] | None:
    """Return the content of code.json; None if it is missing or damaged."""
    try:
        content = run.read_json("code.json")
    except UserError:
        return None
    is_valid = isinstance(content, dict) and all(isinstance(value, str) for value in content.values())
    return content if is_valid else None


def _train_again(run: StoredRun, python: _RecordedCode, directory: Path, runs_dir: Path) -> StoredRun:
    config = (run.path / "config.yaml").resolve()
    process = python.run(_AGAIN, str(config), str(runs_dir), str(directory), str(run.record.threads))
    if process.returncode:
        # The worktree is deleted: no message may name it.
        reason = _explain_failure(directory, process).replace(str(python.root), "the recorded code")
        raise UserError(f"{run.path}: the reproduction failed: {reason}")
    return read_run(directory)


def _explain_failure(directory: Path, process: "subprocess.CompletedProcess[str]") -> str:
    """Return the reason that the new run recorded; unless it is a user's mistake, with the end of its log.

    The directory of the run may be deleted now, so the log is quoted, not named.
    """
    try:
        error = read_run(directory).record.error
        log = (directory / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    except (UserError, OSError):  # it failed before it had a directory
        error, log = None, []
    if error is not None and error["type"] == UserError.__name__:
        return error["message"]
    reason = f"{error['type']}: {error['message']}" if error else _get_last_line(process)
    return "\n  ".join([reason, *(["The end of its log:"] if log else []), *log[-_SHOWN:]])


def _get_last_line(process: "subprocess.CompletedProcess[str]") -> str:
    lines = [line for line in process.stderr.strip().splitlines() if not line.startswith("The run's record:")]
    return lines[-1] if lines else f"exit code {process.returncode}"


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
    changed_code = _list_changed_code(run, _read_definitions(again))
    if changed_code is None:
        yield "code: cannot be compared: the record has no hashes of it, or another version of Ratchet computed them"
    elif changed_code:
        yield f"code: different: {_list_some(changed_code)}"
    for name, then in before.inputs.items():
        if then != (now := after.inputs.get(name)):
            yield f"{name}: its files have another content ({_short(then)} then, {_short(now)} now)"
    if before.config_hash != after.config_hash and before.inputs == after.inputs:
        yield "configuration: this code interprets it differently (its hash changed)"
    installed = read_package_versions()
    packages = [
        f"{name} {before.packages.get(name, '-')} then, {installed.get(name, '-')} now"
        for name in sorted({*before.packages, *installed} - {"ratchet", DISTRIBUTION})
        if before.packages.get(name) != installed.get(name)
    ]
    if packages:
        yield f"packages: {'; '.join(packages)}"
    current = machine()
    for key in ("python", "architecture", "processor", "features"):
        if key in before.machine and before.machine.get(key) != current.get(key):
            yield f"machine: {key} {before.machine.get(key)} then, {current.get(key)} now"


def _find_changed_metrics(run: StoredRun, again: StoredRun) -> dict[str, tuple[float | None, float | None]]:
    before, after = (stored.read_json("metrics.json") for stored in (run, again))
    keys: list[str] = [key for key in {**before, **after} if key.count("/") == 1 and before.get(key) != after.get(key)]
    return {key: (before.get(key), after.get(key)) for key in keys}


def _list_some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _short(value: Any) -> str:
    return str(value)[:12]

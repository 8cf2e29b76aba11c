"""Collect the provenance of a run: git state, lock file and packages.

A missing lock is recorded as None. So is the commit if git refuses to answer, with the reason.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ratchet.extras import DISTRIBUTION

_PACKAGES = (
    DISTRIBUTION, "hydra-core", "numpy", "polars", "scikit-learn", "scipy", "snowballstemmer", "torch",
    "pytorch-lightning", "transformers", "tokenizers", "safetensors",
)  # fmt: skip
_CODE = (
    "src", "conf", "models", "pyproject.toml", "requirements.lock", "requirements.txt",
    ":(glob)*.py",  # modules next to models/, and train.py; without "glob", "*" would match "/" as well
    ":(exclude,glob)**/__pycache__/**",  # not every project ignores what Python writes there
)  # fmt: skip
_PLAIN = (
    "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-relative", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
_MAX_DIFF = 2_000_000  # bytes
_MAX_NEW = 1_000_000  # bytes of one new file; a larger one is recorded by its hash
_MAX_READ = 20_000_000  # bytes of all changed files of the commit that are compared with it
_GIT_SECONDS = 60.0  # a network drive or a hook may never answer
_NO_COMMIT = "the repository has no commit yet"
# They lead git to another repository than that of the project, for example in a hook.
_ELSEWHERE = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE",
)  # fmt: skip


class GitError(Exception):
    """The reason why git gave no answer, with its own words and the remedy."""


@dataclass(frozen=True)
class _Change:
    """A file that differs from the commit; `size` is that of its larger version, in bytes."""

    path: str  # relative to the project
    size: int
    is_new: bool


def read_git_state(project: Path) -> tuple[dict[str, Any], str]:
    """Return the commit, the branch and whether the code differs from the commit; and the diff with new files.

    If git gives no answer, the commit is None, and `problem` is the reason; outside of a repository there is none.
    Large files are not in the diff: `files` lists them with size and sha256, and `diff_complete` is False. The size
    of a deleted file is None.
    """
    unknown: dict[str, Any] = {"commit": None, "branch": None, "dirty": None}
    if not _is_in_repository(project) and "GIT_DIR" not in os.environ:
        return unknown, ""
    try:
        commit = _read_commit(project)
        branch = ask_git(project, "rev-parse", "--abbrev-ref", "HEAD").strip()
        diff, left_out = _read_changes(project)
    except GitError as error:
        return unknown | {"problem": str(error)}, ""
    state = {
        "commit": commit,
        "branch": branch,
        "dirty": bool(diff or left_out),
        "diff_sha256": hashlib.sha256(diff.encode("utf-8", "surrogateescape")).hexdigest() if diff else None,
        "diff_complete": not left_out,
    }
    if left_out:
        state["files"] = [_describe_file(project, change) for change in left_out]
    return state, diff


def _read_commit(project: Path) -> str:
    try:
        return ask_git(project, "rev-parse", "HEAD").strip()
    except GitError as error:
        if run_git(project, "for-each-ref", "--count=1") == "":
            raise GitError(_NO_COMMIT) from error
        raise


def find_git_warning(state: Mapping[str, Any]) -> str | None:
    """Return what a user should know of the recorded state of git: a refusal, or large files. None if nothing."""
    problem = state.get("problem")
    if problem is not None and problem != _NO_COMMIT:
        return f"git: {problem}. The run records no commit, so it cannot be reproduced"
    if files := state.get("files"):
        names = ", ".join(f"{file['path']} ({format_size(file['size'])})" for file in files[:5])
        more = f" and {len(files) - 5} more" if len(files) > 5 else ""
        return (
            f"git: large files that differ from the commit are recorded by hash, not in code.diff: {names}{more}. "
            "Commit them, or list them in .gitignore if they are no code"
        )
    return None


def format_size(size: int | None) -> str:
    """Return a size in megabytes; that of a deleted file is None."""
    return "deleted" if size is None else f"{size / 1e6:.1f} MB"


def _is_in_repository(project: Path) -> bool:
    """Return whether the project or a directory above it is a repository, whether git accepts it or not."""
    ceilings = os.environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    for directory in (project, *project.parents):
        if (directory / ".git").exists():
            return True
        if str(directory.parent) in ceilings:
            return False
    return False


def _read_changes(project: Path) -> tuple[str, list[_Change]]:
    """Return the diff against HEAD with new files, and the changes that are too large for it.

    Sizes are compared first, so that no large file is read. Work on a copy of the index, so git's own is kept.
    """
    index = project / ask_git(project, "rev-parse", "--git-path", "index").strip()
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "index")
        if index.is_file():
            # Keep the modification time: git reads again the files that are not older than the index.
            shutil.copy2(index, copy)
        environment = {"GIT_INDEX_FILE": str(copy)}
        new = list(_list_new(project))
        modified = list(_list_modified(project, environment))
        kept_new, left_out_new = _take_smallest(new, _MAX_DIFF, most=_MAX_NEW)
        kept, left_out = _take_smallest(modified, _MAX_READ)
        diff = _diff(project, environment, kept_new, [*left_out, *left_out_new])
        if len(diff) > _MAX_DIFF:
            _, more = _take_smallest([*kept, *kept_new], _MAX_DIFF // 2)
            left_out += more
            diff = _diff(project, environment, [], [*left_out, *left_out_new])
    return diff, sorted([*left_out, *left_out_new], key=lambda change: change.path)


def _list_new(project: Path) -> Iterator[_Change]:
    for name in _split(ask_git(project, "ls-files", "--others", "--exclude-standard", "-z", "--", *_CODE)):
        path = project / name
        if not name.endswith("/"):  # a repository of its own
            yield _Change(name, path.lstat().st_size if os.path.lexists(path) else 0, is_new=True)


def _list_modified(project: Path, environment: Mapping[str, str]) -> Iterator[_Change]:
    """Yield the files of the commit or the index that differ from the commit."""
    fields = _split(
        ask_git(
            project, "diff", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--relative", "HEAD",
            "--", *_CODE, **environment,
        )
    )  # fmt: skip
    entries = [(meta.split()[2], name) for meta, name in zip(fields[::2], fields[1::2], strict=True)]
    known = [blob for blob, _ in entries if blob.strip("0")]
    answers = ask_git(project, "cat-file", "--batch-check=%(objectsize)", stdin="\n".join(known)).split("\n")
    sizes = dict(zip(known, answers, strict=False))
    for blob, name in entries:
        path = project / name
        before = sizes.get(blob, "")
        now = path.lstat().st_size if os.path.lexists(path) and not path.is_dir() else 0
        # The answer for a commit of a submodule is no number.
        yield _Change(name, max(now, int(before) if before.isdecimal() else 0), is_new=False)


def _take_smallest(
    changes: Iterable[_Change], budget: int, most: int | None = None
) -> tuple[list[_Change], list[_Change]]:
    """Return the smallest changes whose sizes sum up to `budget`, each of at most `most` bytes, and the others."""
    kept: list[_Change] = []
    left_out: list[_Change] = []
    for change in sorted(changes, key=lambda change: (change.size, change.path)):
        budget -= change.size
        (kept if budget >= 0 and change.size <= (most or change.size) else left_out).append(change)
    return kept, left_out


def _diff(project: Path, environment: Mapping[str, str], new: Sequence[_Change], left_out: Sequence[_Change]) -> str:
    if new:
        names = "\0".join(change.path for change in new)
        ask_git(
            project, "--literal-pathspecs", "add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul",
            stdin=names, **environment,
        )  # fmt: skip
    excluded = [f":(exclude,literal){change.path}" for change in left_out]
    return ask_git(project, "diff", *_PLAIN, "HEAD", "--", *_CODE, *excluded, **environment)


def _describe_file(project: Path, change: _Change) -> dict[str, Any]:
    """Return path, size and sha256 of a file that the diff leaves out. The sha256 of an unreadable file is None."""
    path = project / change.path
    name = change.path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    try:
        return {"path": name, "size": path.stat().st_size, "sha256": hash_file(path)}
    except FileNotFoundError:
        return {"path": name, "size": None, "sha256": None}
    except OSError:
        return {"path": name, "size": change.size, "sha256": None}


def hash_file(path: Path) -> str:
    """Return the sha256 of a file, which is read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _split(output: str) -> list[str]:
    return [field for field in output.split("\0") if field]


def run_git(project: Path, *arguments: str) -> str | None:
    """Run git in `project` and return its output; None if it fails or is not installed."""
    try:
        return ask_git(project, *arguments)
    except GitError:
        return None


def ask_git(project: Path, *arguments: str, stdin: str = "", **environment: str) -> str:
    """Run git in `project` and return its output.

    Raises:
        GitError: it fails, is not installed, or does not answer.
    """
    try:
        result = subprocess.run(
            ["git", *arguments],
            cwd=project,
            env={**git_environment(project), **environment},
            input=stdin.encode("utf-8", "surrogateescape"),
            capture_output=True,
            check=False,
            timeout=_GIT_SECONDS,
        )
    except FileNotFoundError as error:
        raise GitError("the program git is not installed: install it, or put it on PATH") from error
    except subprocess.TimeoutExpired as error:
        raise GitError(f"`git {arguments[0]}` did not answer within {_GIT_SECONDS:g} s") from error
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}") from error
    if result.returncode:
        raise GitError(_explain_refusal(result))
    return result.stdout.decode("utf-8", "surrogateescape")  # text mode would convert line ends


def git_environment(project: Path) -> dict[str, str]:
    """Return the environment in which git finds the repository of the project, and answers in English."""
    elsewhere = _ELSEWHERE if _is_in_repository(project) else ()
    return {name: value for name, value in os.environ.items() if name not in elsewhere} | {"LC_ALL": "C"}


def _explain_refusal(result: "subprocess.CompletedProcess[bytes]") -> str:
    """Return git's own line of an error, and the command that it recommends."""
    lines = [line.strip() for line in result.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    reasons = [line for line in lines if line.startswith(("fatal:", "error:"))]
    remedies = [line for line in lines if line.startswith("git config ")]
    if not lines:
        return f"`{' '.join(result.args[:2])}` failed with exit code {result.returncode}"
    reason = (reasons or lines)[0].rstrip(".")
    return f"{reason}: {remedies[0]}" if remedies else reason


def hash_lock(project: Path) -> str | None:
    """Return the sha256 of requirements.lock, or None if it is missing."""
    path = project / "requirements.lock"
    return hash_file(path) if path.is_file() else None


def read_library_versions() -> dict[str, str]:
    """Return the versions of the installed libraries that affect results, without Ratchet's own: its code is hashed."""
    return read_package_versions(name for name in _PACKAGES if name != DISTRIBUTION)


def read_package_versions(names: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Return the versions of the installed packages among `names`, by default of all that affect results."""
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions

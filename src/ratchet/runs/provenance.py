"""Collect the provenance of a run: git state, lock file and packages.

A missing lock is recorded as None. So is what git does not answer, with the reason: unknown is not "no".
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ratchet.extras import DISTRIBUTION
from ratchet.files import append_line, read_lines
from ratchet.runs.git import GitError, ask_git, is_in_repository, run_git

_PACKAGES = (
    DISTRIBUTION, "hydra-core", "numpy", "polars", "scikit-learn", "scipy", "snowballstemmer", "torch",
    "pytorch-lightning", "transformers", "tokenizers", "safetensors",
)  # fmt: skip
_NOT_CACHED = ":(exclude,glob)**/__pycache__/**"  # not every project ignores what Python writes there
_CODE = (
    "src", "conf", "models", "pyproject.toml", "requirements.lock", "requirements.txt",
    ":(glob)*.py",  # modules next to models/, and train.py; without "glob", "*" would match "/" as well
    _NOT_CACHED,
)  # fmt: skip
# Beyond the settings of `ask_git`: what attributes or single submodules may set.
_PLAIN = (
    "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
    "--ignore-submodules=dirty", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
_MAX_DIFF = 2_000_000  # bytes
_MAX_NEW = 1_000_000  # bytes of one new file; a larger one is recorded by its hash
_MAX_READ = 20_000_000  # bytes of all changed files of the commit that are compared with it
_NO_COMMIT = "the repository has no commit yet"
_DIFFS = "ratchet/diffs.jsonl"  # in the directory of git


@dataclass(frozen=True)
class _Change:
    """A file that differs from the commit; `size` is that of its larger version, in bytes."""

    path: str  # relative to the project
    size: int
    is_new: bool


def read_git_state(project: Path) -> tuple[dict[str, Any], str]:
    """Return the commit, the branch and whether the code differs from the commit; and the diff with new files.

    What git does not answer is None, and `problem` is the reason: the commit, or only whether the code differs from it.
    Outside of a repository there is no reason. Large files are not in the diff: `files` lists them with size and
    sha256, and `diff_complete` is False. The size of a deleted file is None.
    """
    unknown: dict[str, Any] = {"commit": None, "branch": None, "dirty": None}
    if not is_in_repository(project) and "GIT_DIR" not in os.environ:
        return unknown, ""
    try:
        commit = _read_commit(project)
    except GitError as error:
        return unknown | {"problem": str(error)}, ""
    branch = (run_git(project, "rev-parse", "--abbrev-ref", "HEAD") or "").strip() or None
    try:
        diff, left_out = _read_changes(project)
    except GitError as error:
        return {"commit": commit, "branch": branch, "dirty": None, "problem": str(error)}, ""
    state: dict[str, Any] = {
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
        missing = "the commit" if state.get("commit") is None else "whether the code differs from the commit"
        return f"git: {problem}. The run does not record {missing}, so it cannot be reproduced"
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


def remember_diff(project: Path, state: Mapping[str, Any]) -> None:
    """Note in the directory of git that a diff was recorded in this repository, so that `is_own_diff` knows it.

    A run directory may come from elsewhere, this note cannot. If it cannot be written, `reproduce` asks.
    """
    sha256 = state.get("diff_sha256")
    if sha256 is not None and not is_own_diff(project, sha256):
        with suppress(OSError, GitError):
            append_line(_find_diffs(project), json.dumps(sha256))


def is_own_diff(project: Path, sha256: str) -> bool:
    """Return whether a diff with this sha256 was recorded in this repository."""
    try:
        return json.dumps(sha256).encode() in read_lines(_find_diffs(project))
    except (OSError, GitError):
        return False


def _find_diffs(project: Path) -> Path:
    return project / ask_git(project, "rev-parse", "--git-common-dir").strip() / _DIFFS


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
        _show_hidden(project, environment)
        new = list(_list_new(project, environment))
        modified = list(_list_modified(project, environment))
        kept_new, left_out_new = _take_smallest(new, _MAX_DIFF, most=_MAX_NEW)
        kept, left_out = _take_smallest(modified, _MAX_READ)
        diff = _diff(project, environment, kept_new, [*left_out, *left_out_new])
        if len(diff) > _MAX_DIFF:
            _, more = _take_smallest([*kept, *kept_new], _MAX_DIFF // 2)
            left_out += more
            diff = _diff(project, environment, [], [*left_out, *left_out_new])
    return diff, sorted([*left_out, *left_out_new], key=lambda change: change.path)


def _show_hidden(project: Path, environment: Mapping[str, str]) -> None:
    """Remove the flags by which a user hides changes from git: assume-unchanged and skip-worktree.

    In a sparse checkout, the second one marks files that are meant to be absent: those keep it.
    """
    fields = _split(ask_git(project, "ls-files", "-v", "-z", "--", *_CODE, environment=environment))
    flagged = [(field[0], field[2:]) for field in fields if field[0].islower() or field[0] == "S"]
    if not flagged:
        return
    is_sparse = (run_git(project, "config", "--bool", "core.sparseCheckout") or "").strip() == "true"
    skipped = [name for tag, name in flagged if tag in "Ss" and not (is_sparse and not os.path.lexists(project / name))]
    assumed = [name for tag, name in flagged if tag.islower()]
    for flag, names in (("--no-assume-unchanged", assumed), ("--no-skip-worktree", skipped)):
        if names:
            ask_git(project, "update-index", flag, "-z", "--stdin", stdin="\0".join(names), environment=environment)


def _list_new(project: Path, environment: Mapping[str, str]) -> Iterator[_Change]:
    output = ask_git(
        project, "ls-files", "--others", "--exclude-standard", "-z", "--", *_CODE, environment=environment
    )  # fmt: skip
    for name in _split(output):
        path = project / name
        if not name.endswith("/"):  # a repository of its own
            yield _Change(name, path.lstat().st_size if os.path.lexists(path) else 0, is_new=True)


def _list_modified(project: Path, environment: Mapping[str, str]) -> Iterator[_Change]:
    """Yield the files of the commit or the index that differ from the commit.

    Raises:
        GitError: a submodule has changes that are not committed, which the diff of this repository cannot hold.
    """
    fields = _split(
        ask_git(
            project, "diff", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--relative",
            "--ignore-submodules=none", "HEAD", "--", *_CODE, environment=environment,
        )
    )  # fmt: skip
    entries = [(meta.split(), name) for meta, name in zip(fields[::2], fields[1::2], strict=True)]
    known = [meta[2] for meta, _ in entries if meta[2].strip("0")]
    answers = ask_git(project, "cat-file", "--batch-check=%(objectsize)", stdin="\n".join(known)).split("\n")
    sizes = dict(zip(known, answers, strict=False))
    for meta, name in entries:
        path = project / name
        if meta[1] == "160000":
            _check_submodule(path, name)
        before = sizes.get(meta[2], "")
        now = path.lstat().st_size if os.path.lexists(path) and not path.is_dir() else 0
        # The answer for a commit of a submodule is no number.
        yield _Change(name, max(now, int(before) if before.isdecimal() else 0), is_new=False)


def _check_submodule(path: Path, name: str) -> None:
    changed = ask_git(path, "status", "--porcelain", "--", ".", _NOT_CACHED) if path.is_dir() else ""
    if changed:
        raise GitError(f"{name}: the submodule has changes that are not committed: commit them in it")


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
            stdin=names, environment=environment,
        )  # fmt: skip
    excluded = [f":(exclude,literal){change.path}" for change in left_out]
    return ask_git(project, "diff", *_PLAIN, "HEAD", "--", *_CODE, *excluded, environment=environment)


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

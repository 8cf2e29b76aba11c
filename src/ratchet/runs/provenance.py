"""Collect the provenance of a run: git state, lock file and packages. A missing git or lock is recorded as None."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
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
_MAX_DIFF = 2_000_000  # characters


def read_git_state(project: Path) -> tuple[dict[str, Any], str]:
    """Return the commit, the branch and whether the code differs from the commit; and the diff with new files."""
    commit = run_git(project, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "branch": None, "dirty": None}, ""
    diff = _diff(project)
    state = {
        "commit": commit.strip(),
        "branch": (run_git(project, "rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "dirty": bool(diff),
        "diff_sha256": hashlib.sha256(diff.encode("utf-8", "surrogateescape")).hexdigest() if diff else None,
        "diff_complete": len(diff) <= _MAX_DIFF,
    }
    return state, diff[:_MAX_DIFF]


def _diff(project: Path) -> str:
    """Return the diff against HEAD, including untracked files. Work on a copy of the index, so git's own is kept."""
    index = (run_git(project, "rev-parse", "--git-path", "index") or "").strip()
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "index")
        if (project / index).is_file():
            # Keep the modification time: git reads again the files that are not older than the index.
            shutil.copy2(project / index, copy)
        environment = {"GIT_INDEX_FILE": str(copy)}
        untracked = run_git(project, "ls-files", "--others", "--exclude-standard", "-z", "--", *_CODE) or ""
        if new := {name.partition("/")[0] for name in untracked.split("\0") if name}:
            run_git(project, "add", "--intent-to-add", "--", *sorted(new), **environment)
        return run_git(project, "diff", *_PLAIN, "HEAD", "--", *_CODE, **environment) or ""


def run_git(project: Path, *arguments: str, **environment: str) -> str | None:
    """Run git in `project` and return its output; None if it fails or is not installed."""
    try:
        result = subprocess.run(
            ["git", *arguments],
            cwd=project,
            env={**os.environ, **environment},
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.decode("utf-8", "surrogateescape")  # text mode would convert line ends


def hash_lock(project: Path) -> str | None:
    """Return the sha256 of requirements.lock, or None if it is missing."""
    path = project / "requirements.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


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

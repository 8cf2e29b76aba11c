"""What a run was made with: code, lock, packages, machine. Missing git or lock is no error, it is recorded as such."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "ratchet", "hydra-core", "numpy", "polars", "scikit-learn", "scipy", "snowballstemmer", "torch",
    "pytorch-lightning", "transformers", "tokenizers", "safetensors",
)  # fmt: skip
_CODE = ("src", "conf", "train.py", "pyproject.toml", "requirements.lock")
_MOST = 2_000_000  # characters of a diff that is kept


def git_state(project: Path) -> tuple[dict[str, Any], str]:
    """Commit, branch and whether the code differs from the commit; and the difference, new files included."""
    commit = run_git(project, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "branch": None, "dirty": None}, ""
    diff = _diff(project)
    state = {
        "commit": commit.strip(),
        "branch": (run_git(project, "rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "dirty": bool(diff),
        "diff_sha256": hashlib.sha256(diff.encode("utf-8", "surrogateescape")).hexdigest() if diff else None,
        "diff_complete": len(diff) <= _MOST,
    }
    return state, diff[:_MOST]


def _diff(project: Path) -> str:
    """Against HEAD, with files that git does not know yet; a copy of the index is used, so the real one stays."""
    index = (run_git(project, "rev-parse", "--git-path", "index") or "").strip()
    paths = [path for path in _CODE if (project / path).exists()]
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "index")
        if (project / index).is_file():
            shutil.copy2(project / index, copy)  # with its time: git looks again at what is no older than its index
        environment = {"GIT_INDEX_FILE": str(copy)}
        run_git(project, "add", "--intent-to-add", "--", *paths, **environment)
        plain = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
        return run_git(project, "diff", *plain, "HEAD", "--", *paths, **environment) or ""


def run_git(project: Path, *arguments: str, **environment: str) -> str | None:
    """What git says in `project`; None where it fails or is not there."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=project,
            env={**os.environ, **environment},
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode("utf-8", "surrogateescape")  # bytes, not text mode: line ends stay as they are


def lock_hash(project: Path) -> str | None:
    """sha256 of requirements.lock."""
    path = project / "requirements.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that results may depend on, without importing them."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

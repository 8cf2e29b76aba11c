"""Test that dvc.lock is up to date in every commit: `dvc repro --allow-missing` trains nothing in a fresh clone."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.commands import git, run_program

COUNT = 10 if "THOROUGH" in os.environ else 2
MARK = "build/frozen"  # in the lock of every commit since dvc.lock depends only on inputs of predictions


def list_commits(project: Path) -> list[str]:
    """Return the last commits of the main line whose lock is of this kind, newest first."""
    commits = git(project, "rev-list", "--first-parent", f"--max-count={COUNT}", "HEAD").split()
    return [commit for commit in commits if MARK in git(project, "show", f"{commit}:dvc.lock")]


def test_lock_of_recent_commits_is_up_to_date(project: Path, tmp_path: Path) -> None:
    if not (project / ".git").exists():
        pytest.skip("not a git checkout: there are no commits to look at")
    commits = list_commits(project)
    assert commits, "HEAD has a lock of an older kind: `dvc repro`, and commit dvc.lock"
    for commit in commits:
        clone = tmp_path / commit[:8]
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(project), str(clone)], check=True)
        git(clone, "checkout", "--quiet", commit)
        done = run_program(clone, "dvc", "repro", "--allow-missing")
        assert done.returncode == 0, f"{commit}: {done.stdout}{done.stderr}"
        assert re.findall(r"Running stage '(.+?)':", done.stdout) == ["config"], commit
        assert git(clone, "diff", "--name-only") == "", commit

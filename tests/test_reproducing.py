"""Tests for the code of a reproduction: refusals of git, and large files that the record holds by their hash."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest
from tests.commands import git

from ratchet.errors import UserError
from ratchet.project import MARKER, VARIABLE
from ratchet.reproducing import _worktree, reproduce
from ratchet.runs import StoredRun
from ratchet.runs.provenance import read_git_state
from ratchet.runs.stored import find_runs


@pytest.fixture
def run(sample_runs: Path) -> StoredRun:
    return find_runs(sample_runs, "sample", "rule")[0]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project with a commit, and then with a large new file, a deleted one and a small change."""
    root = tmp_path / "project"
    (root / "models").mkdir(parents=True)
    (root / MARKER).write_text("schema: 1\nratchet: 0.1.0\n")
    (root / "models" / "old.txt").write_text("0123456789abcde\n" * 150_000)
    (root / "models" / "mine.py").write_text("x = 1\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=first")
    (root / "models" / "old.txt").unlink()
    (root / "models" / "mine.py").write_text("x = 2\n")
    (root / "models" / "new [1].bin").write_bytes(bytes(2_000_000))
    monkeypatch.setenv(VARIABLE, str(root))
    return root


def with_state(run: StoredRun, state: dict[str, Any], path: Path | None = None) -> StoredRun:
    return StoredRun(path or run.path, dataclasses.replace(run.record, git=state))


def store_state(run: StoredRun, project: Path, path: Path) -> StoredRun:
    """Return a run in `path` with the current state of the project."""
    state, diff = read_git_state(project)
    path.mkdir()
    (path / "code.diff").write_text(diff)
    return with_state(run, state, path)


def test_reason_of_git_is_named(run: StoredRun) -> None:
    problem = "fatal: detected dubious ownership: git config --global --add safe.directory /x"
    state = {"commit": None, "branch": None, "dirty": None}
    with pytest.raises(UserError, match=r"safe\.directory /x"):
        reproduce(with_state(run, state | {"problem": problem}))
    with pytest.raises(UserError, match="outside of git"):
        reproduce(with_state(run, state))


def test_refusal_of_git_is_not_taken_for_a_missing_commit(
    run: StoredRun, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = store_state(run, project, tmp_path / "run")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="not installed"):
        reproduce(stored)


def test_worktree_has_the_large_files_of_the_record(run: StoredRun, project: Path, tmp_path: Path) -> None:
    stored = store_state(run, project, tmp_path / "run")
    assert [file["path"] for file in stored.record.git["files"]] == ["models/new [1].bin", "models/old.txt"]
    with _worktree(stored, tmp_path / "code") as code:
        files = {path.name: path.read_bytes() for path in (code / "models").iterdir()}
    assert files == {"mine.py": b"x = 2\n", "new [1].bin": bytes(2_000_000)}


@pytest.mark.parametrize("content", [None, b"another content"])
def test_large_file_that_changed_is_refused(
    run: StoredRun, project: Path, tmp_path: Path, content: bytes | None
) -> None:
    stored = store_state(run, project, tmp_path / "run")
    (project / "models" / "new [1].bin").unlink()
    if content is not None:
        (project / "models" / "new [1].bin").write_bytes(content)
    with pytest.raises(UserError, match=hashlib.sha256(bytes(2_000_000)).hexdigest()[:12]):
        reproduce(stored)
    assert "prunable" not in git(project, "worktree", "list")


def test_repository_of_the_environment_is_ignored(
    run: StoredRun, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = store_state(run, project, tmp_path / "run")
    (tmp_path / "other").mkdir()
    git(tmp_path / "other", "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    with _worktree(stored, tmp_path / "code") as code:
        assert (code / "models" / "mine.py").read_text() == "x = 2\n"

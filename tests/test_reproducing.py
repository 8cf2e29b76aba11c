"""Tests for the code of a reproduction: it is what was trained, it is this repository's, and it stays in its place."""

import dataclasses
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests import own_projects
from tests.commands import git

from ratchet.errors import UserError
from ratchet.project import MARKER, VARIABLE
from ratchet.reproducing import (
    _check_same_code,
    _describe_differences,
    _explain_failure,
    _find_package,
    _list_changed_code,
    _RecordedCode,
    _worktree,
    reproduce,
)
from ratchet.runs import StoredRun
from ratchet.runs.code import code_of_run, hash_definitions
from ratchet.runs.provenance import read_git_state, remember_diff
from ratchet.runs.stored import RunRecord


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    """Return a finished run of the model `mine`, without the files of its results."""
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.yaml").write_text("name: mine\n")
    texts = dict.fromkeys(("id", "name", "model", "data", "config_hash"), "mine")
    texts |= {"status": "finished", "started_at": "2026-01-01T00:00:00+00:00", "host": "", "evaluate": "val"}
    numbers = {"pid": 1, "process_started": 0.0, "complexity": 0, "seed": 0, "split_seed": 0, "threads": 1}
    return StoredRun(path, RunRecord.from_json({**texts, **numbers, "argv": [], "overrides": []}))


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


def with_state(run: StoredRun, state: dict[str, Any], **fields: Any) -> StoredRun:
    return StoredRun(run.path, dataclasses.replace(run.record, git=state, **fields))


def store_state(run: StoredRun, project: Path, **fields: Any) -> StoredRun:
    """Return the run with the current state of the project, as it is recorded there."""
    state, diff = read_git_state(project)
    (run.path / "code.diff").write_text(diff)
    remember_diff(project, state)
    return with_state(run, state, **fields)


def store_code(run: StoredRun, project: Path) -> StoredRun:
    """Return the run with the current state and the current code of the project."""
    definitions = code_of_run("mine")
    (run.path / "code.json").write_text(json.dumps(dict(definitions)))
    return store_state(run, project, code_hash=hash_definitions(definitions))


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
    stored = store_state(run, project)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="not installed"):
        reproduce(stored)


def test_worktree_has_the_large_files_of_the_record(run: StoredRun, project: Path, tmp_path: Path) -> None:
    stored = store_state(run, project)
    assert [file["path"] for file in stored.record.git["files"]] == ["models/new [1].bin", "models/old.txt"]
    with _worktree(stored, tmp_path / "code") as code:
        files = {path.name: path.read_bytes() for path in (code / "models").iterdir()}
    assert files == {"mine.py": b"x = 2\n", "new [1].bin": bytes(2_000_000)}


@pytest.mark.parametrize("content", [None, b"another content"])
def test_large_file_that_changed_is_refused(
    run: StoredRun, project: Path, tmp_path: Path, content: bytes | None
) -> None:
    stored = store_state(run, project)
    (project / "models" / "new [1].bin").unlink()
    if content is not None:
        (project / "models" / "new [1].bin").write_bytes(content)
    with pytest.raises(UserError, match=hashlib.sha256(bytes(2_000_000)).hexdigest()[:12]):
        reproduce(stored)
    assert "prunable" not in git(project, "worktree", "list")


def test_repository_of_the_environment_is_ignored(
    run: StoredRun, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = store_state(run, project)
    (tmp_path / "other").mkdir()
    git(tmp_path / "other", "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    with _worktree(stored, tmp_path / "code") as code:
        assert (code / "models" / "mine.py").read_text() == "x = 2\n"


def test_state_that_git_did_not_report_is_no_clean_state(run: StoredRun, project: Path) -> None:
    state = {"commit": git(project, "rev-parse", "HEAD"), "dirty": None, "problem": "fatal: index file corrupt"}
    with pytest.raises(UserError, match=r"is unknown, as git failed \(fatal: index file corrupt\)"):
        reproduce(with_state(run, state))


MODEL = "from ..features import count\n" + own_projects.CONSTANT.replace("+ self._shift", "+ count()")
FEATURES = "def count():\n    return 0.0\n"


@pytest.fixture
def own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project with a model and a module of its own, committed below the root of a repository."""
    outer = tmp_path / "outer"
    root = own_projects.write_project(outer / "a" / "project", {"features.py": FEATURES}, {"mine": MODEL})
    git(outer, "init", "--quiet")
    (outer / ".gitignore").write_text("ignored/\n")
    (outer / "elsewhere.py").write_text("x = 1\n")
    git(outer, "add", ".")
    git(outer, "commit", "--quiet", "--message=first")
    monkeypatch.chdir(root / "models")
    return root


def check_out_and_compare(run: StoredRun, directory: Path) -> None:
    with _worktree(run, directory) as code:
        _check_same_code(run, _RecordedCode(code, _find_package(directory)))


def test_code_of_a_project_below_its_repository_is_found_from_a_subdirectory(
    run: StoredRun, own_project: Path, tmp_path: Path
) -> None:
    (own_project / "features.py").write_text("def count():\n    return 0.5\n")
    stored = store_code(run, own_project)
    (own_project / "features.py").write_text("def count():\n    return 9.9\n")
    with _worktree(stored, tmp_path / "code") as code:
        assert code == tmp_path / "code" / "a" / "project"
        python = _RecordedCode(code, _find_package(tmp_path / "code"))
        _check_same_code(stored, python)
        shown = python.run("import features, os; print(features.count(), os.getcwd())")
    assert shown.stdout.split() == ["0.5", str(own_project)], shown.stderr


def test_other_code_than_that_of_the_record_is_refused(run: StoredRun, own_project: Path, tmp_path: Path) -> None:
    """Earlier versions recorded a clean commit for an edit that was hidden from git."""
    state, _ = read_git_state(own_project)
    (own_project / "features.py").write_text("def count():\n    return 0.5\n")
    stored = with_state(store_code(run, own_project), state)
    with pytest.raises(UserError, match=r"not the code that was trained. Different: count\. .*skip-worktree"):
        check_out_and_compare(stored, tmp_path / "code")
    assert len(git(own_project, "worktree", "list").splitlines()) == 1


def test_code_that_git_ignores_is_missed(run: StoredRun, own_project: Path, tmp_path: Path) -> None:
    git(own_project, "rm", "--quiet", "--cached", "features.py")
    (own_project / ".gitignore").write_text("features.py\n")
    git(own_project, "add", ".gitignore")
    git(own_project, "commit", "--quiet", "--message=second")
    stored = store_code(run, own_project)
    assert stored.record.git["dirty"] is False
    with pytest.raises(UserError, match=r"Different: .*count\b.*files that git ignores"):
        check_out_and_compare(stored, tmp_path / "code")


def test_model_that_the_commit_lacks_is_refused(
    run: StoredRun, own_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_project)  # git removes an empty directory
    stored = store_code(run, own_project)
    git(own_project, "rm", "--quiet", "models/mine.py")
    git(own_project, "commit", "--quiet", "--message=second")
    state, _ = read_git_state(own_project)
    with pytest.raises(UserError, match="not the code that was trained"):
        check_out_and_compare(with_state(stored, state, code_hash=stored.record.code_hash), tmp_path / "code")


def test_hashes_of_another_version_cannot_be_compared(run: StoredRun, own_project: Path) -> None:
    stored = store_code(run, own_project)
    now = dict(code_of_run("mine"))
    assert _list_changed_code(stored, now) == []
    assert _list_changed_code(stored, {name: f"x{value}" for name, value in now.items()}) is None
    assert _list_changed_code(stored, None) is None
    assert _list_changed_code(with_state(stored, {}, code_hash=None), now) is None
    name = next(iter(now))
    assert _list_changed_code(stored, now | {name: "0-0"}) == [name.partition(":")[2]]
    (stored.path / "code.json").write_text("{}")
    assert "code.json" in str(_list_changed_code(stored, now | {name: "0-0"}))


def test_other_code_is_named_among_the_differences(run: StoredRun, own_project: Path, tmp_path: Path) -> None:
    """It is never called a run that is not deterministic."""
    stored = store_code(run, own_project)
    (tmp_path / "again").mkdir()
    definitions = dict(code_of_run("mine"))
    name = next(name for name in definitions if name.endswith(":count"))
    (tmp_path / "again" / "code.json").write_text(json.dumps(definitions | {name: "0-0"}))
    packages = dataclasses.replace(stored.record, packages={}, machine={})
    again = StoredRun(tmp_path / "again", packages)
    assert "code: different: count" in list(_describe_differences(stored, again))
    (tmp_path / "again" / "code.json").unlink()
    assert any(line.startswith("code: cannot be compared") for line in _describe_differences(stored, again))


def make_foreign(run: StoredRun, project: Path, other: Path) -> StoredRun:
    """Return the run as somebody else made it, in a clone of the repository, with changes of two files."""
    git(other.parent, "clone", "--quiet", str(project.parents[1]), str(other))
    clone = other / "a" / "project"
    (clone / "features.py").write_text("def count():\n    return 0.5\n")
    (other / "elsewhere.py").write_text("x = 2\n")
    state, _ = read_git_state(clone)
    diff = git(other, "diff", "--binary", "HEAD") + "\n"
    (run.path / "code.diff").write_text(diff)
    return with_state(run, state | {"diff_sha256": hashlib.sha256(diff.encode()).hexdigest()})


def test_changes_of_somebody_else_are_not_executed_without_trust(
    run: StoredRun, own_project: Path, tmp_path: Path
) -> None:
    stored = make_foreign(run, own_project, tmp_path / "other")
    with pytest.raises(UserError) as caught:
        reproduce(stored)
    message = str(caught.value)
    assert "not recorded in this repository" in message
    assert "code.diff changes a/project/features.py, elsewhere.py." in message
    assert message.endswith(f"ratchet reproduce {stored.path} trust=true")
    assert len(git(own_project, "worktree", "list").splitlines()) == 1
    with _worktree(stored, tmp_path / "code", trust=True) as code:
        assert "0.5" in (code / "features.py").read_text()


@pytest.mark.parametrize("path", ["../../out.txt", "/out.txt", "link/out.txt"])
@pytest.mark.parametrize("size", [None, 6])
def test_file_of_a_record_does_not_lead_out_of_the_project(
    run: StoredRun, own_project: Path, tmp_path: Path, path: str, size: int | None
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "out.txt").write_text("secret")
    (own_project / "link").symlink_to(outside)
    git(own_project, "add", "link")
    git(own_project, "commit", "--quiet", "--message=second")
    path = str(outside / "out.txt") if path.startswith("/") else path
    file = {"path": path, "size": size, "sha256": hashlib.sha256(b"secret").hexdigest()}
    state = {"commit": git(own_project, "rev-parse", "HEAD"), "dirty": True, "diff_complete": False, "files": [file]}
    with pytest.raises(UserError, match="leads out of the project"), _worktree(with_state(run, state), tmp_path / "c"):
        pass
    assert (outside / "out.txt").read_text() == "secret"


def test_commit_of_a_record_is_no_option_of_git(run: StoredRun, own_project: Path) -> None:
    assert own_project.is_dir()
    with pytest.raises(UserError, match="is not a commit"):
        reproduce(with_state(run, {"commit": "--output=x", "dirty": False}))


def test_interpolation_in_the_configuration_is_refused_before_anything_runs(run: StoredRun) -> None:
    (run.path / "config.yaml").write_text("name: ${oc.env:HOME}\n")
    with pytest.raises(UserError, match="name: has the interpolation"):
        reproduce(run)


def test_failure_is_explained_by_what_the_run_recorded(run: StoredRun) -> None:
    """The directory of the new run is deleted, so its log is quoted."""
    content = dataclasses.asdict(run.record) | {"error": {"type": "ValueError", "message": "loss is not finite"}}
    (run.path / "record.json").write_text(json.dumps(content))
    (run.path / "log.txt").write_text("".join(f"line {number}\n" for number in range(9)))
    process = subprocess.CompletedProcess("", 1, "", "Traceback\nThe run's record: /tmp/gone\n")
    message = _explain_failure(run.path, process)
    assert message.startswith("ValueError: loss is not finite\n")
    assert "line 4" in message
    assert "line 3" not in message
    assert "/tmp/gone" not in message
    (run.path / "record.json").unlink()
    assert _explain_failure(run.path, process) == "Traceback"

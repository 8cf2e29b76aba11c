"""Tests for the recorded provenance of a run: git state, lock file, packages and machine."""

import hashlib
import os
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from tests import own_projects

from ratchet.machine import machine
from ratchet.runs.provenance import hash_lock, read_git_state, read_library_versions, read_package_versions


@pytest.fixture(autouse=True)
def _ignore_git_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore the git settings of the user and of a hook that runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(path: Path, *arguments: str, stdin: str | None = None) -> str:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@e", *arguments]
    data = None if stdin is None else stdin.encode("utf-8", "surrogateescape")
    result = subprocess.run(command, cwd=path, input=data, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().strip()


def write_project(project: Path) -> None:
    (project / "src" / "ratchet").mkdir(parents=True)
    (project / "src" / "ratchet" / "model.py").write_text("x = 1\ny = 2\n")
    (project / "conf").mkdir()
    (project / "conf" / "config.yaml").write_text("seed: 0\n")
    (project / "train.py").write_text("print()\n")
    (project / "README.md").write_text("read me\n")
    (project / ".gitignore").write_text("*.pyc\n")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a repository with one commit, which replaces the project."""
    path = tmp_path / "project"
    write_project(path)
    git(path, "init", "--quiet", "--initial-branch=trunk")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "--message=first")
    return path


def restore(project: Path, diff: str, tmp_path: Path) -> Path:
    """Return a fresh clone of `project` at its commit with `diff` applied."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(project), str(clone))
    git(clone, "apply", "-", stdin=diff)
    return clone


def read_code(project: Path) -> dict[str, bytes]:
    files = [path for name in ("src", "conf") for path in (project / name).rglob("*") if path.is_file()]
    files.append(project / "train.py")
    return {str(path.relative_to(project)): path.read_bytes() for path in files}


def test_clean_checkout_has_commit_branch_and_no_diff(project: Path) -> None:
    state, diff = read_git_state(project)
    assert diff == ""
    assert state == {
        "commit": git(project, "rev-parse", "HEAD"),
        "branch": "trunk",
        "dirty": False,
        "diff_sha256": None,
        "diff_complete": True,
    }


def test_detached_head_has_a_commit(project: Path) -> None:
    git(project, "checkout", "--quiet", "--detach")
    state, _ = read_git_state(project)
    assert state["commit"] == git(project, "rev-parse", "HEAD")
    assert state["dirty"] is False


def test_diff_restores_changed_new_and_deleted_files(project: Path, tmp_path: Path) -> None:
    (project / "src" / "ratchet" / "model.py").write_text("x = 1\ny = 'größe'\n")
    (project / "src" / "ratchet" / "new.py").write_text("z = 3\n")
    (project / "src" / "ratchet" / "no_newline.py").write_text("z = 3")
    (project / "src" / "ratchet" / "table.bin").write_bytes(bytes(range(256)))
    (project / "src" / "ratchet" / "mit leerzeichen é.py").write_text("w = 4\n")
    (project / "src" / "ratchet" / "staged.py").write_text("s = 5\n")
    git(project, "add", "src/ratchet/staged.py")
    (project / "conf" / "config.yaml").unlink()
    state, diff = read_git_state(project)
    assert state["dirty"] is True
    assert state["diff_complete"] is True
    assert state["diff_sha256"] == hashlib.sha256(diff.encode("utf-8", "surrogateescape")).hexdigest()
    clone = restore(project, diff, tmp_path)
    assert read_code(clone) == read_code(project)
    assert len(read_code(clone)) == 7


@pytest.mark.parametrize(
    "content", [b"x = 1\r\ny = 3\r\n", b"x = 1\ry = 3\n", b"x = 'caf\xe9'\n"], ids=["crlf", "cr", "latin-1"]
)
def test_diff_keeps_every_byte(project: Path, tmp_path: Path, content: bytes) -> None:
    (project / "src" / "ratchet" / "model.py").write_bytes(content)
    (project / "src" / "ratchet" / "new.py").write_bytes(content)
    _, diff = read_git_state(project)
    assert read_code(restore(project, diff, tmp_path)) == read_code(project)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("color.ui", "always"),
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.external", "echo"),
        ("diff.relative", "true"),
    ],
)
def test_user_git_settings_do_not_affect_diff(project: Path, tmp_path: Path, setting: str, value: str) -> None:
    git(project, "config", setting, value)
    (project / "src" / "ratchet" / "model.py").write_text("x = 1\ny = 3\n")
    (project / "src" / "ratchet" / "new.py").write_text("z = 3\n")
    _, diff = read_git_state(project)
    assert read_code(restore(project, diff, tmp_path)) == read_code(project)


def test_change_of_same_size_and_time_is_detected(project: Path) -> None:
    """Size and time match the index; git reads such a file only if the index is not newer than the file."""
    path, index = project / "src" / "ratchet" / "model.py", project / ".git" / "index"
    past = time.time() // 1 - 60
    git(project, "config", "core.trustctime", "false")
    os.utime(path, (past, past))
    git(project, "update-index", "--refresh")
    path.write_text("x = 1\ny = 3\n")
    os.utime(path, (past, past))
    os.utime(index, (past, past))
    state, diff = read_git_state(project)
    assert state["dirty"]
    assert "+y = 3" in diff


def test_git_index_is_not_modified(project: Path) -> None:
    (project / "src" / "ratchet" / "model.py").write_text("x = 9\n")
    (project / "src" / "ratchet" / "new.py").write_text("z = 3\n")
    (project / "src" / "ratchet" / "staged.py").write_text("s = 5\n")
    git(project, "add", "src/ratchet/staged.py")
    before = (project / ".git" / "index").read_bytes(), git(project, "status", "--porcelain")
    _, diff = read_git_state(project)
    assert "new.py" in diff
    assert "staged.py" in diff
    assert ((project / ".git" / "index").read_bytes(), git(project, "status", "--porcelain")) == before


def test_ignored_and_non_code_files_are_not_dirty(project: Path) -> None:
    (project / "README.md").write_text("changed\n")
    (project / "notes.txt").write_text("new\n")
    (project / "src" / "ratchet" / "model.pyc").write_text("compiled\n")
    state, diff = read_git_state(project)
    assert (state["dirty"], diff) == (False, "")


@pytest.mark.parametrize("name", ["train.py", "conf/config.yaml", "conf/model/new.yaml", "pyproject.toml",
                                   "requirements.lock"])  # fmt: skip
def test_files_that_affect_results_count_as_code(project: Path, name: str) -> None:
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("changed: 1\n")
    state, diff = read_git_state(project)
    assert state["dirty"] is True
    assert name in diff


def test_diff_of_project_in_larger_repository(tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    project = outer / "projects" / "ratchet"
    write_project(project)
    git(outer, "init", "--quiet")
    git(outer, "add", ".")
    git(outer, "commit", "--quiet", "--message=first")
    (outer / "elsewhere.py").write_text("not ours\n")
    assert read_git_state(project)[0]["dirty"] is False
    (project / "src" / "ratchet" / "model.py").write_text("x = 9\n")
    (project / "src" / "ratchet" / "new.py").write_text("z = 3\n")
    _, diff = read_git_state(project)
    clone = restore(outer, diff, tmp_path)
    assert read_code(clone / "projects" / "ratchet") == read_code(project)


def test_huge_diff_is_truncated_and_marked(project: Path) -> None:
    (project / "src" / "huge.txt").write_text("0123456789abcde\n" * 150_000)
    state, diff = read_git_state(project)
    assert state["dirty"] is True
    assert state["diff_complete"] is False
    assert 1_000_000 < len(diff) <= 2_000_000
    assert state["diff_sha256"] != hashlib.sha256(diff.encode()).hexdigest()  # it is the hash of the complete diff


NOTHING = ({"commit": None, "branch": None, "dirty": None}, "")


def test_state_without_repository_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    assert read_git_state(tmp_path / "plain") == NOTHING


def test_state_without_git_program_is_empty(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_git_state(project) == NOTHING


def test_state_without_commit_is_empty(tmp_path: Path) -> None:
    write_project(tmp_path / "new")
    git(tmp_path / "new", "init", "--quiet")
    assert read_git_state(tmp_path / "new") == NOTHING


def test_lock_file_is_hashed(tmp_path: Path) -> None:
    assert hash_lock(tmp_path) is None
    (tmp_path / "requirements.lock").write_bytes(b"numpy==2.0\n")
    assert hash_lock(tmp_path) == hashlib.sha256(b"numpy==2.0\n").hexdigest()


def test_versions_match_installed_packages() -> None:
    versions = read_package_versions()
    assert {name: version(name) for name in versions} == versions
    assert set(versions) >= {"ratchet-ml", "numpy", "scikit-learn", "polars", "torch"}


def test_machine_is_described() -> None:
    description = machine()
    assert set(description) == {"python", "system", "architecture", "processor", "features", "cores", "memory_mb"}
    assert description["python"].count(".") == 2
    assert description["memory_mb"] > 100


def test_own_models_and_modules_of_a_project_count_as_code(tmp_path: Path) -> None:
    """Directories that are missing, empty or ignored must not hide the others."""
    project = own_projects.write_project(tmp_path / "outer" / "größe a", {"README.md": "", "models/old.py": "x = 1\n"})
    (project / ".gitignore").write_text("ignored.py\nsrc/\n")
    git(tmp_path / "outer", "init", "--quiet")
    git(tmp_path / "outer", "add", ".")
    git(tmp_path / "outer", "commit", "--quiet", "--message=first")
    assert read_git_state(project)[0]["dirty"] is False
    new = {"models/new.py": "y = 1\n", "features.py": "z = 1\n", "conf/model/new.yaml": "", "lib/text.py": "t = 1\n"}
    own_projects.write_project(
        project, {**new, "ignored.py": "", "src/ignored.py": "", "models/__pycache__/new.pyc": ""}
    )
    (project / "models" / "old.py").unlink()
    state, diff = read_git_state(project)
    assert state["dirty"] is True
    clone = restore(tmp_path / "outer", diff, tmp_path) / "größe a"
    assert sorted(path.relative_to(clone).as_posix() for path in clone.rglob("*.py")) == [
        "features.py",
        "models/new.py",
    ]
    assert (clone / "conf" / "model" / "new.yaml").is_file()


def test_project_without_code_of_its_own_is_not_dirty(tmp_path: Path) -> None:
    project = own_projects.write_project(tmp_path / "outer" / "project", {"README.md": ""})
    git(tmp_path / "outer", "init", "--quiet")
    git(tmp_path / "outer", "add", ".")
    git(tmp_path / "outer", "commit", "--quiet", "--message=first")
    (project / "README.md").write_text("changed")
    (tmp_path / "outer" / "elsewhere.py").touch()
    assert read_git_state(project) == (read_git_state(project)[0] | {"dirty": False, "diff_sha256": None}, "")


def test_diff_holds_a_deleted_directory(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / "conf")
    state, diff = read_git_state(project)
    assert state["dirty"] is True
    assert not (restore(project, diff, tmp_path) / "conf").exists()


def test_versions_of_libraries_are_those_without_ratchet() -> None:
    libraries = read_library_versions()
    assert {**libraries, "ratchet-ml": version("ratchet-ml")} == read_package_versions()

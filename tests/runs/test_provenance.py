"""What a run was made with: a scratch repository stands for the project."""

import hashlib
import os
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from ratchet.machine import machine
from ratchet.runs.provenance import hash_lock, read_git_state, read_package_versions


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the user's git settings nor those of a hook that runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(path: Path, *arguments: str, given: str | None = None) -> str:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@e", *arguments]
    data = None if given is None else given.encode("utf-8", "surrogateescape")
    done = subprocess.run(command, cwd=path, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def fill(project: Path) -> None:
    (project / "src" / "ratchet").mkdir(parents=True)
    (project / "src" / "ratchet" / "model.py").write_text("x = 1\ny = 2\n")
    (project / "conf").mkdir()
    (project / "conf" / "config.yaml").write_text("seed: 0\n")
    (project / "train.py").write_text("print()\n")
    (project / "README.md").write_text("read me\n")
    (project / ".gitignore").write_text("*.pyc\n")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with one commit."""
    path = tmp_path / "project"
    fill(path)
    git(path, "init", "--quiet", "--initial-branch=trunk")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "--message=first")
    return path


def restore(project: Path, diff: str, tmp_path: Path) -> Path:
    """A fresh clone of `project` at its commit, with `diff` applied."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(project), str(clone))
    git(clone, "apply", "-", given=diff)
    return clone


def code(project: Path) -> dict[str, bytes]:
    files = [path for name in ("src", "conf") for path in (project / name).rglob("*") if path.is_file()]
    files.append(project / "train.py")
    return {str(path.relative_to(project)): path.read_bytes() for path in files}


def test_a_clean_checkout_has_a_commit_a_branch_and_no_diff(project: Path) -> None:
    state, diff = read_git_state(project)
    assert diff == ""
    assert state == {
        "commit": git(project, "rev-parse", "HEAD"),
        "branch": "trunk",
        "dirty": False,
        "diff_sha256": None,
        "diff_complete": True,
    }


def test_a_detached_head_is_no_error(project: Path) -> None:
    git(project, "checkout", "--quiet", "--detach")
    state, _ = read_git_state(project)
    assert state["commit"] == git(project, "rev-parse", "HEAD")
    assert state["dirty"] is False


def test_the_diff_of_changed_new_and_deleted_files_gives_back_the_code(project: Path, tmp_path: Path) -> None:
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
    assert code(clone) == code(project)
    assert len(code(clone)) == 7


@pytest.mark.parametrize(
    "content", [b"x = 1\r\ny = 3\r\n", b"x = 1\ry = 3\n", b"x = 'caf\xe9'\n"], ids=["crlf", "cr", "latin-1"]
)
def test_the_diff_keeps_every_byte(project: Path, tmp_path: Path, content: bytes) -> None:
    (project / "src" / "ratchet" / "model.py").write_bytes(content)
    (project / "src" / "ratchet" / "new.py").write_bytes(content)
    _, diff = read_git_state(project)
    assert code(restore(project, diff, tmp_path)) == code(project)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("color.ui", "always"), ("diff.noprefix", "true"), ("diff.mnemonicPrefix", "true"), ("diff.external", "echo")],
)
def test_the_users_git_settings_do_not_spoil_the_diff(project: Path, tmp_path: Path, setting: str, value: str) -> None:
    git(project, "config", setting, value)
    (project / "src" / "ratchet" / "model.py").write_text("x = 1\ny = 3\n")
    (project / "src" / "ratchet" / "new.py").write_text("z = 3\n")
    _, diff = read_git_state(project)
    assert code(restore(project, diff, tmp_path)) == code(project)


def test_a_change_of_the_same_size_in_the_same_second_is_seen(project: Path) -> None:
    """By size and time the file is as git knows it; git looks into it only if its index is no newer than the file."""
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


def test_the_real_index_is_left_alone(project: Path) -> None:
    (project / "src" / "ratchet" / "model.py").write_text("x = 9\n")
    (project / "src" / "ratchet" / "new.py").write_text("z = 3\n")
    (project / "src" / "ratchet" / "staged.py").write_text("s = 5\n")
    git(project, "add", "src/ratchet/staged.py")
    before = (project / ".git" / "index").read_bytes(), git(project, "status", "--porcelain")
    _, diff = read_git_state(project)
    assert "new.py" in diff
    assert "staged.py" in diff
    assert ((project / ".git" / "index").read_bytes(), git(project, "status", "--porcelain")) == before


def test_what_is_no_code_or_ignored_makes_nothing_dirty(project: Path) -> None:
    (project / "README.md").write_text("changed\n")
    (project / "notes.txt").write_text("new\n")
    (project / "src" / "ratchet" / "model.pyc").write_text("compiled\n")
    state, diff = read_git_state(project)
    assert (state["dirty"], diff) == (False, "")


@pytest.mark.parametrize("place", ["train.py", "conf/config.yaml", "conf/model/new.yaml", "pyproject.toml",
                                   "requirements.lock"])  # fmt: skip
def test_everything_that_results_depend_on_counts_as_code(project: Path, place: str) -> None:
    (project / place).parent.mkdir(exist_ok=True)
    (project / place).write_text("changed: 1\n")
    state, diff = read_git_state(project)
    assert state["dirty"] is True
    assert place in diff


def test_a_project_within_a_larger_repository(tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    project = outer / "projects" / "ratchet"
    fill(project)
    git(outer, "init", "--quiet")
    git(outer, "add", ".")
    git(outer, "commit", "--quiet", "--message=first")
    (outer / "elsewhere.py").write_text("not ours\n")
    assert read_git_state(project)[0]["dirty"] is False
    (project / "src" / "ratchet" / "model.py").write_text("x = 9\n")
    (project / "src" / "ratchet" / "new.py").write_text("z = 3\n")
    _, diff = read_git_state(project)
    clone = restore(outer, diff, tmp_path)
    assert code(clone / "projects" / "ratchet") == code(project)


def test_a_huge_diff_is_cut_and_says_so(project: Path) -> None:
    (project / "src" / "huge.txt").write_text("0123456789abcde\n" * 150_000)
    state, diff = read_git_state(project)
    assert state["dirty"] is True
    assert state["diff_complete"] is False
    assert 1_000_000 < len(diff) <= 2_000_000
    assert state["diff_sha256"] != hashlib.sha256(diff.encode()).hexdigest()  # that of the whole


NOTHING = ({"commit": None, "branch": None, "dirty": None}, "")


def test_no_repository_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    assert read_git_state(tmp_path / "plain") == NOTHING


def test_no_git_program_is_no_error(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_git_state(project) == NOTHING


def test_a_repository_without_a_commit_is_no_error(tmp_path: Path) -> None:
    fill(tmp_path / "new")
    git(tmp_path / "new", "init", "--quiet")
    assert read_git_state(tmp_path / "new") == NOTHING


def test_the_lock_is_known_by_its_hash(tmp_path: Path) -> None:
    assert hash_lock(tmp_path) is None
    (tmp_path / "requirements.lock").write_bytes(b"numpy==2.0\n")
    assert hash_lock(tmp_path) == hashlib.sha256(b"numpy==2.0\n").hexdigest()


def test_versions_are_those_of_the_installed_packages() -> None:
    found = read_package_versions()
    assert {name: version(name) for name in found} == found
    assert set(found) >= {"ratchet", "numpy", "scikit-learn", "polars", "torch"}


def test_the_machine_is_described() -> None:
    found = machine()
    assert set(found) == {"python", "system", "architecture", "processor", "features", "cores", "memory_mb"}
    assert found["python"].count(".") == 2
    assert found["memory_mb"] > 100

"""Tests for the recorded provenance of a run: git state, lock file, packages and machine."""

import hashlib
import os
import shutil
import subprocess
import time
import tracemalloc
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from tests import own_projects

from ratchet.machine import machine
from ratchet.runs import git as git_module
from ratchet.runs.git import ask_git
from ratchet.runs.provenance import (
    find_git_warning,
    hash_lock,
    is_own_diff,
    read_git_state,
    read_library_versions,
    read_package_versions,
    remember_diff,
)


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


SETTINGS = {
    "apply.ignoreWhitespace": "change",
    "apply.whitespace": "error",
    "color.diff": "always",
    "color.ui": "always",
    "core.abbrev": "4",
    "core.autocrlf": "true",
    "core.bigFileThreshold": "10",
    "core.checkStat": "minimal",
    "core.eol": "crlf",
    "core.fsmonitor": "echo",
    "core.ignoreStat": "true",
    "core.pager": "false",
    "core.quotePath": "false",
    "core.safecrlf": "true",
    "core.splitIndex": "true",
    "core.untrackedCache": "true",
    "core.whitespace": "tab-in-indent,cr-at-eol",
    "diff.algorithm": "patience",
    "diff.colorMoved": "zebra",
    "diff.context": "0",
    "diff.external": "echo",
    "diff.ignoreSubmodules": "all",
    "diff.indentHeuristic": "false",
    "diff.interHunkContext": "50",
    "diff.mnemonicPrefix": "true",
    "diff.noprefix": "true",
    "diff.orderFile": "nowhere",
    "diff.relative": "true",
    "diff.renames": "copies",
    "diff.submodule": "log",
    "diff.suppressBlankEmpty": "true",
    "diff.wordRegex": ".",
    "diff.wsErrorHighlight": "all",
    "grep.lineNumber": "true",
    "index.version": "4",
    "log.showSignature": "true",
    "status.relativePaths": "false",
    "status.short": "true",
    "status.showUntrackedFiles": "no",
}


def change_in_many_ways(project: Path) -> None:
    """Change lines far apart, rename, delete, add; with blanks, carriage returns and text that is not ASCII."""
    code = project / "src" / "ratchet"
    lines = (code / "long.py").read_text().splitlines(keepends=True)
    lines[3], lines[20], lines[38] = "y = 3 \n", "", "\t\n\n"
    (code / "long.py").write_text("".join(lines))
    (code / "größe a.py").rename(code / "länge b.py")
    (code / "crlf.py").write_bytes(b"q = 1\r\nr = 2\n")
    (project / "conf" / "config.yaml").unlink()


@pytest.fixture(scope="module")
def changed_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository that differs from its commit in many ways. No test changes it."""
    path = tmp_path_factory.mktemp("changed") / "project"
    write_project(path)
    (path / "src" / "ratchet" / "long.py").write_text("".join(f"x{number} = {number}\n" for number in range(40)))
    (path / "src" / "ratchet" / "größe a.py").write_text("a = 1\n\n" * 20)
    git(path, "init", "--quiet")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "--message=first")
    change_in_many_ways(path)
    return path


@pytest.mark.parametrize("setting", sorted(SETTINGS))
def test_no_setting_of_git_affects_what_is_recorded(
    changed_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    expected = read_git_state(changed_project)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    git(tmp_path, "config", "--global", setting, SETTINGS[setting])
    assert read_git_state(changed_project) == expected
    assert expected[0]["dirty"] is True


def test_recorded_diff_is_applied_whatever_the_settings_of_git(
    changed_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shutil.copytree(changed_project, tmp_path / "project")
    for setting, value in SETTINGS.items():
        git(project, "config", setting, value)
    _, diff = read_git_state(project)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(project / ".git" / "config"))
    ask_git(project, "worktree", "add", "--detach", str(tmp_path / "code"), "HEAD")
    ask_git(tmp_path / "code", "apply", "--binary", "-", stdin=diff)
    assert read_code(tmp_path / "code") == read_code(project)


def test_attributes_of_the_user_do_not_affect_what_is_recorded(
    changed_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read_git_state(changed_project)
    (tmp_path / "attributes").write_text("*.py text eol=crlf diff=loud\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    git(tmp_path, "config", "--global", "core.attributesFile", str(tmp_path / "attributes"))
    git(tmp_path, "config", "--global", "diff.loud.textconv", "echo")
    git(tmp_path, "config", "--global", "diff.loud.command", "echo")
    assert read_git_state(changed_project) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_DIFF_OPTS", "-u0"),
        ("GIT_EXTERNAL_DIFF", "echo"),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_ICASE_PATHSPECS", "1"),
        ("GIT_PREFIX", "src/"),
        ("GIT_ATTR_SOURCE", "HEAD"),
    ],
)
def test_variables_of_git_do_not_affect_what_is_recorded(
    changed_project: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    expected = read_git_state(changed_project)
    monkeypatch.setenv(name, value)
    assert read_git_state(changed_project) == expected


@pytest.mark.parametrize(
    "flags", [["--skip-worktree"], ["--assume-unchanged"], ["--skip-worktree", "--assume-unchanged"]]
)
@pytest.mark.parametrize("change", ["edited", "deleted"])
def test_changes_that_are_hidden_from_git_are_recorded(
    project: Path, tmp_path: Path, flags: list[str], change: str
) -> None:
    path = project / "src" / "ratchet" / "model.py"
    for flag in flags:
        git(project, "update-index", flag, "src/ratchet/model.py")
    index = (project / ".git" / "index").read_bytes()
    assert read_git_state(project)[0]["dirty"] is False
    path.write_text("loss = 0\n") if change == "edited" else path.unlink()
    state, diff = read_git_state(project)
    assert state["dirty"] is True
    assert read_code(restore(project, diff, tmp_path)) == read_code(project)
    assert (project / ".git" / "index").read_bytes() == index


def test_files_that_a_sparse_checkout_leaves_out_are_not_deleted(project: Path) -> None:
    git(project, "sparse-checkout", "set", "--no-cone", "/src/", "/.gitignore")
    assert not (project / "conf").exists()
    state, diff = read_git_state(project)
    assert (state["dirty"], diff) == (False, "")
    (project / "src" / "ratchet" / "model.py").write_text("x = 9\n")
    state, diff = read_git_state(project)
    assert state["dirty"] is True
    assert "conf/config.yaml" not in diff


def add_submodule(project: Path, tmp_path: Path) -> Path:
    """Commit a submodule below the code of the project; return its directory."""
    write_project(tmp_path / "other")
    git(tmp_path / "other", "init", "--quiet")
    git(tmp_path / "other", "add", ".")
    git(tmp_path / "other", "commit", "--quiet", "--message=first")
    git(project, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "other"), "src/sub")
    git(project, "commit", "--quiet", "--message=with a submodule")
    return project / "src" / "sub"


@pytest.mark.parametrize("ignore", [None, "all", "dirty"])
def test_changes_in_a_submodule_are_not_taken_for_none(project: Path, tmp_path: Path, ignore: str | None) -> None:
    submodule = add_submodule(project, tmp_path)
    if ignore is not None:
        git(project, "config", "submodule.src/sub.ignore", ignore)
    (submodule / "src" / "__pycache__").mkdir()
    (submodule / "src" / "__pycache__" / "model.bin").touch()
    assert read_git_state(project)[0]["dirty"] is False
    (submodule / "src" / "ratchet" / "model.py").write_text("x = 9\n")
    state, diff = read_git_state(project)
    assert (state["dirty"], diff) == (None, "")
    assert "src/sub: the submodule has changes" in state["problem"]
    git(submodule, "commit", "--quiet", "-a", "--message=second")
    state, diff = read_git_state(project)
    assert state["dirty"] is True
    assert "+Subproject commit" in diff


def test_hooks_and_monitors_do_not_run(project: Path, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "post-checkout", "monitor"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
        (hooks / name).chmod(0o755)
    git(project, "config", "core.hooksPath", str(hooks))
    git(project, "config", "core.fsmonitor", str(hooks / "monitor"))
    (project / "src" / "new.py").write_text("z = 3\n")
    assert read_git_state(project)[0]["dirty"] is True
    ask_git(project, "worktree", "add", "--detach", str(tmp_path / "code"), "HEAD")
    assert not (tmp_path / "ran").exists()


def test_recorded_diffs_are_known_in_their_repository(project: Path, tmp_path: Path) -> None:
    (project / "src" / "ratchet" / "model.py").write_text("x = 9\n")
    state, _ = read_git_state(project)
    assert not is_own_diff(project, state["diff_sha256"])
    remember_diff(project, state)
    remember_diff(project, state)
    assert is_own_diff(project, state["diff_sha256"])
    assert len((project / ".git" / "ratchet" / "diffs.jsonl").read_text().splitlines()) == 1
    assert not is_own_diff(project, "0" * 64)
    git(project, "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
    assert is_own_diff(tmp_path / "tree", state["diff_sha256"]), "worktrees are one repository"
    git(tmp_path, "clone", "--quiet", str(project), str(tmp_path / "clone"))
    assert not is_own_diff(tmp_path / "clone", state["diff_sha256"])


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


def write_large(path: Path, megabytes: float, line: str = "0123456789abcde\n") -> dict[str, object]:
    """Write a text file of this size; return it as a record holds it."""
    path.write_text(line * int(megabytes * 1e6 / len(line)))
    content = path.read_bytes()
    name = path.relative_to(path.parents[1]).as_posix()
    return {"path": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_large_new_file_is_recorded_by_its_hash(project: Path, tmp_path: Path) -> None:
    large = write_large(project / "src" / "huge.txt", 2.4)
    (project / "src" / "small.bin").write_bytes(bytes(range(256)) * 100)
    state, diff = read_git_state(project)
    assert (state["dirty"], state["diff_complete"], state["files"]) == (True, False, [large])
    assert read_code(restore(project, diff, tmp_path)).keys() == read_code(project).keys() - {"src/huge.txt"}


def test_large_new_file_alone_makes_no_diff(project: Path) -> None:
    large = write_large(project / "src" / "huge [a], 'b' größe.txt", 1.1)
    state, diff = read_git_state(project)
    assert (state["dirty"], state["files"], state["diff_sha256"], diff) == (True, [large], None, "")


def test_large_file_is_not_read_into_memory(project: Path) -> None:
    with (project / "src" / "sparse.bin").open("wb") as file:
        file.truncate(300_000_000)
    tracemalloc.start()
    state, _ = read_git_state(project)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [file["size"] for file in state["files"]] == [300_000_000]
    assert peak < 20_000_000


def test_many_new_files_together_are_bounded(project: Path, tmp_path: Path) -> None:
    for number in range(5):
        write_large(project / "src" / f"{number}.txt", 0.7)
    (project / "src" / "small.py").write_text("x = 1\n")
    state, diff = read_git_state(project)
    assert len(diff) < 3_000_000
    assert [file["path"] for file in state["files"]] == ["src/2.txt", "src/3.txt", "src/4.txt"]
    assert {"src/small.py", "src/0.txt", "src/1.txt"} <= read_code(restore(project, diff, tmp_path)).keys()


def test_small_change_of_a_large_file_is_in_the_diff(project: Path, tmp_path: Path) -> None:
    write_large(project / "src" / "table.txt", 3)
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message=second")
    with (project / "src" / "table.txt").open("a") as file:
        file.write("one more\n")
    state, diff = read_git_state(project)
    assert state["diff_complete"] is True
    assert read_code(restore(project, diff, tmp_path)) == read_code(project)


@pytest.mark.parametrize("size", [2.5, 21])
def test_rewritten_or_deleted_large_file_of_the_commit_is_recorded_by_its_hash(
    project: Path, tmp_path: Path, size: float
) -> None:
    for name in ("changed.txt", "deleted.txt"):
        write_large(project / "src" / name, size)
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message=second")
    changed = write_large(project / "src" / "changed.txt", size, line="another line, of another length\n")
    (project / "src" / "deleted.txt").unlink()
    (project / "src" / "ratchet" / "model.py").write_text("x = 9\n")
    state, diff = read_git_state(project)
    assert state["files"] == [changed, {"path": "src/deleted.txt", "size": None, "sha256": None}]
    clone = restore(project, diff, tmp_path)
    assert (clone / "src" / "ratchet" / "model.py").read_text() == "x = 9\n"


def test_new_repository_below_the_code_does_not_hide_other_files(project: Path) -> None:
    (project / "src" / "inner").mkdir()
    git(project / "src" / "inner", "init", "--quiet")
    (project / "src" / "new.py").write_text("z = 3\n")
    _, diff = read_git_state(project)
    assert "new.py" in diff


NOTHING = {"commit": None, "branch": None, "dirty": None}


def test_state_without_repository_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    assert read_git_state(tmp_path / "plain") == (NOTHING, "")
    assert find_git_warning(NOTHING) is None


def read_problem(project: Path) -> str:
    """Return why git gave no commit; the rest of the state must be empty, and a warning must give the reason."""
    state, diff = read_git_state(project)
    problem = str(state.pop("problem"))
    assert (state, diff) == (NOTHING, "")
    warning = find_git_warning({**state, "problem": problem})
    assert problem in str(warning)
    return problem


def test_missing_git_program_is_a_problem(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "not installed" in read_problem(project)


def write_fake_git(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program called git on PATH that runs a shell script."""
    directory.mkdir()
    (directory / "git").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")


def test_refused_ownership_is_a_problem_with_the_remedy(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = f"fatal: detected dubious ownership in repository at '{project}'"
    remedy = f"git config --global --add safe.directory {project}"
    script = f'printf "%s\\n\\n\\t%s\\n" "{refusal}" "{remedy}" >&2; exit 128'
    write_fake_git(tmp_path / "bin", script, monkeypatch)
    assert read_problem(project) == f"{refusal}: {remedy}"


def test_git_that_hangs_is_a_problem(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_module, "_SECONDS", 0.3)
    write_fake_git(tmp_path / "bin", "exec sleep 600", monkeypatch)
    assert "did not answer" in read_problem(project)


def test_git_that_dies_without_a_word_is_a_problem(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fake_git(tmp_path / "bin", "exit 7", monkeypatch)
    assert "exit code 7" in read_problem(project)


def test_damaged_repository_is_a_problem(project: Path) -> None:
    (project / ".git" / "HEAD").write_text("nonsense")
    assert "fatal" in read_problem(project) or "error" in read_problem(project)


def damage_index(project: Path) -> None:
    (project / ".git" / "index").write_text("nonsense")


def lose_all_objects(project: Path) -> None:
    shutil.rmtree(project / ".git" / "objects")
    (project / ".git" / "objects").mkdir()


def lose_an_object(project: Path) -> None:
    name = git(project, "rev-parse", "HEAD:src/ratchet/model.py")
    (project / ".git" / "objects" / name[:2] / name[2:]).unlink()


def lose_a_filter(project: Path) -> None:
    (project / ".gitattributes").write_text("*.py filter=lfs -text\n")
    git(project, "config", "filter.lfs.clean", "no-such-program clean")


def lose_a_required_filter(project: Path) -> None:
    lose_a_filter(project)
    git(project, "config", "filter.lfs.required", "true")


@pytest.mark.parametrize(
    "damage",
    [damage_index, lose_all_objects, lose_an_object, lose_a_filter, lose_a_required_filter],
    ids=lambda damage: damage.__name__,
)
def test_diff_that_fails_is_unknown_not_clean(project: Path, damage: Callable[[Path], None]) -> None:
    commit = git(project, "rev-parse", "HEAD")
    (project / "src" / "ratchet" / "model.py").write_text("x = 9\n")
    damage(project)
    state, diff = read_git_state(project)
    problem = str(state.pop("problem"))
    assert (state, diff) == ({"commit": commit, "branch": "trunk", "dirty": None}, "")
    assert problem.startswith(("fatal:", "error:"))
    warning = str(find_git_warning({**state, "problem": problem}))
    assert problem in warning
    assert "whether the code differs from the commit" in warning


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_that_cannot_be_read_is_unknown_not_clean(project: Path) -> None:
    (project / "src" / "ratchet" / "model.py").chmod(0)
    (project / "src" / "ratchet" / "model.py").touch()
    assert "Permission denied" in read_git_state(project)[0]["problem"]


def test_repository_without_commit_is_recorded_without_a_warning(tmp_path: Path) -> None:
    write_project(tmp_path / "new")
    git(tmp_path / "new", "init", "--quiet")
    state, diff = read_git_state(tmp_path / "new")
    assert (state, diff) == ({**NOTHING, "problem": "the repository has no commit yet"}, "")
    assert find_git_warning(state) is None


def test_repository_of_the_environment_does_not_replace_that_of_the_project(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook of another repository sets these variables."""
    expected = read_git_state(project)
    write_project(tmp_path / "other")
    git(tmp_path / "other", "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index.lock")
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    assert read_git_state(project) == expected


def test_repository_of_the_environment_counts_where_the_project_has_none(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = read_git_state(project)[0]["commit"]
    (project / ".git").rename(tmp_path / "elsewhere.git")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(project))
    state, _ = read_git_state(project)
    assert (state["commit"], state["dirty"]) == (commit, False)


def test_warning_names_the_large_files(project: Path) -> None:
    write_large(project / "src" / "huge.txt", 1.5)
    state, _ = read_git_state(project)
    warning = str(find_git_warning(state))
    assert "src/huge.txt (1.5 MB)" in warning
    assert ".gitignore" in warning


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

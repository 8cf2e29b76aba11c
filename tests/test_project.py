"""Tests for the root of a project: where it is found, how it is named, and which directories it has."""

import os
from pathlib import Path

import pytest

from ratchet import project as module
from ratchet.errors import UserError
from ratchet.project import MARKER, PACKAGED, VARIABLE, Project, current_project

NAMES = ["plain", "with spaces", "größe", "a=b, c (1)", "a'b", "%41 #1", os.fsdecode(b"latin-\xe4")]


@pytest.fixture(autouse=True)
def _no_project_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the root of a project below a directory that is none."""
    path = tmp_path / "outside" / "project"
    path.mkdir(parents=True)
    (path / MARKER).touch()
    return path


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_root_is_found_from_every_subdirectory(name: str, root: Path) -> None:
    deep = root / name / name
    deep.mkdir(parents=True)
    (deep / MARKER).mkdir()  # a directory marks nothing
    assert Project.find(deep) == Project.find(deep.parent) == Project.find(root) == Project(root)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_root_may_have_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sub = tmp_path / name / "sub"
    sub.mkdir(parents=True)
    (tmp_path / name / MARKER).touch()
    monkeypatch.chdir(sub)
    assert current_project() == Project(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, name)
    assert current_project() == Project(tmp_path / name)


@pytest.mark.parametrize("is_worktree", [False, True], ids=["repository", "worktree"])
def test_search_does_not_pass_the_git_root(is_worktree: bool, root: Path) -> None:
    sub = root / "repository" / "sub"
    sub.mkdir(parents=True)
    git = root / "repository" / ".git"
    git.write_text("gitdir: elsewhere\n") if is_worktree else git.mkdir()
    assert Project.find(sub) == Project(sub, is_marked=False)
    assert Project.find(sub.parent) == Project(sub.parent, is_marked=False)
    (sub.parent / MARKER).touch()
    assert Project.find(sub) == Project(sub.parent), "the git root itself can be a project"


def test_innermost_project_is_used(root: Path) -> None:
    inner = root / "examples" / "inner"
    (inner / "sub").mkdir(parents=True)
    (inner / MARKER).touch()
    assert Project.find(inner / "sub").root == inner
    assert Project.find(inner.parent).root == root


@pytest.mark.parametrize("bare", ["conf", "params.yaml"])
def test_bare_conf_counts_only_in_the_working_directory(
    bare: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC and Kedro projects have these files, too."""
    (tmp_path / "sub").mkdir()
    (tmp_path / bare).mkdir() if bare == "conf" else (tmp_path / bare).touch()
    monkeypatch.chdir(tmp_path / "sub")
    assert current_project() == Project(tmp_path / "sub", is_marked=False)
    monkeypatch.chdir(tmp_path)
    assert current_project() == Project(tmp_path, is_marked=False)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert current_project().root == tmp_path


def test_symbolic_link_leads_to_its_project(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    assert Project.find(tmp_path / "link").root == root


def test_named_project_wins_over_the_working_directory(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MARKER).touch()
    monkeypatch.chdir(root)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other"))
    assert current_project().root == tmp_path / "other"
    assert Project.find(root).root == root, "a directory that the caller names is not overruled"


@pytest.mark.parametrize(
    ("name", "reason"), [("nowhere", "no such directory"), ("a file", "no such directory"), ("empty", "not a project")]
)
def test_named_directory_must_be_a_project(
    name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, name)
    with pytest.raises(UserError) as caught:
        current_project()
    assert str(caught.value).startswith(f"{VARIABLE}={name}: {reason}")
    (tmp_path / name).is_dir() or (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / name / MARKER).touch()
    assert current_project().root == tmp_path / name, "an error is not cached"


def test_directories_are_in_the_root(root: Path) -> None:
    project = Project(root)
    names = (project.conf, project.models, project.runs_dir, project.promotions_dir)
    assert [path.relative_to(root).as_posix() for path in names] == ["conf", "models", "runs", "promotions"]


def test_conf_directories_are_listed_once_and_in_order(root: Path, tmp_path: Path) -> None:
    project, packaged = Project(root), PACKAGED / "conf"
    assert project.conf_directories(root / "absent") == [packaged]
    (root / "conf").mkdir()
    (tmp_path / "more").mkdir()
    assert project.conf_directories(tmp_path / "more") == [tmp_path / "more", root / "conf", packaged]
    assert project.conf_directories(root / "conf") == [root / "conf", packaged]
    assert project.conf_directories(packaged) == [packaged, root / "conf"], "the option of the command line wins"
    assert Project(PACKAGED).conf_directories() == [packaged], "the checkout is a project, too"


def test_code_is_that_of_the_project(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKOUT", root)
    other = root / "other"
    assert Project(other).code_root == other
    assert Project(other, is_marked=False).code_root == root, "only the checkout has code then"
    monkeypatch.setattr(module, "CHECKOUT", None)
    assert Project(other, is_marked=False).code_root == other


def test_paths_are_shown_relative_to_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "sub").mkdir()
    monkeypatch.chdir(root / "sub")
    project = Project(root)
    assert project.show(root / "conf" / "x.yaml") == "conf/x.yaml"
    assert project.show(Path("x.csv")) == "sub/x.csv"
    assert project.show(Path("/elsewhere/x.csv")) == "/elsewhere/x.csv"


def test_incomplete_installation_is_reported(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after src/ alone was copied into an image."""
    monkeypatch.setattr(module, "PACKAGED", tmp_path / "image")
    with pytest.raises(UserError, match=r"image/conf: no such directory: the installation is incomplete"):
        Project(root).conf_directories()

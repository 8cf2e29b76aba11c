"""Test the checks of git, DVC and W&B, each with and without a fault."""

import shutil
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.commands import PROJECT, git

from ratchet.scaffold import tool_checks
from ratchet.scaffold.machine_checks import Status
from ratchet.scaffold.tool_checks import check_dvc, check_git, check_wandb, find_reason_unreadable


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """Return a directory with dvc.yaml, which DVC tracks."""
    shutil.copyfile(PROJECT / "dvc.yaml", tmp_path / "dvc.yaml")
    (tmp_path / ".dvc").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def _logged_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


# --- git --------------------------------------------------------------------------------------------------------------


def test_repository_is_fine_once_it_has_a_commit(tmp_path: Path) -> None:
    check = check_git(tmp_path)
    assert check.status is Status.note
    assert "git init" in check.remedy
    git(tmp_path, "init", "--quiet")
    inside = tmp_path / "project"
    inside.mkdir()
    check = check_git(inside)
    assert check.status is Status.note
    assert str(tmp_path) in check.seen
    assert "commit" in check.remedy
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "first")
    check = check_git(inside)
    assert check.status is Status.ok
    assert git(tmp_path, "rev-parse", "--short", "HEAD") in check.seen


def test_commit_needs_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "gitconfig"
    config.touch()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(config))
    git(tmp_path, "init", "--quiet")
    assert "user.email" in check_git(tmp_path).remedy
    config.write_text("[user]\n    email = e@e\n", encoding="utf-8")
    assert "user.email" not in check_git(tmp_path).remedy


def test_broken_repository_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere\n", encoding="utf-8")
    check = check_git(tmp_path)
    assert check.status is Status.problem
    assert "git status" in check.remedy


def test_missing_git_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    check = check_git(tmp_path)
    assert check.status is Status.note
    assert check.seen.startswith("not installed")


# --- DVC --------------------------------------------------------------------------------------------------------------


def test_valid_pipeline_is_fine(pipeline: Path) -> None:
    check = check_dvc(pipeline)
    assert check.status is Status.ok, check
    assert "no remote" in check.seen
    (pipeline / ".dvc" / "config").write_text(
        "[core]\n    analytics = false\n    remote = store\n['remote \"store\"']\n    url = /tmp/50%\n",
        encoding="utf-8",
    )
    assert "remote store" in check_dvc(pipeline).seen


def test_directory_without_pipeline_is_fine(tmp_path: Path) -> None:
    assert check_dvc(tmp_path).status is Status.ok


def test_pipeline_that_dvc_does_not_track_needs_dvc_init(pipeline: Path) -> None:
    (pipeline / ".dvc").rmdir()
    check = check_dvc(pipeline)
    assert check.status is Status.problem
    assert check.remedy == "`dvc init --no-scm`"
    git(pipeline, "init", "--quiet")
    assert check_dvc(pipeline).remedy == "`dvc init`"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages: [", "line 1"),
        ("stages:\n  a: b: c\n", "line 2"),
        ("- a\n", "mapping"),
        ("stages:\n  first: {comd: echo}\n", "comd"),
        ("stages:\n  first: {deps: [a]}\n", "cmd"),
        ("a: \x00", "cannot be read"),
    ],
)
def test_pipeline_that_dvc_cannot_read_is_a_problem(pipeline: Path, text: str, words: str) -> None:
    (pipeline / "dvc.yaml").write_text(text, encoding="utf-8")
    check = check_dvc(pipeline)
    assert check.status is Status.problem
    assert check.seen.startswith("dvc.yaml")
    assert words in check.seen


def test_pipeline_not_in_utf_8_is_a_problem(pipeline: Path) -> None:
    (pipeline / "dvc.yaml").write_bytes("stages: {}  # für".encode("latin-1"))
    assert check_dvc(pipeline).status is Status.problem


KEYS = st.text() | st.sampled_from(["stages", "cmd", "deps", "outs", "params"])
PIPELINES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["echo", "${a}", "a"]),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(content=st.binary() | PIPELINES.map(lambda content: yaml.safe_dump(content).encode()))
def test_any_file_is_read_or_has_a_reason(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "dvc.yaml"
    file.write_bytes(content)
    reason = find_reason_unreadable(file)
    assert reason is None or len(reason.splitlines()) == 1, reason


def test_without_dvc_only_the_syntax_is_checked(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_checks, "has_modules", lambda *_: False)
    check = check_dvc(pipeline)
    assert (check.status, check.seen) == (Status.ok, "not installed")
    (pipeline / "dvc.yaml").write_text("stages: [", encoding="utf-8")
    assert check_dvc(pipeline).status is Status.problem


def test_broken_configuration_of_dvc_is_named(pipeline: Path) -> None:
    (pipeline / ".dvc" / "config").write_text("no section\n", encoding="utf-8")
    assert str(pipeline / ".dvc" / "config") in check_dvc(pipeline).seen


# --- W&B --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"])
def test_key_in_the_environment_is_found_and_not_shown(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "not-to-be-shown")
    check = check_wandb(is_needed=True)
    assert check.status is Status.ok
    assert variable in check.seen
    assert "not-to-be-shown" not in repr(check)


def test_key_in_a_file_counts_for_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password not-to-be-shown\n", encoding="utf-8")
    check = check_wandb(is_needed=True)
    assert check.status is Status.ok
    assert str(tmp_path / "netrc") in check.seen
    assert "not-to-be-shown" not in repr(check)
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org/")
    assert check_wandb(is_needed=True).status is Status.note


@pytest.mark.parametrize("content", [None, b"machine elsewhere login user password p\n", b"machine\n", b"\xff\xfe\n"])
def test_tracker_without_a_key_is_a_note_if_it_is_used(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "netrc").write_bytes(content)
    check = check_wandb(is_needed=True)
    assert check.status is Status.note
    assert "wandb login" in check.remedy
    assert check_wandb(is_needed=False).status is Status.ok


def test_missing_wandb_is_left_to_the_check_of_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    check = check_wandb(is_needed=True)
    assert (check.status, check.seen) == (Status.ok, "not installed")

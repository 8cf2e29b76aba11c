"""Test the checkup of a project: what needs which extra, broken projects, and that nothing is written."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.commands import PROJECT, read_files
from tests.packages import hide_modules

from ratchet.errors import UserError
from ratchet.project import MARKER, PACKAGED, Project, current_project
from ratchet.scaffold import checkup
from ratchet.scaffold.checkup import check_project, list_needs, read_project, run_checkup
from ratchet.scaffold.machine_checks import Check, Status

HEAVY = ("torch", "transformers", "polars", "sklearn", "scipy", "dvc", "wandb", "altair", "pydantic")
BEYOND_CORE = ("torch", "pytorch_lightning", "transformers", "tokenizers", "safetensors", "dvc", "wandb", "altair")
PROGRAM = """
import sys
from ratchet.project import current_project
from ratchet.scaffold.checkup import run_checkup
checks = run_checkup(current_project())
print(*(f"{check.name}={check.status.value}" for check in checks), sep="\\n")
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty project on the sample, which is the working directory."""
    monkeypatch.delenv("RATCHET_PROJECT", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    (tmp_path / MARKER).write_bytes((PACKAGED / MARKER).read_bytes())
    (tmp_path / "conf").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(root: Path, text: str) -> None:
    (root / "conf" / "config.yaml").write_text(text, encoding="utf-8")


def run_alone(directory: Path, program: str) -> list[str]:
    """Run a program in a process of its own; return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=directory, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def find_problems(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if check.status is Status.problem}


# --- what needs an extra ----------------------------------------------------------------------------------------------


def test_project_on_the_core_needs_no_extra(root: Path) -> None:
    assert list_needs(read_project(current_project())) == {}
    (root / "params.yaml").write_text("models: [rule, regression]\n", encoding="utf-8")
    (root / "dvc.yaml").write_text("stages: {mine: {cmd: echo}}\n", encoding="utf-8")
    assert list_needs(read_project(current_project())) == {}


def test_neural_models_and_the_tracker_need_their_extras(root: Path) -> None:
    configure(root, "defaults: [{model: cnn}, {tracker: wandb}]\n")
    assert list_needs(read_project(current_project())) == {"neural": "model=cnn", "wandb": "tracker=wandb"}


def test_models_of_the_pipeline_need_their_extra(root: Path) -> None:
    (root / "params.yaml").write_text("models: [rule, transformer_tiny, cnn]\n", encoding="utf-8")
    assert list_needs(read_project(current_project())) == {"neural": "params.yaml (transformer_tiny, cnn)"}


def test_stages_of_ratchet_need_dvc_and_the_report(root: Path) -> None:
    shutil.copyfile(PROJECT / "dvc.yaml", root / "dvc.yaml")
    assert list_needs(read_project(current_project())) == {"pipeline": "dvc.yaml", "report": "dvc.yaml"}


def test_needs_reach_the_checks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(root, "defaults: [{model: cnn}, {tracker: wandb}, {trainer: gpu}]\n")
    for variable in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("ratchet.scaffold.machine_checks.find_gpus", list)
    checks = {check.name: check for check in run_checkup(current_project())}
    assert checks["GPU"].status is Status.problem
    assert checks["W&B"].status is Status.note


# --- the project ------------------------------------------------------------------------------------------------------


def test_project_is_reported_with_its_maker(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / MARKER).write_text("schema: 1\nratchet: 0.0.7\n", encoding="utf-8")
    (check,) = check_project(Project.find(root))
    assert (check.status, check.seen) == (Status.ok, f"{root}, made by Ratchet 0.0.7")
    monkeypatch.setenv("RATCHET_PROJECT", str(root))
    (check,) = check_project(current_project())
    assert "RATCHET_PROJECT" in check.seen


def test_project_in_another_project_is_a_note(root: Path) -> None:
    inner = root / "inner"
    inner.mkdir()
    shutil.copyfile(root / MARKER, inner / MARKER)
    _, nested = check_project(Project.find(inner))
    assert nested.status is Status.note
    assert str(root) in nested.seen
    (inner / ".git").mkdir()
    assert len(list(check_project(Project.find(inner)))) == 1
    (inner / ".git").rmdir()
    (root / MARKER).write_text("a: [", encoding="utf-8")
    assert len(list(check_project(Project.find(inner)))) == 1, "the other project is none that a command would use"


def test_directory_without_project_has_no_problem(root: Path) -> None:
    (root / MARKER).unlink()
    (root / "conf").rmdir()
    checks = run_checkup(current_project())
    assert find_problems(checks) <= {"cache", "disk"}
    assert {check.status for check in checks if check.name == "project"} == {Status.note}


def test_broken_project_leaves_the_other_checks(root: Path) -> None:
    (root / MARKER).write_text("schema: 99\nratchet: 9.9.0\n", encoding="utf-8")
    with pytest.raises(UserError) as error:
        current_project()
    checks = run_checkup(error.value)
    assert "project" in find_problems(checks)
    assert "9.9.0" in next(check.seen for check in checks if check.name == "project")
    assert {"Python", "packages", "git"} <= {check.name for check in checks}


def test_check_that_cannot_read_a_file_is_a_problem_and_others_go_on(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[Check]:
        raise PermissionError(13, "Permission denied", str(root / "conf"))

    monkeypatch.setattr(checkup, "check_conf", refuse)
    checks = run_checkup(current_project())
    (check,) = [check for check in checks if check.name == "conf"]
    assert check.status is Status.problem
    assert str(root / "conf") in check.seen
    assert check.remedy
    assert {"models", "configuration", "editor"} <= {check.name for check in checks}


def test_every_line_is_ok_or_has_a_remedy(root: Path) -> None:
    configure(root, "a: b: c\n")
    checks = run_checkup(current_project())
    assert "configuration" in find_problems(checks)
    assert all(bool(check.remedy) == (check.status is not Status.ok) for check in checks)
    assert all("\n" not in f"{check.name}{check.seen}{check.remedy}" for check in checks)


# --- a process of its own ---------------------------------------------------------------------------------------------


def test_nothing_heavy_is_imported_and_nothing_is_written(root: Path) -> None:
    (root / "models").mkdir()
    (root / "models" / "mine.py").write_text("print('a model was imported')\nx = 1 / 0\n", encoding="utf-8")
    before = read_files(root)
    *lines, heavy = run_alone(root, f"{PROGRAM}\nprint([name for name in {HEAVY!r} if name in sys.modules])\n")
    assert heavy == "[]"
    assert "model=problem" in lines
    assert "a model was imported" not in lines, "it would mix with the result"
    assert read_files(root) == before


def test_core_and_a_machine_without_git_suffice(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copyfile(PROJECT / "dvc.yaml", root / "dvc.yaml")
    (root / ".dvc").mkdir()
    monkeypatch.setenv("PATH", str(root))
    lines = run_alone(root, hide_modules(BEYOND_CORE) + PROGRAM)
    assert {"git=note", "DVC=ok", "models=ok", "configuration=ok", "project=ok"} <= set(lines)

"""Tests for `ratchet doctor`: formats, exit codes, and broken projects."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from ratchet.cli.doctor import run
from ratchet.cli.main import run_guarded
from ratchet.project import MARKER, PACKAGED

Doctor = Callable[..., tuple[int, str, str]]


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Return a function that runs `ratchet doctor` in an empty project: exit code, stdout, stderr."""
    monkeypatch.setenv("RATCHET_PROJECT", "")
    monkeypatch.setenv("RATCHET_CACHE", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    (tmp_path / MARKER).write_bytes((PACKAGED / MARKER).read_bytes())
    (tmp_path / "conf" / "model").mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run_guarded(lambda: run(list(arguments)))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Write a configuration that is not valid YAML into the project."""
    path = tmp_path / "conf" / "model" / "broken.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("name: [\n", encoding="utf-8")
    return path


def test_project_without_problem_has_exit_code_0(doctor: Doctor) -> None:
    code, out, err = doctor()
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("0 problems, ")
    assert out.splitlines()[-2] == ""


def test_problem_has_exit_code_1_and_its_remedy_below_it(doctor: Doctor, broken: Path) -> None:
    code, out, _ = doctor()
    assert code == 1
    lines = out.splitlines()
    assert lines[-1].startswith("1 problem, ")
    (at,) = [number for number, line in enumerate(lines) if "conf/model/broken.yaml" in line]
    assert lines[at].startswith("configuration ")
    start = lines[at].index("conf/model/broken.yaml")
    assert lines[at + 1].startswith(" " * start + "remedy: ")


@pytest.mark.usefixtures("broken")
def test_columns_are_aligned_and_fit_80(doctor: Doctor, terminal: Callable[[int], None]) -> None:
    terminal(80)
    lines = doctor()[1].splitlines()[:-2]
    start = lines[0].index("3.")
    named = [line for line in lines if not line.startswith(" ")]
    assert all(line[start - 1] == " " and line[start] != " " for line in lines)
    assert {line[:start].split()[-1] for line in named} == {"ok", "note", "problem"}
    too_wide = [line for line in lines if cell_len(line) > 80]
    assert all(" " not in line[start:] for line in too_wide), "only a path may be wider"


@pytest.mark.usefixtures("broken")
def test_json_has_every_check(doctor: Doctor) -> None:
    code, out, _ = doctor("format=json")
    content = json.loads(out)
    assert code == 1
    assert content["problems"] == 1
    assert {tuple(check) for check in content["checks"]} == {("name", "status", "seen", "remedy")}
    assert {check["status"] for check in content["checks"]} == {"ok", "note", "problem"}
    assert [check["name"] for check in content["checks"] if check["status"] == "problem"] == ["configuration"]


def test_markdown_is_a_table(doctor: Doctor) -> None:
    code, out, _ = doctor("format=md")
    assert code == 0
    assert out.startswith("| check | status | seen | remedy |")


def test_subdirectory_belongs_to_the_project(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path / "conf" / "model")
    assert f"{tmp_path}, made by Ratchet" in doctor()[1]


def test_other_project_is_checked(doctor: Doctor, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / MARKER).write_bytes((PACKAGED / MARKER).read_bytes())
    assert f"{other}, made by Ratchet" in doctor("--project", "other")[1]


def test_broken_project_is_a_problem(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("schema: 99\nratchet: 9.9.0\n", encoding="utf-8")
    code, out, _ = doctor()
    assert code == 1
    assert any(line.startswith("project ") and "9.9.0" in line for line in out.splitlines())


def test_variable_that_names_nothing_is_a_problem(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_PROJECT", "/nowhere/at/all")
    code, out, _ = doctor()
    assert code == 1
    assert any(line.startswith("project ") and "/nowhere/at/all" in line for line in out.splitlines())


@pytest.mark.parametrize("arguments", [["form=md"], ["format=xml"], ["fix"], ["--project", "nowhere"], ["--project"]])
def test_mistake_is_a_message_with_exit_code_2(doctor: Doctor, arguments: list[str]) -> None:
    code, out, err = doctor(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: command line")

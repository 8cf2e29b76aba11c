"""Test the checks of a project's files: conf/, models/, params.yaml, and what `ratchet init` writes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.project import PACKAGED, current_project
from ratchet.scaffold.checkup import read_project
from ratchet.scaffold.creating import create_project
from ratchet.scaffold.file_checks import (
    check_conf,
    check_configurations,
    check_models,
    check_params,
    check_written_by_init,
)
from ratchet.scaffold.machine_checks import Check, Status

LABELS = ("login", "billing", "login;billing")
MODEL = """
from dataclasses import dataclass
from ratchet.models import rule

@dataclass
class Settings(rule.Settings):
    pass

class Tagger(rule.Tagger):
    pass
"""


@pytest.fixture(scope="module")
def created(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project that `ratchet init` made from a CSV file."""
    directory = tmp_path_factory.mktemp("created")
    rows = "".join(f"{row},the text of ticket number {row},{LABELS[row % 3]}\n" for row in range(60))
    (directory / "tickets.csv").write_text(f"id,body,topics\n{rows}", encoding="utf-8")
    root = directory / "project"
    (root / ".dvc").mkdir(parents=True)
    create_project(root, data=directory / "tickets.csv")
    return root


@pytest.fixture
def root(created: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the project, which is the working directory."""
    monkeypatch.delenv("RATCHET_PROJECT", raising=False)
    root = Path(shutil.copytree(created, tmp_path / "project"))
    monkeypatch.chdir(root)
    return root


def list_faults(check: Callable[..., "list[Check]"]) -> dict[str, Check]:
    """Return the checks that are not ok, by what was seen; each must have a remedy."""
    faults = {outcome.seen: outcome for outcome in check(read_project(current_project()))}
    assert all(bool(outcome.remedy) == (outcome.status is not Status.ok) for outcome in faults.values())
    return {seen: outcome for seen, outcome in faults.items() if outcome.status is not Status.ok}


def write_model(root: Path, name: str, text: str = MODEL, *, module: str | None = None) -> None:
    (root / "models" / f"{name}.py").write_text(text, encoding="utf-8")
    if module is not None:
        content = f"defaults: [base_{module}, _self_]\nname: {name}\ncomplexity: 3\nmodule: {module}\n"
        (root / "conf" / "model" / f"{name}.yaml").write_text(content, encoding="utf-8")


def test_new_project_is_fine(root: Path) -> None:
    survey = read_project(current_project())
    groups = (check_configurations, check_models, check_params, check_written_by_init)
    checks = [*check_conf(survey.project), *(check for group in groups for check in group(survey))]
    assert {check.status for check in checks} == {Status.ok}, checks
    seen = {check.name: check.seen for check in checks}
    assert seen["conf"].startswith("conf, then ")
    assert "tickets" in seen["data"]
    assert "neighbours" in seen["models"]
    assert seen["params"] == "6 runs: rule, regression on tickets"


# --- conf/ ------------------------------------------------------------------------------------------------------------


def test_replaced_configurations_are_listed(root: Path) -> None:
    assert "replaces" not in next(check_conf(current_project())).seen
    shutil.copyfile(PACKAGED / "conf" / "model" / "rule.yaml", root / "conf" / "model" / "rule.yaml")
    check = next(check_conf(current_project()))
    assert check.status is Status.ok
    assert "replaces model/rule " in check.seen


def test_files_that_are_never_read_are_named(root: Path) -> None:
    (root / "conf" / "models").mkdir()
    (root / "conf" / "data" / "other.yml").touch()
    faults = [check for check in check_conf(current_project()) if check.status is not Status.ok]
    assert [check.seen.partition(":")[0] for check in faults] == ["conf/data/other.yml", "conf/models"]
    assert {check.status for check in faults} == {Status.note}
    assert "other.yaml" in faults[0].remedy
    assert "'model'" in faults[1].remedy


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("model/broken.yaml", "name: [\n", "line 2"),
        ("model/broken.yaml", "defaults: [base_regresion, _self_]\nname: a\n", "base_regression"),
        ("data/broken.yaml", "defaults: [base_data, _self_]\nnam: a\n", "nam"),
        ("objective/broken.yaml", "defaults: [base_objective, _self_]\nmargin: much\n", "margin"),
        ("tracker/broken.yaml", "defaults: [base_tracker, _self_]\nkind: wandbb\n", "kind"),
        ("trainer/broken.yaml", "epochs: many\n", "epochs"),
        ("experiment/broken.yaml", "# @package _global_\ndefaults: [{override /model: regresion}]\n", "regression"),
    ],
)
def test_broken_configuration_is_a_problem_with_its_location(root: Path, file: str, text: str, words: str) -> None:
    (root / "conf" / file).parent.mkdir(exist_ok=True)
    (root / "conf" / file).write_text(text, encoding="utf-8")
    (fault,) = list_faults(check_configurations).values()
    assert fault.status is Status.problem
    assert fault.seen.startswith(f"conf/{file}")
    assert words in fault.seen
    assert file.replace("/", "=").removesuffix(".yaml") in fault.remedy


def test_each_group_composes_as_its_own_option(root: Path) -> None:
    for name in ("sweep/rule", "debug/limit", "experiment/rule_exact", "launcher/basic", "objective/strict"):
        path = root / "conf" / f"{name} of mine.yaml"
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(PACKAGED / "conf" / f"{name}.yaml", path)
    assert list_faults(check_configurations) == {}


def test_broken_default_is_one_problem(root: Path) -> None:
    (root / "conf" / "config.yaml").write_text("a: b: c\n", encoding="utf-8")
    (fault,) = list_faults(check_configurations).values()
    assert fault.seen.startswith("conf/config.yaml, line 1")


def test_missing_records_are_a_problem(root: Path) -> None:
    (root / "data" / "tickets" / "tickets.csv").unlink()
    (fault,) = list_faults(check_configurations).values()
    assert (fault.name, fault.status) == ("data", Status.problem)
    assert "data/tickets/tickets.csv" in fault.seen
    assert "records.path" in fault.remedy
    (root / "data" / "tickets" / "tickets.csv.dvc").touch()
    (fault,) = list_faults(check_configurations).values()
    assert fault.remedy == "`dvc pull data/tickets/tickets.csv.dvc`"


def test_records_with_a_url_need_not_be_there(root: Path) -> None:
    shutil.copyfile(PACKAGED / "conf" / "data" / "madewithml.yaml", root / "conf" / "data" / "remote.yaml")
    assert list_faults(check_configurations) == {}


# --- models/ and params.yaml ------------------------------------------------------------------------------------------


def test_model_that_cannot_be_imported_is_one_problem(root: Path) -> None:
    write_model(root, "mine", "\nx = 1 / 0\n", module="mine")
    (fault,) = list_faults(check_models).values()
    assert fault.status is Status.problem
    assert fault.seen.startswith("models/mine.py, line 2")
    assert list_faults(check_configurations) == {}, "the module was reported already"


@pytest.mark.parametrize("missing", ["Settings", "Tagger"])
def test_model_without_a_class_is_a_problem(root: Path, missing: str) -> None:
    write_model(root, "mine", MODEL.replace(f"class {missing}", "class Other"), module="mine")
    (fault,) = list_faults(check_models).values()
    assert fault.status is Status.problem
    assert fault.seen.startswith("models/mine.py")
    assert missing in fault.seen


def test_model_without_a_configuration_is_a_note(root: Path) -> None:
    write_model(root, "mine")
    (fault,) = list_faults(check_models).values()
    assert fault.status is Status.note
    assert fault.seen.startswith("models/mine.py")
    assert "conf/model/mine.yaml" in fault.remedy
    write_model(root, "mine", module="mine")
    assert list_faults(check_models) == {}


def test_configuration_without_a_module_is_a_problem(root: Path) -> None:
    (root / "models" / "neighbours.py").unlink()
    (fault,) = list_faults(check_configurations).values()
    assert fault.seen.startswith("conf/model/neighbours.yaml")
    assert "base_neighbours" in fault.seen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [rule, regresion]\n", "conf/model/regresion.yaml"),
        ("data: ticket\n", "conf/data/ticket.yaml"),
        ("objective: stric\n", "conf/objective/stric.yaml"),
        ("modls: [rule]\n", "modls"),
        ("models: [\n", "line 2"),
    ],
)
def test_mistake_in_params_is_a_problem(root: Path, text: str, words: str) -> None:
    (root / "params.yaml").write_text(text, encoding="utf-8")
    (fault,) = list_faults(check_params).values()
    assert fault.status is Status.problem
    assert "params.yaml" in fault.seen
    assert words in fault.seen


def test_params_of_another_tool_are_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATCHET_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("learning_rate: 0.1\n", encoding="utf-8")
    assert list(check_params(read_project(current_project()))) == []
    (tmp_path / "dvc.yaml").write_text("stages: {config: {cmd: ratchet pipeline config}}\n", encoding="utf-8")
    assert len(list_faults(check_params)) == 1


# --- what init writes -------------------------------------------------------------------------------------------------


def test_files_that_differ_from_those_of_init_are_a_note(root: Path) -> None:
    (root / "train.py").write_text("import ratchet\n", encoding="utf-8")
    (root / ".github" / "workflows" / "ratchet.yml").unlink()
    lines = (root / ".gitignore").read_text(encoding="utf-8").splitlines()
    (root / ".gitignore").write_text("\n".join(line for line in lines if line != "/runs/"), encoding="utf-8")
    for path in ("README.md", "models/neighbours.py", "conf/data/tickets.yaml", "params.yaml"):
        with (root / path).open("a", encoding="utf-8") as file:
            file.write("# of the user\n")
    (fault,) = list_faults(check_written_by_init).values()
    assert (fault.name, fault.status) == ("init", Status.note)
    assert fault.seen.partition(": ")[2] == (
        ".github/workflows/ratchet.yml (missing), .gitignore (different), train.py (different)"
    )


def test_line_ends_of_windows_and_more_ignored_files_are_no_difference(root: Path) -> None:
    text = (root / "train.py").read_bytes()
    (root / "train.py").write_bytes(text.replace(b"\n", b"\r\n"))
    with (root / ".gitignore").open("a", encoding="utf-8") as file:
        file.write("/secret/\n")
    assert list_faults(check_written_by_init) == {}


def test_project_of_an_older_ratchet_is_compared(root: Path) -> None:
    (root / "ratchet.yaml").write_text("schema: 1\nratchet: 0.0.1\n", encoding="utf-8")
    (fault,) = list_faults(check_written_by_init).values()
    assert "ratchet.yaml (different)" in fault.seen


def test_old_and_missing_schemas_are_a_note(root: Path) -> None:
    (root / "conf" / ".schema" / "data.json").unlink()
    (root / "conf" / ".schema" / "model.json").write_text("{}", encoding="utf-8")
    write_model(root, "mine", module="mine")
    faults = list_faults(check_written_by_init)
    (fault,) = faults.values()
    assert (fault.name, fault.status, fault.remedy) == ("editor", Status.note, "`ratchet config schema`")
    # data.json, model.json, and those that list every model: config.json, sweep.json, and the new model/mine.json
    assert fault.seen.startswith("5 of 15 ")


def test_this_checkout_and_unmarked_directories_are_not_compared(
    root: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "ratchet.yaml").unlink()
    assert list(check_written_by_init(read_project(current_project()))) == []
    monkeypatch.chdir(project)
    assert list(check_written_by_init(read_project(current_project()))) == []

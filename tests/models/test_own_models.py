"""Tests for models of a project: what is found, what is imported and when, and what is said of those that are wrong."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.own_projects import CONSTANT, SETTINGS, keep_registered, write_project

from ratchet.config import compose, register
from ratchet.config.options import summarise_models
from ratchet.errors import UserError
from ratchet.models import (
    all_settings,
    model_modules,
    own_modules,
    packaged_modules,
    rule,
    settings_class,
    tagger_class,
)
from ratchet.project import VARIABLE
from ratchet.runs.code import code_of_run, hash_definitions

WRITES_A_FILE = "from pathlib import Path\nPath(__file__).with_suffix('.imported').touch()\n"


@pytest.fixture(autouse=True)
def _keep_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.chdir(tmp_path)
    with keep_registered():
        yield


def enter(root: Path, **models: str) -> Path:
    """Write a project with these models, and work in it."""
    os.chdir(write_project(root, models=models))
    return root


def test_modules_of_the_project_are_models_but_for_heavy_halves_and_helpers(tmp_path: Path) -> None:
    names = ("constant", "constant_network", "_helper", "base", "__init__")
    root = write_project(tmp_path / "project", {f"models/{name}.py": "" for name in names})
    (root / "models" / "notes.txt").touch()
    os.chdir(root)
    assert own_modules() == {"constant": root / "models" / "constant.py"}
    assert model_modules() == sorted([*packaged_modules(), "constant"])


def test_directory_without_a_project_has_no_own_models(tmp_path: Path) -> None:
    """Other frameworks have a directory `models` too, whose modules must not be executed."""
    (tmp_path / "plain" / "models").mkdir(parents=True)
    (tmp_path / "plain" / "models" / "user.py").write_text(WRITES_A_FILE)
    os.chdir(tmp_path / "plain")
    assert model_modules() == packaged_modules()
    all_settings()
    assert not list(Path("models").glob("*.imported"))


def test_model_is_composed_with_its_own_settings(tmp_path: Path) -> None:
    enter(tmp_path / "project", constant=CONSTANT)
    register(all_settings())
    config = compose(["model=constant", "model.shift=0.25"])
    assert (config.model.module, config.name) == ("constant", "constant")
    assert type(config.model) is settings_class("constant")
    assert tagger_class("constant")(config.model)._shift == 0.25  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"command line, model\.shift=much"):
        compose(["model=constant", "model.shift=much"])
    with pytest.raises(UserError, match="did you mean 'shift'"):
        compose(["model=constant", "model.shft=1"])


def test_two_projects_of_one_process_do_not_mix(tmp_path: Path) -> None:
    other = CONSTANT.replace("shift: float = 0.0", "shift: float = 0.5\n    more: int = 1")
    roots = [
        write_project(tmp_path / name, models={"constant": text, name: text})
        for name, text in (("first", CONSTANT), ("second", other))
    ]
    shifts, hashes = [], []
    for root in [*roots, *roots]:
        os.chdir(root)
        register(all_settings())
        model = compose(["model=constant"]).model
        shifts.append(model.shift)  # type: ignore[attr-defined]
        hashes.append(hash_definitions(code_of_run("constant")))
        assert hasattr(model, "more") == (root == roots[1])
        absent = "second" if root == roots[0] else "first"
        assert absent not in model_modules()
        with pytest.raises(UserError, match=f"model={absent}"):
            compose([f"model={absent}"])
    assert shifts == [0.0, 0.5, 0.0, 0.5]
    assert hashes[0] == hashes[2] != hashes[1] == hashes[3]


def test_model_of_the_project_replaces_the_packaged_one(tmp_path: Path) -> None:
    packaged = settings_class("rule")
    assert packaged is rule.Settings
    enter(tmp_path / "project", rule=CONSTANT)
    assert settings_class("rule") is not packaged
    register(all_settings())
    assert compose(["model=rule", "model.shift=0.1"]).model.module == "rule"
    assert "project.models.rule:Tagger" in code_of_run("rule")
    assert not [key for key in code_of_run("rule") if key.startswith("ratchet.models.rule:")]


WRONG = {
    "raises": ("x = 1\n\nraise RuntimeError('no luck')\n", "models/raises.py, line 3: cannot be imported"),
    "syntax": ("def f(:\n", "models/syntax.py, line 1: cannot be imported"),
    "exits": ("import sys\nsys.exit(3)\n", "models/exits.py, line 2: cannot be imported"),
    "empty": ("", "models/empty.py: has no class 'Settings'"),
    "no_tagger": (SETTINGS, "models/no_tagger.py: has no class 'Tagger'"),
    "plain": ("class Settings: pass\nclass Tagger: pass\n", "models/plain.py: Settings must be a dataclass"),
    "undecorated": (
        "from ratchet.config import ModelConfig\nclass Settings(ModelConfig):\n    x: int = 1\nclass Tagger: pass\n",
        "models/undecorated.py: Settings must be a dataclass",
    ),
    "untyped": (
        CONSTANT.replace("shift: float", "shift: np.ndarray"),
        "models/untyped.py: Settings: ",
    ),
    "required_packages": ("import nowhere_at_all\n", "models/required_packages.py, line 1: cannot be imported"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_module_is_located_and_other_models_work(name: str, tmp_path: Path) -> None:
    text, expected = WRONG[name]
    enter(tmp_path / "project", constant=CONSTANT, **{name: text})
    register(all_settings())
    assert compose(["model=rule"]).model.name == "rule"
    assert compose(["model=constant"]).model.name == "constant"
    with pytest.raises(UserError) as caught:
        compose([f"model={name}"])
    assert str(caught.value).startswith(expected)


def test_wrong_module_that_replaces_a_packaged_one_is_not_skipped(tmp_path: Path) -> None:
    enter(tmp_path / "project", rule="1 / 0\n")
    register(all_settings())
    with pytest.raises(UserError, match=r"^models/rule\.py, line 1"):
        compose(["model=rule"])
    assert compose(["model=regression"]).model.name == "regression"


def test_corrected_project_can_be_registered_again(tmp_path: Path) -> None:
    root = enter(tmp_path / "project", constant="1 / 0\n")
    register(all_settings())
    (root / "models" / "constant.py").write_text(CONSTANT)
    register(all_settings())
    assert compose(["model=constant"]).model.name == "constant"


def test_lists_read_files_and_import_nothing(tmp_path: Path) -> None:
    enter(tmp_path / "project", constant=WRITES_A_FILE)
    [summary] = [summary for summary in summarise_models() if summary.name == "constant"]
    assert (summary.module, summary.what, summary.problem) == ("constant", "The model constant.", None)
    assert "constant" in model_modules()
    assert not list(Path("models").glob("*.imported"))
    all_settings()
    assert list(Path("models").glob("*.imported")), "the file shows an import"

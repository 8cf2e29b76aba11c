"""Tests for the search order of configuration files, and for the list of those that replace packaged ones."""

from pathlib import Path

import pytest
from tests.own_projects import write_project

from ratchet.config.directories import find_config, list_configs, list_groups, list_replaced, show_config
from ratchet.project import PACKAGED, VARIABLE

CONF = PACKAGED / "conf"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the root of a project; the working directory is below it."""
    root = write_project(
        tmp_path / "project",
        {
            "conf/model/rule.yaml": "# mine",
            "conf/model/own.yaml": "# own",
            "conf/features/words.yaml": "",
            "conf/.cache/x.yaml": "",
            "conf/config.yaml": "seed: 1",
        },
    )
    (root / "sub").mkdir()
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.chdir(root / "sub")
    return root


@pytest.fixture
def further(tmp_path: Path) -> Path:
    """Return a directory for --config-dir."""
    directory = tmp_path / "further"
    (directory / "model" / "tuned").mkdir(parents=True)
    (directory / "model" / "rule.yaml").write_text("# further")
    (directory / "model" / "tuned" / "cnn.yaml").touch()
    return directory


def test_config_dir_is_before_the_project_and_that_before_the_package(root: Path, further: Path) -> None:
    assert find_config("model/rule", further) == further / "model" / "rule.yaml"
    assert find_config("model/rule") == root / "conf" / "model" / "rule.yaml"
    assert find_config("model/cnn", further) == CONF / "model" / "cnn.yaml"
    assert find_config("model/absent", further) == CONF / "model" / "absent.yaml"


def test_options_of_a_group_are_those_of_all_directories(root: Path, further: Path) -> None:
    packaged = {path.stem for path in (CONF / "model").glob("*.yaml")}
    configs = list_configs("model", further)
    assert list(configs) == sorted({*packaged, "own", "tuned/cnn"})
    assert configs["rule"] == further / "model" / "rule.yaml"
    assert list_configs("model")["rule"] == root / "conf" / "model" / "rule.yaml"
    assert list_configs("absent") == {}


def test_groups_are_those_of_all_directories(root: Path) -> None:
    assert {"features", "model", "data"} < set(list_groups())
    assert ".cache" not in list_groups()


def test_replaced_files_are_listed_once_without_config_yaml(root: Path, further: Path) -> None:
    assert list_replaced(further) == list_replaced() == ["model/rule"]
    (root / "conf" / "model" / "rule.yaml").unlink()
    assert list_replaced() == []
    assert list_replaced(further) == ["model/rule"]
    (further / "model" / "own.yaml").touch()
    assert list_replaced(further) == ["model/own", "model/rule"], "a file of the project can be replaced, too"


def test_files_are_shown_as_the_user_knows_them(root: Path, further: Path) -> None:
    assert show_config(root / "conf" / "model" / "own.yaml") == "conf/model/own.yaml"
    assert show_config(CONF / "model" / "cnn.yaml") == "conf/model/cnn.yaml"
    assert show_config(further / "x.yaml") == str(further / "x.yaml")

from pathlib import Path
from typing import Any

import pytest
import yaml

from ratchet.errors import UserError
from ratchet.search.experiment import differences, experiment_text, write_experiment

BEFORE: dict[str, Any] = {"model": {"rate": 0.1, "lexical": {"C": 1.0}, "widths": [1, 2]}, "threshold": {"value": 0.5}}


def text(changed: dict[str, Any]) -> str:
    return experiment_text(
        "cnn_tuned", "cnn", changed, "the best", "python train.py experiment=cnn_tuned", "About 3 s."
    )


def test_only_what_differs_is_set() -> None:
    after = {"model": {"rate": 0.2, "lexical": {"C": 2.0}, "widths": [1, 2]}, "threshold": {"value": 0.5}}
    assert differences(BEFORE, after) == {"model": {"rate": 0.2, "lexical": {"C": 2.0}}}
    assert differences(BEFORE, BEFORE) == {}
    assert differences({"model": {"a": [1]}}, {"model": {"a": None}}) == {"model": {"a": None}}


def test_the_file_opens_with_its_command_and_is_a_configuration() -> None:
    found = text({"model": {"widths": [1], "rate": 0.2}})
    first, what, command, expected, *_ = found.splitlines()
    assert first == "# @package _global_"
    assert what.endswith(".")
    assert command == "# python train.py experiment=cnn_tuned"
    assert expected == "# About 3 s."
    assert yaml.safe_load(found) == {
        "defaults": [{"override /model": "cnn"}],
        "name": "cnn_tuned",
        "model": {"widths": [1], "rate": 0.2},
    }
    assert "model" not in yaml.safe_load(text({}))


def test_a_searchs_own_file_is_replaced_and_no_other_one(tmp_path: Path) -> None:
    directory = tmp_path / "experiment"
    path = write_experiment(directory, "cnn_tuned", text({}))
    assert write_experiment(directory, "cnn_tuned", text({"seed": 1})) == path
    assert yaml.safe_load(path.read_text())["seed"] == 1
    path.write_text("# mine\n")
    with pytest.raises(UserError, match=r"cnn_tuned\.yaml: is there already.*sweep\.experiment"):
        write_experiment(directory, "cnn_tuned", text({}))
    assert path.read_text() == "# mine\n"


@pytest.mark.parametrize("name", ["../x", "a b", "", ".hidden"])
def test_a_name_that_is_no_files_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sweep\.experiment="):
        write_experiment(tmp_path, name, text({}))


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        write_experiment(tmp_path / "taken", "cnn_tuned", text({}))

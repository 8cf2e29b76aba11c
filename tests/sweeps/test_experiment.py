"""Tests for the file that a search writes for its best trial."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ratchet.errors import UserError
from ratchet.sweeps.experiment import experiment_text, find_changes, write_experiment

BEFORE: dict[str, Any] = {"model": {"rate": 0.1, "lexical": {"C": 1.0}, "widths": [1, 2]}, "threshold": {"value": 0.5}}


def make_text(changed: dict[str, Any]) -> str:
    return experiment_text("cnn_tuned", "cnn", changed, "the best", "ratchet train experiment=cnn_tuned", "About 3 s.")


def test_only_changed_keys_are_set() -> None:
    after = {"model": {"rate": 0.2, "lexical": {"C": 2.0}, "widths": [1, 2]}, "threshold": {"value": 0.5}}
    assert find_changes(BEFORE, after) == {"model": {"rate": 0.2, "lexical": {"C": 2.0}}}
    assert find_changes(BEFORE, BEFORE) == {}
    assert find_changes({"model": {"a": [1]}}, {"model": {"a": None}}) == {"model": {"a": None}}


def test_file_starts_with_its_command_and_is_valid() -> None:
    content = make_text({"model": {"widths": [1], "rate": 0.2}})
    first, title, command, expected, *_ = content.splitlines()
    assert first == "# @package _global_"
    assert title.endswith(".")
    assert command == "# ratchet train experiment=cnn_tuned"
    assert expected == "# About 3 s."
    assert yaml.safe_load(content) == {
        "defaults": [{"override /model": "cnn"}],
        "name": "cnn_tuned",
        "model": {"widths": [1], "rate": 0.2},
    }
    assert "model" not in yaml.safe_load(make_text({}))


def test_only_files_written_by_a_search_are_replaced(tmp_path: Path) -> None:
    directory = tmp_path / "experiment"
    path = write_experiment(directory, "cnn_tuned", make_text({}))
    assert write_experiment(directory, "cnn_tuned", make_text({"seed": 1})) == path
    assert yaml.safe_load(path.read_text())["seed"] == 1
    path.write_text("# mine\n")
    with pytest.raises(UserError, match=r"cnn_tuned\.yaml: exists, and no search.*sweep\.experiment"):
        write_experiment(directory, "cnn_tuned", make_text({}))
    assert path.read_text() == "# mine\n"


@pytest.mark.parametrize("name", ["../x", "a b", "", ".hidden"])
def test_invalid_file_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sweep\.experiment="):
        write_experiment(tmp_path, name, make_text({}))


def test_uncreatable_directory_raises(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        write_experiment(tmp_path / "taken", "cnn_tuned", make_text({}))

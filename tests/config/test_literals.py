"""Tests for texts that YAML 1.1 reads as truth values or numbers: labels such as no, on and 007."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.own_projects import write_project

from ratchet.config import Config, compose
from ratchet.errors import UserError
from ratchet.project import VARIABLE

Compose = Callable[..., Config]
WORDS = [
    "no",
    "yes",
    "on",
    "OFF",
    "True",
    "false",
    "007",
    "7",
    "1_000",
    "0x1F",
    "1e3",
    "1.50",
    ".5",
    "+3",
    "0o17",
    "nan",
]


@pytest.fixture
def compose_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compose:
    """Return `compose_own(text, *overrides)`: compose a data set whose YAML file ends with `text`."""
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.chdir(write_project(tmp_path / "project"))

    def run(text: str, *overrides: str, experiment: str | None = None) -> Config:
        head = "defaults: [base_data, _self_]\nname: own\ntext: [t]\nrecords: {path: own.csv}\n"
        labels = "" if text.startswith("labels:") else "labels: {column: l}\n"
        files = {"conf/data/own.yaml": f"{head}{labels}{text}"}
        if experiment is not None:
            files["conf/experiment/mine.yaml"] = f"# @package _global_\n{experiment}"
        write_project(tmp_path / "project", files)
        return compose(["data=own", *(["experiment=mine"] if experiment else []), *overrides])

    return run


@pytest.mark.parametrize("word", WORDS)
def test_label_in_a_list_is_read_as_written(word: str, compose_own: Compose) -> None:
    data = compose_own(f"filter: {{exclude: [{word}, 'no', bug]}}\n").data
    assert data.filter.exclude == [word, "no", "bug"]


@pytest.mark.parametrize("word", WORDS)
def test_text_is_read_as_written(word: str, compose_own: Compose) -> None:
    assert compose_own(f"id: {word}\n").data.id == word


def test_lists_below_slices_and_labels_are_read_as_written(compose_own: Compose) -> None:
    text = (
        "labels:\n  kind: columns\n  columns:\n  - on\n  - 007\n  unknown: [-1, no]\nmissing: [nan, 0]\n"
        "slices:\n  s: {kind: labels, labels: [yes, 1e3]}\n"
    )
    data = compose_own(text).data
    assert (data.labels.columns, data.labels.unknown, data.missing) == (["on", "007"], ["-1", "no"], ["nan", "0"])
    assert data.slices["s"].labels == ["yes", "1e3"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("[no, yes]", ["no", "yes"]),
        ("007", "007"),
        ("false", False),
        ("7", 7),
        ("0.5", 0.5),
        ("'7'", "7"),
    ],
)
def test_value_of_any_type_is_a_text_if_yaml_would_change_it(written: str, value: Any, compose_own: Compose) -> None:
    where = compose_own(f"filter: {{where: {{answer: {written}}}}}\n").data.filter.where["answer"]
    assert (where, type(where)) == (value, type(value))


def test_quoted_texts_stay(compose_own: Compose) -> None:
    assert compose_own("filter: {exclude: ['False', \"7\"]}\n").data.filter.exclude == ["False", "7"]


def test_numbers_stay_numbers(compose_own: Compose) -> None:
    config = compose_own("filter: {min_records: 007}\nsplit: {test: 0.20}\n")
    assert (config.data.filter.min_records, config.split.test) == (7, 0.2)


def test_list_of_an_experiment_is_read_as_written(compose_own: Compose) -> None:
    config = compose_own("filter: {exclude: [on]}\n", experiment="data: {filter: {exclude: [no, 1e3]}}\n")
    assert config.data.filter.exclude == ["no", "1e3"]


@pytest.mark.parametrize("word", ["no", "007", "off", "'true'", "'1e3'", "7"])
def test_label_of_the_command_line_is_read_as_written(word: str, compose_own: Compose) -> None:
    assert compose_own("", f"data.filter.exclude=[{word}]").data.filter.exclude == [word.strip("'")]


@pytest.mark.parametrize("word", ["true", "1e3", "nan", "1.50", "1_000", "+3"])
def test_label_of_the_command_line_that_hydra_changes_is_refused(word: str, compose_own: Compose) -> None:
    with pytest.raises(UserError, match=r"data\.filter\.exclude.*holds texts.*quotation marks"):
        compose_own("", f"data.filter.exclude=[bug,{word}]")

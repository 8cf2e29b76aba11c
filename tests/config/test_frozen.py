"""Frozen files come back with the same types and ranges; what was changed by hand is told."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ratchet.config import CONF, Metric, SplitMethod, compose, compose_objective, load_data, load_objective, plain
from ratchet.config.objective import Objective
from ratchet.errors import UserError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frozen.yaml"


def data_as_frozen(*overrides: str) -> dict[str, Any]:
    config = compose(overrides)
    return {"data": plain(config.data), "split": plain(config.split)}


def objective_as_frozen(objective: Objective) -> dict[str, Any]:
    return {"name": objective.name, "objective": plain(objective.settings)}


def merged(content: Any, change: Any) -> Any:
    if not isinstance(content, dict) or not isinstance(change, dict):
        return change
    return {**content, **{key: merged(content.get(key), value) for key, value in change.items()}}


def write(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(each.stem for each in (CONF / "data").glob("*.yaml")))
def test_a_data_set_and_its_division_come_back(name: str, path: Path) -> None:
    config = compose([f"data={name}", "split.seed=4"])
    assert load_data(write(path, data_as_frozen(f"data={name}", "split.seed=4"))) == (config.data, config.split)


@pytest.mark.parametrize("name", sorted(each.stem for each in (CONF / "objective").glob("*.yaml")))
def test_an_objective_comes_back_with_its_file_and_its_hash(name: str, path: Path) -> None:
    expected = compose_objective([f"objective={name}"])
    found = load_objective(write(path, objective_as_frozen(expected)))
    assert found == expected
    assert found.hash == expected.hash


def test_floors_of_labels_and_of_slices_come_back(path: Path) -> None:
    changes = ["+objective.labels.audio=0.5", "+objective.slices.short_text=1", "objective.budgets.size_mb=null"]
    expected = compose_objective(changes)
    found = load_objective(write(path, objective_as_frozen(expected)))
    assert found.settings == expected.settings
    assert found.overrides == (), "the frozen file is all there is"


def test_values_have_their_types(path: Path) -> None:
    _, split = load_data(write(path, data_as_frozen("split.method=temporal")))
    assert split.method is SplitMethod.temporal
    objective = load_objective(write(path, objective_as_frozen(compose_objective(["objective.metric=f1_macro"]))))
    assert objective.settings.metric is Metric.f1_macro


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"splt": {}}, ["unknown key 'splt'", "did you mean 'split'?"]),
        ({"split": {"sed": 1}}, ["'split.sed'", "did you mean 'seed'?"]),
        ({"split": {"seed": -1}}, ["split.seed=-1", "at least 0"]),
        ({"split": {"method": "temporl"}}, ["split.method", "temporl"]),
        ({"data": {"filter": {"min_records": "many"}}}, ["data.filter.min_records", "many"]),
        ({"data": {"filter": {"min_records": 0}}}, ["data.filter.min_records=0", "at least 1"]),
        ({"data": {"name": None}}, ["data.name"]),
        ({"data": []}, ["data"]),
        ({"data": "sample"}, ["data"]),
    ],
    ids=str,
)
def test_a_file_that_was_changed_by_hand_is_told_by_file_and_key(
    change: dict[str, Any], parts: list[str], path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        load_data(write(path, merged(data_as_frozen(), change)))
    for part in parts:
        assert part in str(caught.value)
    assert "frozen.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"objective": {"floor": 2}}, "floor=2.0"),
        ({"objective": {"margn": 0.1}}, "margn"),
        ({"objective": {"slices": {"terse": 3}}}, "terse"),
        ({"objective": {"labels": {"audio": "much"}}}, "audio"),
    ],
    ids=str,
)
def test_a_wrong_objective_is_told(change: dict[str, Any], part: str, path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_objective(write(path, {"name": "default", **change}))
    assert part in str(caught.value)
    assert "frozen.yaml" in str(caught.value)


@pytest.mark.parametrize("load", [load_data, load_objective])
@pytest.mark.parametrize("text", ["[", "- 1", "5"], ids=repr)
def test_what_is_no_mapping_is_told(text: str, load: Any, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"frozen\.yaml"):
        load(path)


@pytest.mark.parametrize("load", [load_data, load_objective])
def test_a_file_that_is_not_there_is_told(load: Any, path: Path) -> None:
    with pytest.raises(UserError, match=r"frozen\.yaml: cannot be read: No such file"):
        load(path)

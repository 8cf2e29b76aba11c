"""Tests for saved configurations: they load with the same types and limits, and wrong edits are reported."""

import dataclasses
import itertools
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from tests.commands import CONF

from ratchet.config import (
    Config,
    DataConfig,
    Metric,
    ModelConfig,
    Part,
    SplitMethod,
    compose,
    compose_objective,
    config_hash,
    dump,
    load,
    plain,
)
from ratchet.config.objective import Objective
from ratchet.config.saved import _check_interpolations, search_settings
from ratchet.errors import UserError
from ratchet.lexical.features import LexicalSettings
from ratchet.models import all_settings
from ratchet.pipeline.data_stages import load_data
from ratchet.pipeline.decision_stages import load_objective

UNCHANGED = [
    "seed=7",
    "split.seed=7",
    "threads=1",
    "tracker=wandb",
    "tracker.project=elsewhere",
    "runs_dir=elsewhere",
    "run_dir=elsewhere/one",
    "data.records.path=a/copy.jsonl",
    "data.taxonomy.path=a/copy.json",
    "data.records.url=https://example.org/projects.jsonl",
    "evaluate=val",
    "tags=[keep]",
    "hypothesis=better",
    "parent=20260101T000000Z-abcdef",
    "sweep_id=x",
    "name=other",
    "evaluation.resamples=200",
    "evaluation.k=[1]",
    "~evaluation.slices.date",
    "data.slices.terse.max_words=3",
]
CHANGED = [
    "threshold.method=per_label",
    "threshold.average=macro",
    "threshold.value=0.4",
    "split.val=0.25",
    "split.test=0.25",
    "split.method=temporal",
    "data.split.val=0.25",
    "data.filter.min_records=2",
    "data.filter.exclude=[audio]",
    "data.filter.taxonomy_only=true",
    "data.filter.drop_unlabelled=true",
    "data.name=other",
    "data.text=[title]",
    "data.text_separator='. '",
    "data.labels.column=labels",
    "data.taxonomy=null",
    "data.drop_bad_rows=true",
    "data.records.sha256=00",
]


def list_options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


COMBINATIONS = [
    *itertools.product(
        [f"data={name}" for name in list_options("data")],
        [f"model={name}" for name in list_options("model")]
        + [f"experiment={name}" for name in list_options("experiment")],
    )
]


@cache
def compose_default() -> Config:
    """Return the configuration of `python train.py`; composed once, for tests that do not change it."""
    return compose([])


@pytest.mark.parametrize("override", UNCHANGED)
def test_hash_ignores_seeds_locations_and_evaluation(override: str) -> None:
    changed = compose([override])
    assert plain(changed) != plain(compose_default()), "the override must do something"
    assert config_hash(changed) == config_hash(compose_default())


@pytest.mark.parametrize("override", CHANGED)
def test_hash_depends_on_data_split_and_threshold(override: str) -> None:
    assert config_hash(compose([override])) != config_hash(compose_default())


def change_value(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 or 0.5
    if isinstance(value, LexicalSettings):
        return dataclasses.replace(value, min_df=value.min_df + 1)
    if isinstance(value, list):
        return [*value[:-1], value[-1] + 1] if value else [1]
    return None if value is not None else "english"


@pytest.mark.parametrize("name", list_options("model"))
def test_hash_depends_on_every_model_setting(name: str) -> None:
    config = compose([f"model={name}"])
    model_settings = {field.name for field in dataclasses.fields(config.model)} - {
        field.name for field in dataclasses.fields(ModelConfig)
    }
    assert model_settings
    hashes = {config_hash(config)}
    for setting in model_settings:
        model = dataclasses.replace(config.model)
        setattr(model, setting, change_value(getattr(model, setting)))
        hashes.add(config_hash(dataclasses.replace(config, model=model)))
    assert len(hashes) == len(model_settings) + 1


def test_data_sets_models_and_experiments_have_different_hashes() -> None:
    hashes = {config_hash(compose(list(overrides))) for overrides in COMBINATIONS}
    assert len(hashes) == len(COMBINATIONS)


def test_equal_numbers_in_any_notation_give_equal_hashes() -> None:
    notations = [["threshold.value=1"], ["threshold.value=1.0"], ["threshold.value=1e0"], ["++threshold.value=1"]]
    assert len({config_hash(compose(notation)) for notation in notations}) == 1


def test_hash_is_the_same_in_every_process(tmp_path: Path) -> None:
    script = (
        "from ratchet.config import compose, config_hash, register\n"
        "from ratchet.models import all_settings\n"
        "register(all_settings())\n"
        "print(config_hash(compose(['model=regression', 'data=madewithml'])))\n"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1")
    }
    assert hashes == {config_hash(compose(["model=regression", "data=madewithml"]))}


def round_trip(config: Config, directory: Path) -> Config:
    path = directory / "config.yaml"
    path.write_text(dump(config), encoding="utf-8", newline="\n")
    return load(path, all_settings())


@pytest.mark.parametrize("overrides", COMBINATIONS, ids=" ".join)
def test_loading_a_dump_gives_the_same_config(overrides: tuple[str, ...], tmp_path: Path) -> None:
    config = compose([*overrides, "tags=[a]", "threads=2", "seed=1"])
    loaded = round_trip(config, tmp_path)
    assert loaded == config
    assert type(loaded.model) is type(config.model)
    assert config_hash(loaded) == config_hash(config)


def test_dump_is_self_contained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Loading a dump looks up neither the environment nor other keys."""
    monkeypatch.setenv("MADEWITHML_DIR", "/first")
    config = compose(["data=madewithml"])
    written = dump(config)
    assert "${" not in written
    monkeypatch.setenv("MADEWITHML_DIR", "/second")
    assert round_trip(config, tmp_path).data.records.path == "/first/projects.json"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
@example(text="null")
@example(text="yes")
@example(text="1e3")
@example(text="2026-01-01")
@example(text="a: b # c")
@example(text="${name}")
@example(text="costs ${5")
@example(text="\\${x}")
def test_any_hypothesis_text_survives_dump_and_load(text: str, tmp_path: Path) -> None:
    config = dataclasses.replace(compose_default(), hypothesis=text, tags=[text])
    assert round_trip(config, tmp_path) == config


def test_missing_file_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        load(tmp_path / "nowhere.yaml", all_settings())


def test_unknown_model_error_suggests_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump(compose(["model=regression"])).replace("module: regression", "module: regresion"))
    with pytest.raises(UserError) as caught:
        load(path, all_settings())
    assert "config.yaml" in str(caught.value)
    assert "'regresion'" in str(caught.value)
    assert "'regression'" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just a word",
        "- a\n- list\n",
        "model: rule\n",
        "model:\n  name: rule\n",
        "model: [",
        "model: {module: rule}\nfoo: 1\n",
    ],
    ids=["empty", "a word", "a list", "no module", "half", "broken", "unknown key"],
)
def test_invalid_run_configuration_is_named_in_the_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml"):
        load(path, all_settings())


def test_binary_file_is_named_in_the_error(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x00model")
    with pytest.raises(UserError, match=r"config\.yaml"):
        load(path, all_settings())


def test_out_of_range_value_error_names_key_and_limit(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump(compose([])).replace("resamples: 1000", "resamples: 1"))
    with pytest.raises(UserError, match=r"evaluation\.resamples=1\b.*\b100\b"):
        load(path, all_settings())


def test_plain_returns_json_and_yaml_types_only() -> None:
    converted = plain({"a": Part.val, 1: (Path("x") / "y", 1.5, None), "data": DataConfig(name="n", text=["t"])})
    assert converted["a"] == "val"
    assert converted["1"] == [str(Path("x/y")), 1.5, None]
    assert converted["data"]["labels"]["kind"] == "list"
    assert converted["data"]["filter"] == {
        "taxonomy_only": False,
        "exclude": [],
        "min_records": 1,
        "drop_unlabelled": False,
        "where": {},
    }


def test_overrides_are_applied_to_the_stored_config(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump(compose(["model=regression", "split.seed=3", "split.test=0.3"])), encoding="utf-8")
    config = load(path, all_settings(), ["split.val=0.1", "data.filter.exclude=[audio]", "evaluate=val"])
    assert (config.split.seed, config.split.test, config.split.val) == (3, 0.3, 0.1)
    assert config.data.filter.exclude == ["audio"]
    assert config.evaluate is Part.val
    assert config.model.name == "regression"


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("seeed=1", ["'seeed'", "'seed'"]),
        ("model.stemmin=true", ["'model.stemmin'", "'stemming'"]),
        ("seed=one", ["seed", "'one'"]),
        ("split.val=0.9", ["split.val=0.9", "at most 0.8"]),
        ("split.method=temporl", ["'temporal'"]),
        ("data.filter.exclude=[audio", ["data.filter.exclude"]),
        ("model=regression", ["model"]),
        ("+foo=1", ["foo"]),
        ("~seed", ["seed"]),
        ("seed", ["seed"]),
        ("--part=val", ["--part=val"]),
    ],
)
def test_wrong_override_of_stored_config_is_explained(override: str, parts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump(compose_default()), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load(path, all_settings(), [override])
    assert "command line" in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frozen.yaml"


def freeze_data(*overrides: str) -> dict[str, Any]:
    config = compose(overrides)
    return {"data": plain(config.data), "split": plain(config.split)}


def freeze_objective(objective: Objective) -> dict[str, Any]:
    return {"name": objective.name, "objective": plain(objective.settings)}


def merge(content: Any, change: Any) -> Any:
    if not isinstance(content, dict) or not isinstance(change, dict):
        return change
    return {**content, **{key: merge(content.get(key), value) for key, value in change.items()}}


def write_yaml(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(file.stem for file in (CONF / "data").glob("*.yaml")))
def test_frozen_data_set_and_split_load_unchanged(name: str, path: Path) -> None:
    config = compose([f"data={name}", "split.seed=4"])
    assert load_data(write_yaml(path, freeze_data(f"data={name}", "split.seed=4"))) == (config.data, config.split)


@pytest.mark.parametrize("name", sorted(file.stem for file in (CONF / "objective").glob("*.yaml")))
def test_frozen_objective_loads_with_the_same_hash(name: str, path: Path) -> None:
    expected = compose_objective([f"objective={name}"])
    loaded = load_objective(write_yaml(path, freeze_objective(expected)))
    assert loaded == expected
    assert loaded.hash == expected.hash


def test_frozen_label_and_slice_floors_load_unchanged(path: Path) -> None:
    changes = ["+objective.labels.audio=0.5", "+objective.slices.short_text=1", "objective.budgets.size_mb=null"]
    expected = compose_objective(changes)
    loaded = load_objective(write_yaml(path, freeze_objective(expected)))
    assert loaded.settings == expected.settings
    assert loaded.overrides == (), "the frozen file replaces the overrides"


def test_frozen_values_are_converted_to_field_types(path: Path) -> None:
    _, split = load_data(write_yaml(path, freeze_data("split.method=temporal")))
    assert split.method is SplitMethod.temporal
    objective = load_objective(write_yaml(path, freeze_objective(compose_objective(["objective.metric=f1_macro"]))))
    assert objective.settings.metric is Metric.f1_macro


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"splt": {}}, ["'splt'", "'split'"]),
        ({"split": {"sed": 1}}, ["'split.sed'", "'seed'"]),
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
def test_manually_edited_data_file_error_names_file_and_key(
    change: dict[str, Any], parts: list[str], path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        load_data(write_yaml(path, merge(freeze_data(), change)))
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
def test_wrong_objective_error_names_file_and_key(change: dict[str, Any], part: str, path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_objective(write_yaml(path, {"name": "default", **change}))
    assert part in str(caught.value)
    assert "frozen.yaml" in str(caught.value)


@pytest.mark.parametrize("load", [load_data, load_objective])
@pytest.mark.parametrize("text", ["[", "- 1", "5"], ids=repr)
def test_file_without_a_mapping_is_rejected(text: str, load: Any, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"frozen\.yaml"):
        load(path)


@pytest.mark.parametrize("load", [load_data, load_objective])
def test_missing_frozen_file_is_reported(load: Any, path: Path) -> None:
    with pytest.raises(UserError, match=r"frozen\.yaml: .*No such file"):
        load(path)


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("url: null", "url: https://example.org/${oc.env:SECRET}", "data.records.url"),
        ("url: null", "url: \\\\${oc.env:SECRET}", "data.records.url"),
        ("hypothesis: null", "hypothesis: '${runs_dir}'", "hypothesis"),
        ("text:\n  - title", "text:\n  - ${oc.env:SECRET}", "data.text[0]"),
        ("url: null", 'url: !!python/object/apply:pathlib.Path ["https:${oc.env:SECRET}"]', "data.records.url"),
        ("complexity: 0", "complexity: ${oc.env:SECRET}", "model.complexity"),
    ],
    ids=["environment", "escaped backslash", "other key", "in a list", "path", "number"],
)
def test_interpolation_in_a_recorded_configuration_is_refused(
    before: str, after: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is resolved: the secret is in no message and no URL."""
    monkeypatch.setenv("SECRET", "1234567890")
    path = tmp_path / "config.yaml"
    text = dump(compose_default())
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load(path, all_settings())
    assert f"config.yaml: {key}: has the interpolation" in str(caught.value)
    assert "1234567890" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    text=st.lists(st.sampled_from(["\\", "$", "{", "}", "a", ".", ":", "'", "${a}", "\\${"]), max_size=8).map("".join)
)
def test_no_interpolation_is_overlooked(text: str) -> None:
    """What passes the check is the same text after OmegaConf resolved it, whatever is escaped how."""
    try:
        _check_interpolations({"key": text}, "")
        assert "secret" not in str(OmegaConf.create({"key": text, "a": "secret"}).key)
    except (UserError, OmegaConfBaseException):
        return  # refused by the check, or when it is read


def test_aliases_in_a_recorded_configuration_are_refused(tmp_path: Path) -> None:
    """Ten lines of nested aliases have a billion values."""
    path = tmp_path / "config.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match=r"config\.yaml: has the alias \*a0"):
        load(path, all_settings())


@pytest.mark.parametrize("read", [load_data, load_objective])
def test_interpolation_in_a_frozen_file_is_refused(read: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1234567890")
    frozen = freeze_data() if read is load_data else freeze_objective(compose_objective([]))
    name = "data" if read is load_data else "objective"
    key = "date_format" if read is load_data else "metric"
    frozen[name][key] = "${oc.env:SECRET}"
    with pytest.raises(UserError, match=rf"frozen\.yaml: {name}\.{key}: has the interpolation"):
        read(write_yaml(path, frozen))


def test_interpolation_in_the_settings_of_a_study_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1234567890")
    with pytest.raises(UserError, match=r"study\.json: settings: experiment: has the interpolation"):
        search_settings({"trials": 3, "experiment": "${oc.env:SECRET}"})

import dataclasses
import itertools
import os
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ratchet.config import (
    CONF,
    Config,
    DataConfig,
    DateStep,
    LabelKind,
    ModelConfig,
    Part,
    SliceKind,
    SplitMethod,
    compose,
    config_hash,
    dump,
    load,
    plain,
)
from ratchet.errors import UserError
from ratchet.models import all_settings, tagger_class

FILES = sorted(path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.rglob("*.yaml"))
CHOICES = [name for name in FILES if "/" in name]


def options(group: str) -> list[str]:
    return [name.rpartition("/")[2] for name in CHOICES if name.rpartition("/")[0] == group]


COMBINATIONS = [
    *itertools.product(
        [f"data={name}" for name in options("data")],
        [f"model={name}" for name in options("model")] + [f"experiment={name}" for name in options("experiment")],
    )
]


@cache
def default() -> Config:
    """What `python train.py` runs; composed once, for tests that change nothing of it."""
    return compose([])


def content(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def leaves(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {prefix: node}
    found: dict[str, Any] = {}
    for key, child in node.items():
        found |= leaves(child, f"{prefix}.{key}" if prefix else key)
    return found


def test_the_configs_are_found() -> None:
    """Everything below goes over these lists: an empty one would pass in silence."""
    assert {"rule", "regression"} <= set(options("model"))
    assert {"sample", "madewithml"} <= set(options("data"))
    assert options("experiment")


@pytest.mark.parametrize("choice", CHOICES)
def test_every_config_file_composes(choice: str) -> None:
    group, _, option = choice.rpartition("/")
    assert isinstance(compose([f"{group}={option}"]), Config)


@pytest.mark.parametrize("name", options("model"))
def test_a_models_config_is_what_its_file_says(name: str) -> None:
    config = compose([f"model={name}"])
    assert config.name == config.model.name == name
    assert type(config.model) is all_settings()[config.model.module]
    written = leaves({key: value for key, value in content(f"model/{name}").items() if key != "defaults"})
    composed = leaves(plain(config.model))
    assert {key: composed[key] for key in written} == written
    assert tagger_class(config.model.module)(config.model) is not None


def test_no_two_models_are_equally_complex() -> None:
    complexities = [compose([f"model={name}"]).model.complexity for name in options("model")]
    assert len(set(complexities)) == len(complexities)
    assert compose([]).model.complexity == min(complexities) == 0


@pytest.mark.parametrize("name", options("data"))
def test_a_data_sets_config_is_what_its_file_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MADEWITHML_DIR", raising=False)
    config = compose([f"data={name}"])
    assert config.data.name == name
    written = leaves({key: value for key, value in content(f"data/{name}").items() if key != "defaults"})
    composed = leaves(plain(config.data))
    assert {key: composed[key] for key, value in written.items() if "$" not in str(value)} == {
        key: value for key, value in written.items() if "$" not in str(value)
    }
    assert (config.split.val, config.split.test) == (config.data.split.val, config.data.split.test)
    assert config.split.method is config.data.split.method
    for file in (config.data.records, config.data.taxonomy):
        assert file is None or file.url is None or file.sha256 is not None


def test_an_environment_variable_tells_where_the_data_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADEWITHML_DIR", "/somewhere/else")
    assert compose(["data=madewithml"]).data.records.path == "/somewhere/else/projects.json"


@pytest.mark.parametrize("name", options("experiment"))
def test_an_experiment_takes_effect(name: str) -> None:
    config = compose([f"experiment={name}"])
    written = leaves({key: value for key, value in content(f"experiment/{name}").items() if key != "defaults"})
    composed = leaves(plain(config))
    assert {key: composed[key] for key in written} == written
    assert config.name == name
    without = compose([f"model={config.model.name}"])
    assert config_hash(config) != config_hash(without), "an experiment that changes nothing"


@pytest.mark.parametrize("name", options("experiment"))
def test_an_experiment_opens_with_its_command(name: str) -> None:
    head = (CONF / "experiment" / f"{name}.yaml").read_text(encoding="utf-8").split("defaults:")[0]
    command = re.search(r"^# python train\.py (.+)$", head, re.MULTILINE)
    assert command
    assert f"experiment={name}" in shlex.split(command[1])
    assert compose(shlex.split(command[1])).name == name


def test_the_command_line_wins_over_an_experiment() -> None:
    config = compose(["experiment=regression_words", "name=mine", "model.word_ngrams=[1,3]"])
    assert config.name == "mine"
    assert plain(config.model)["word_ngrams"] == [1, 3]
    assert plain(config.model)["char_ngrams"] is None


def test_overrides_arrive_with_their_types() -> None:
    config = compose(["seed=3", "split.val=1e-1", "evaluate=val", "tags=[a,b]", "threads=2", "data.id=null"])
    assert (config.seed, config.split.val, config.evaluate, config.tags) == (3, 0.1, Part.val, ["a", "b"])
    assert config.threads == 2
    assert config.data.id is None
    assert compose(["evaluation.slices.date.every=month"]).evaluation.slices["date"].every is DateStep.month


def test_a_whole_number_will_do_for_a_share() -> None:
    config = compose(["model=regression", "model.C=3", "threshold.value=1"])
    assert plain(config.model)["C"] == 3.0
    assert isinstance(config.threshold.value, float)


def test_the_data_sets_split_is_the_split_in_force_unless_set() -> None:
    assert compose(["data.split.val=0.3"]).split.val == 0.3
    config = compose(["split.val=0.3", "split.method=temporal"])
    assert (config.split.val, config.data.split.val) == (0.3, 0.2)
    assert config.split.method is SplitMethod.temporal
    assert config.data.split.method is SplitMethod.stratified


def test_limits_themselves_are_within() -> None:
    config = compose(["seed=4294967295", "split.seed=0", "threshold.value=0", "split.val=0.8", "split.test=0.1"])
    assert config.seed == 2**32 - 1
    assert config.split.val == 0.8


def test_a_composed_config_is_plain() -> None:
    def check(value: Any) -> None:
        module = type(value).__module__
        assert not module.startswith(("omegaconf", "hydra")), value
        if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                check(getattr(value, field.name))
        elif isinstance(value, dict):
            for child in value.values():
                check(child)
        elif isinstance(value, list):
            for child in value:
                check(child)

    check(compose(["model=regression", "tags=[x]"]))


def test_composing_again_is_not_changed_by_what_was_done_to_a_config() -> None:
    first = compose([])
    first.data.text.append("more")
    first.evaluation.slices.clear()
    assert compose([]).data.text == ["title", "description"]
    assert compose([]).evaluation.slices


OWN_DATA = """\
defaults: [base_data, _self_]
name: tickets
records: {path: tickets.csv}
text: [body]
labels: {column: topic, kind: single}
slices:
  source: {kind: column, column: source}
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "tickets.yaml").write_text(OWN_DATA, encoding="utf-8")
    return tmp_path / "mine"


def test_a_directory_of_ones_own_adds_configs(mine: Path) -> None:
    config = compose(["data=tickets"], mine)
    assert (config.data.name, config.data.text) == ("tickets", ["body"])
    assert config.data.labels.kind is LabelKind.single
    assert config.data.slices["source"].kind is SliceKind.column
    assert compose([], mine).data.name == "sample", "those of conf/ are still there"


def test_a_directory_of_ones_own_may_have_any_name(tmp_path: Path, mine: Path) -> None:
    awkward = tmp_path / "my, [own] 'configs' = \"so\""
    mine.rename(awkward)
    assert compose(["data=tickets"], awkward).data.name == "tickets"


def test_a_config_of_ones_own_is_not_passed_over_for_one_of_the_same_name(mine: Path) -> None:
    """Which of the two wins may be argued about; a message would do. Taking the other in silence would not."""
    (mine / "data" / "sample.yaml").write_text(OWN_DATA, encoding="utf-8")
    with suppress(UserError):
        assert compose(["data=sample"], mine).data.name == "tickets"


UNCHANGED = [
    "seed=7",
    "split.seed=7",
    "threads=1",
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


@pytest.mark.parametrize("override", UNCHANGED)
def test_the_hash_does_not_see_where_when_and_on_what(override: str) -> None:
    changed = compose([override])
    assert plain(changed) != plain(default()), "the override must do something"
    assert config_hash(changed) == config_hash(default())


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


@pytest.mark.parametrize("override", CHANGED)
def test_the_hash_sees_what_is_trained(override: str) -> None:
    assert config_hash(compose([override])) != config_hash(default())


def another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2
    if isinstance(value, list):
        return [*value[:-1], value[-1] + 1] if value else [1]
    return None if value is not None else "english"


@pytest.mark.parametrize("name", options("model"))
def test_the_hash_sees_every_setting_of_a_model(name: str) -> None:
    config = compose([f"model={name}"])
    own = {each.name for each in dataclasses.fields(config.model)} - {
        each.name for each in dataclasses.fields(ModelConfig)
    }
    assert own
    hashes = {config_hash(config)}
    for setting in own:
        model = dataclasses.replace(config.model)
        setattr(model, setting, another(getattr(model, setting)))
        hashes.add(config_hash(dataclasses.replace(config, model=model)))
    assert len(hashes) == len(own) + 1


def test_data_sets_models_and_experiments_differ_in_their_hash() -> None:
    hashes = {config_hash(compose(list(overrides))) for overrides in COMBINATIONS}
    assert len(hashes) == len(COMBINATIONS)


def test_equal_numbers_give_equal_hashes_however_written() -> None:
    ways = [["threshold.value=1"], ["threshold.value=1.0"], ["threshold.value=1e0"], ["++threshold.value=1"]]
    assert len({config_hash(compose(way)) for way in ways}) == 1


def test_the_hash_is_the_same_in_every_process(tmp_path: Path) -> None:
    script = (
        "from ratchet.config import compose, config_hash, register\n"
        "from ratchet.models import all_settings\n"
        "register(all_settings())\n"
        "print(config_hash(compose(['model=regression', 'data=madewithml'])))\n"
    )
    found = {
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
    assert found == {config_hash(compose(["model=regression", "data=madewithml"]))}


def round_trip(config: Config, directory: Path) -> Config:
    path = directory / "config.yaml"
    path.write_text(dump(config), encoding="utf-8", newline="\n")
    return load(path, all_settings())


@pytest.mark.parametrize("overrides", COMBINATIONS, ids=" ".join)
def test_dump_and_load_give_the_same_config(overrides: tuple[str, ...], tmp_path: Path) -> None:
    config = compose([*overrides, "tags=[a]", "threads=2", "seed=1"])
    again = round_trip(config, tmp_path)
    assert again == config
    assert type(again.model) is type(config.model)
    assert config_hash(again) == config_hash(config)


def test_a_dump_stands_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is looked up again when it is read: neither the environment nor other keys."""
    monkeypatch.setenv("MADEWITHML_DIR", "/first")
    config = compose(["data=madewithml"])
    written = dump(config)
    assert "${" not in written
    monkeypatch.setenv("MADEWITHML_DIR", "/second")
    assert round_trip(config, tmp_path).data.records.path == "/first/projects.json"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
@example(text="null")
@example(text="yes")
@example(text="1e3")
@example(text="2026-01-01")
@example(text="a: b # c")
@example(text="${name}")
@example(text="costs ${5")
@example(text="\\${x}")
def test_whatever_is_written_as_a_hypothesis_comes_back(text: str, tmp_path: Path) -> None:
    config = dataclasses.replace(default(), hypothesis=text, tags=[text])
    assert round_trip(config, tmp_path) == config


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml.*No such file"):
        load(tmp_path / "nowhere.yaml", all_settings())


def test_a_model_that_is_no_more_is_named_with_its_nearest(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump(compose(["model=regression"])).replace("module: regression", "module: regresion"))
    with pytest.raises(UserError) as caught:
        load(path, all_settings())
    assert "config.yaml" in str(caught.value)
    assert "'regresion'" in str(caught.value)
    assert "did you mean 'regression'?" in str(caught.value)


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
def test_a_file_that_is_no_runs_configuration_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml"):
        load(path, all_settings())


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x00model")
    with pytest.raises(UserError, match=r"config\.yaml"):
        load(path, all_settings())


def test_what_a_dumped_value_out_of_range_says(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump(compose([])).replace("resamples: 1000", "resamples: 1"))
    with pytest.raises(UserError, match=r"evaluation\.resamples=1 is out of range.*at least 100"):
        load(path, all_settings())


def test_plain_holds_nothing_but_what_json_and_yaml_can() -> None:
    found = plain({"a": Part.val, 1: (Path("x") / "y", 1.5, None), "data": DataConfig(name="n", text=["t"])})
    assert found["a"] == "val"
    assert found["1"] == [str(Path("x/y")), 1.5, None]
    assert found["data"]["labels"]["kind"] == "list"
    assert found["data"]["filter"] == {
        "taxonomy_only": False,
        "exclude": [],
        "min_records": 1,
        "drop_unlabelled": False,
    }

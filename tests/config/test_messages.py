import importlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.commands import CONF, PROJECT

from ratchet.config import Origin, compose
from ratchet.errors import UserError

Edit = Callable[[str, str], None]


def catch_message(*overrides: str, config_dir: Path | None = None) -> str:
    with pytest.raises(UserError) as caught:
        compose(overrides, config_dir)
    return str(caught.value)


def test_conf_directory_is_in_the_checkout(project: Path) -> None:
    assert project == PROJECT
    assert project / "conf" == CONF


WRONG = [
    # unknown keys: suggest the nearest key, or list all keys
    (["seeed=1"], ["'seeed'", "did you mean 'seed'?"]),
    (["model.stemmin=true"], ["'model.stemmin'", "did you mean 'stemming'?"]),
    (["data.split.metod=temporal"], ["'data.split.metod'", "did you mean 'method'?"]),
    (["data.filter.minrecords=3"], ["'data.filter.minrecords'", "did you mean 'min_records'?"]),
    (["evaluation.slices.date.evry=year"], ["'evaluation.slices.date.evry'", "did you mean 'every'?"]),
    (["model.C=1"], ["'model.C'", "valid:", "parents, stemming"]),
    (["+foo=1"], ["'foo'", "valid:", "threshold"]),
    (["+model.foo=1"], ["'model.foo'", "valid:", "stemming"]),
    (["+data.creatd_at=x"], ["'data.creatd_at'", "did you mean 'created_at'?"]),
    (["++seeed=1"], ["'seeed'", "did you mean 'seed'?"]),
    (["+evaluation.slices.mine.kindd=date"], ["evaluation.slices.mine"]),
    (["config.seed=3"], ["'config'", "valid:", "seed"]),
    # groups and their options
    (["model=regresion"], ["conf/model/regresion.yaml", "did you mean 'regression'?"]),
    (["data=sampel"], ["conf/data/sampel.yaml", "did you mean 'sample'?"]),
    (["experiment=rule_exakt"], ["conf/experiment/rule_exakt.yaml", "did you mean 'rule_exact'?"]),
    (["model=zzz"], ["conf/model/zzz.yaml", "valid: ", "regression, rule"]),
    (["modle=rule"], ["'modle'", "did you mean 'model'?"]),
    (["+optimizer=x"], ["'optimizer'", "valid:"]),
    (["~model"], ["model has no value"]),
    # types
    (["seed=abc"], ["seed", "'abc'", "Integer"]),
    (["seed=1.5"], ["seed", "'1.5'", "Integer"]),
    (["seed=null"], ["seed"]),
    (["seed=true"], ["seed", "Integer"]),
    (["threads=two"], ["threads", "'two'"]),
    (["model.stemming=maybe"], ["model.stemming", "'maybe'", "bool"]),
    (["tags=x"], ["tags", "list"]),
    (["data.text=title"], ["data.text", "list"]),
    (["data.records=foo.csv"], ["data.records.path"]),
    (["data.labels.column=[bug, login]"], ["data.labels.columns", "data.labels.kind=columns"]),
    (["evaluation.k=[a]"], ["evaluation.k[0]", "'a'"]),
    (["runs_dir=null"], ["runs_dir"]),
    (["data.name=null"], ["data.name"]),
    # choices: suggest the nearest one
    (["split.method=temporl"], ["split.method", "'temporl'", "did you mean 'temporal'?"]),
    (["split.method=random"], ["split.method", "'random'", "valid: given, stratified, temporal"]),
    (["evaluate=tset"], ["evaluate", "did you mean 'test'?"]),
    (["threshold.method=tuend"], ["threshold.method", "did you mean 'tuned'?"]),
    (["threshold.average=weigthed"], ["threshold.average", "did you mean 'weighted'?"]),
    (["data.labels.kind=lst"], ["data.labels.kind", "did you mean 'list'?"]),
    (["data.format=xls"], ["data.format", "valid: arrow, auto, csv"]),
    (["evaluation.slices.date.every=week"], ["evaluation.slices.date.every", "valid: month, quarter, year"]),
    # ranges
    (["seed=-1"], ["seed=-1", "at least 0"]),
    (["split.seed=4294967296"], ["split.seed=4294967296", "at most 4294967295"]),
    (["threads=0"], ["threads=0", "at least 1"]),
    (["split.val=0"], ["split.val=0", "above 0"]),
    (["split.val=0.81"], ["split.val=0.81", "at most 0.8"]),
    (["data.split.test=1.2"], ["data.split.test=1.2", "at most 0.8"]),
    (["split.val=0.5", "split.test=0.45"], ["split.val + split.test = 0.95", "less than 5 %"]),
    (["threshold.value=1.5"], ["threshold.value=1.5", "at least 0 and at most 1"]),
    (["threshold.value=nan"], ["threshold.value=nan", "at least 0 and at most 1"]),
    (["evaluation.resamples=99"], ["evaluation.resamples=99", "at least 100"]),
    (["evaluation.resamples=100001"], ["evaluation.resamples=100001", "at most 100000"]),
    (["evaluation.k=[]"], ["evaluation.k", "at least 1"]),
    (["evaluation.k=[1,0]"], ["evaluation.k", "at least 1"]),
    (["data.filter.min_records=0"], ["data.filter.min_records=0", "at least 1"]),
    (["data.slices.terse.max_words=0"], ["data.slices.terse.max_words=0", "at least 1"]),
    (["model.complexity=-1"], ["model.complexity=-1", "at least 0"]),
    (["model=regression", "model.C=0"], ["model.C=0", "above 0"]),
    (["model=regression", "model.C=nan"], ["model.C=nan", "above 0"]),
    (["model=regression", "model.C=inf"], ["model.C=inf", "a finite number, above 0"]),
    (["model=regression", "model.min_df=0"], ["model.min_df=0", "at least 1"]),
    (["model=regression", "model.min_df=1.5"], ["model.min_df", "'1.5'", "Integer"]),
    (["model=regression", "model.word_ngrams=[2,1]"], ["model.word_ngrams=[2, 1]", "[shortest, longest]"]),
    (["model=regression", "model.char_ngrams=[0,2]"], ["model.char_ngrams=[0, 2]", "[shortest, longest]"]),
    (["model=regression", "model.stop_words=german"], ["model.stop_words='german'", "english or null"]),
    # names that become directories
    (["name=../x"], ["name='../x'", "letters, digits"]),
    (["name=.hidden"], ["name='.hidden'"]),
    (["name=''"], ["name=''"]),
    (["data.name=a/b"], ["data.name='a/b'"]),
    # values that require another setting
    (["split.method=temporal", "data.created_at=null"], ["split.method=temporal needs data.created_at"]),
    (["evaluation.slices.date.every=null"], ["evaluation.slices.date", "kind date needs 'every'"]),
    (["trainer.devices=0"], ["trainer.devices=0", "at least 1"]),
    (["trainer=cpu", "trainer.devices=null"], ["trainer.devices=null", "trainer.devices=2"]),
    # values that cannot be parsed
    (["seed=["], ["'seed=['", "Quote it"]),
    (["hypothesis=a: b, c"], ["'hypothesis=a: b, c'", "uote"]),
    (["seed=${nope}"], ["seed", "'nope' not found"]),
    (["model=null"], ["model"]),
    (["data=null"], ["data"]),
    (["data.labels.names=labels.txt"], ["data.labels.names", "FileConfig"]),
    (["data.text=[]"], ["data.text"]),
    (["model.module=regresion"], ["model.module", "did you mean 'regression'?"]),
]


@pytest.mark.parametrize(("overrides", "parts"), WRONG, ids=[" ".join(overrides) for overrides, _ in WRONG])
def test_wrong_argument_error_explains_the_mistake(overrides: list[str], parts: list[str]) -> None:
    message = catch_message(*overrides)
    assert "command line" in message
    assert overrides[-1] in message
    for part in parts:
        assert part in message
    for jargon in ("ConfigAttributeError", "full_key", "object_type", "DictConfig"):
        assert jargon not in message


def test_error_names_only_the_wrong_argument() -> None:
    message = catch_message("split.seed=1", "model=regression", "model.C=-1", "seed=2")
    assert "command line, model.C=-1" in message
    assert "seed=2" not in message


def test_error_names_one_of_two_conflicting_arguments() -> None:
    assert "command line, data.split." in catch_message("data.split.val=0.5", "data.split.test=0.5")


def test_suggestions_do_not_include_schemas() -> None:
    assert "base_" not in catch_message("model=zzz")
    assert "base_" not in catch_message("data=zzz")


def test_label_file_can_be_set_on_the_command_line() -> None:
    """The error for a missing label file asks users to set this key."""
    config = compose(["data.labels.kind=indices", "data.labels.names.path=labels.txt"])
    assert config.data.labels.names is not None
    assert config.data.labels.names.path == "labels.txt"


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Return `edit("data/sample", text)`, which writes that file in a copy of conf/ that replaces conf/."""
    copy = tmp_path / "conf"
    shutil.copytree(CONF, copy)
    for module in ("config.composition", "config.directories", "config.search_path", "project"):
        monkeypatch.setattr(importlib.import_module(f"ratchet.{module}"), "PACKAGED", tmp_path)
    monkeypatch.setenv("RATCHET_PROJECT", str(tmp_path))

    def write(name: str, text: str) -> None:
        (copy / f"{name}.yaml").write_text(text, encoding="utf-8")

    return write


DATA = """\
defaults: [base_data, _self_]
name: own
records: {path: own.csv}
text: [body]
labels: {column: topic, kind: single}
"""
IN_A_DATA_FILE = [
    (DATA + "creatd_at: x\n", ["'data.creatd_at'", "did you mean 'created_at'?"]),
    (DATA + "filter: {min_record: 3}\n", ["'data.filter.min_record'", "did you mean 'min_records'?"]),
    (DATA.replace("single", "singel"), ["data.labels.kind", "did you mean 'single'?"]),
    (DATA + "split: {val: 2}\n", ["data.split.val=2", "at most 0.8"]),
    (DATA + "split: {val: 0.5, test: 0.5}\n", ["split.val + split.test = 1"]),
    (DATA + "split: {method: given}\n", ["split.method=given needs data.split.column"]),
    (DATA + "split: {method: temporal}\n", ["split.method=temporal needs data.created_at"]),
    (DATA + "slices: {terse: {kind: short_text}}\n", ["data.slices.terse", "kind short_text needs 'max_words'"]),
    (DATA + "slices: {terse: {kind: column}}\n", ["data.slices.terse", "kind column needs 'column'"]),
    (DATA + "slices: {terse: {kind: short_txt}}\n", ["data.slices.terse.kind", "did you mean 'short_text'?"]),
    (DATA + "slices: {terse: {knd: short_text}}\n", ["data.slices.terse.knd", "did you mean 'kind'?"]),
    (DATA + "slices: {terse: {kind: short_text, max_words: 0}}\n", ["data.slices.terse.max_words=0"]),
    (DATA + "header: 3x\n", ["data.header", "'3x'"]),
    (DATA + "missing: [nan, NULL]\n", ["data.missing[1] is empty", '"NULL"']),
    (DATA + "filter: {exclude: [~]}\n", ["data.filter.exclude[0] is empty", "quotation marks"]),
    (DATA + "id: [a]\n", ["data.id"]),
    (DATA.replace("name: own", "name: a/b"), ["data.name='a/b'"]),
    (DATA.replace("text: [body]\n", ""), ["data.text has no value"]),
    (DATA.replace("column: topic, ", ""), ["data.labels.column has no value"]),
    (DATA.replace("records: {path: own.csv}\n", ""), ["data.records.path has no value"]),
    (DATA.replace("name: own\n", ""), ["data.name has no value"]),
    (DATA.replace("base_data", "base_dat"), ["base_dat"]),
    ("- a\n- list\n", ["list"]),
    ("", ["data.name has no value"]),
]


@pytest.mark.parametrize(("text", "parts"), IN_A_DATA_FILE, ids=[parts[0] for _, parts in IN_A_DATA_FILE])
def test_wrong_data_file_error_names_file_and_key(text: str, parts: list[str], edit: Edit) -> None:
    edit("data/own", text)
    message = catch_message("data=own")
    assert message.startswith("conf/data/own.yaml")
    for part in parts:
        assert part in message


IN_OTHER_FILES = [
    (
        "model/regression",
        "defaults: [base_regression, _self_]\nname: regression\ncomplexity: 1\nC: 0\n",
        ["model=regression"],
        ["model.C=0", "above 0"],
    ),
    (
        "model/regression",
        "defaults: [base_regression, _self_]\nname: regression\ncomplexity: 1\nword_ngrams: [2, 1]\n",
        ["model=regression"],
        ["model.word_ngrams=[2, 1]"],
    ),
    (
        "model/regression",
        "defaults: [base_regression, _self_]\nname: regression\n",
        ["model=regression"],
        ["model.complexity has no value"],
    ),
    ("model/mine", "name: mine\ncomplexity: 0\nstemming: true\n", ["model=mine"], ["stemming"]),
    (
        "model/mine",
        "defaults: [base_rul, _self_]\nname: mine\ncomplexity: 0\n",
        ["model=mine"],
        ["base_rul", "did you mean 'base_rule'?"],
    ),
    (
        "experiment/mine",
        "# @package _global_\ndefaults:\n  - override /model: rul\n",
        ["experiment=mine"],
        ["did you mean 'rule'?"],
    ),
    ("experiment/mine", "# @package _global_\nthreshold: {value: 3}\n", ["experiment=mine"], ["threshold.value=3"]),
    (
        "experiment/mine",
        "# @package _global_\nmodel: {stemmin: no}\n",
        ["experiment=mine"],
        ["did you mean 'stemming'?"],
    ),
    (
        "experiment/mine",
        "# @package _global_\nmodel: {stemming: 7x}\n",
        ["experiment=mine"],
        ["model.stemming", "'7x'"],
    ),
    ("experiment/mine", "# @package _global_\nfoo: 1\n", ["experiment=mine"], ["'foo'", "valid:"]),
    ("experiment/mine", "# @package _global_\nname: a/b\n", ["experiment=mine"], ["name='a/b'"]),
    (
        "experiment/mine",
        "# @package _global_\ndata: {split: {val: 0.5, test: 0.5}}\n",
        ["experiment=mine"],
        ["split.val + split.test = 1"],
    ),
]


@pytest.mark.parametrize(
    ("name", "text", "overrides", "parts"), IN_OTHER_FILES, ids=[f"{case[0]}: {case[3][0]}" for case in IN_OTHER_FILES]
)
def test_wrong_config_file_error_names_file_and_key(
    name: str, text: str, overrides: list[str], parts: list[str], edit: Edit
) -> None:
    edit(name, text)
    message = catch_message(*overrides)
    assert message.startswith(f"conf/{name}.yaml")
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("resamples: 1000", "resample: 1000", ["'evaluation.resample'", "did you mean 'resamples'?"]),
        ("resamples: 1000", "resamples: 10", ["evaluation.resamples=10"]),
        ("threads: null", "threads: four", ["threads", "'four'"]),
        ("- data: sample", "- data: sampl", ["conf/data/sampl.yaml", "did you mean 'sample'?"]),
        ("average: weighted", "average: weigthed", ["threshold.average", "did you mean 'weighted'?"]),
    ],
)
def test_wrong_main_config_error_names_file_and_key(old: str, new: str, parts: list[str], edit: Edit) -> None:
    text = (CONF / "config.yaml").read_text(encoding="utf-8")
    assert old in text
    edit("config", text.replace(old, new))
    message = catch_message()
    assert message.startswith("conf/config.yaml")
    for part in parts:
        assert part in message


@pytest.mark.parametrize("name", ["config", "data/sample", "model/rule"])
def test_invalid_yaml_error_names_the_line(name: str, edit: Edit) -> None:
    text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
    edit(name, f"{text.rstrip()}\nbroken: [1, 2\nafter: 3\n")
    message = catch_message()
    assert f"{name}.yaml, line {len(text.splitlines()) + 2}" in message
    assert "not valid YAML" in message


def test_duplicate_key_error_names_the_line(edit: Edit) -> None:
    edit("data/own", DATA + "name: again\n")
    message = catch_message("data=own")
    assert "data/own.yaml, line 6" in message
    assert "duplicate key name" in message


def test_non_utf8_file_is_named_in_the_error(edit: Edit, tmp_path: Path) -> None:
    edit("data/own", "")
    (tmp_path / "conf" / "data" / "own.yaml").write_bytes(DATA.replace("topic", "sujet_précis").encode("latin-1"))
    message = catch_message("data=own")
    assert "data/own.yaml" in message


def test_error_names_the_experiment_that_set_a_value(edit: Edit) -> None:
    edit("experiment/mine", "# @package _global_\nmodel: {complexity: -3}\n")
    assert catch_message("experiment=mine").startswith("conf/experiment/mine.yaml: model.complexity=-3")


def test_error_names_the_argument_that_set_a_value(edit: Edit) -> None:
    edit("experiment/mine", "# @package _global_\nseed: 3\n")
    assert catch_message("experiment=mine", "seed=-3").startswith("command line, seed=-3")


def test_error_names_user_config_file_by_path(tmp_path: Path) -> None:
    file = tmp_path / "mine" / "data" / "own.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(DATA + "split: {val: 2}\n")
    assert catch_message("data=own", config_dir=tmp_path / "mine").startswith(f"{file}: data.split.val=2")
    file.write_text(DATA + "foo: 2\n")
    assert catch_message("data=own", config_dir=tmp_path / "mine").startswith(f"{file}: unknown key 'data.foo'")
    file.write_text(DATA + "foo: [2\n")
    assert f"{file}, line " in catch_message("data=own", config_dir=tmp_path / "mine")


def test_suggestions_include_user_configs(tmp_path: Path) -> None:
    file = tmp_path / "mine" / "data" / "tickets.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(DATA)
    assert "did you mean 'tickets'?" in catch_message("data=ticket", config_dir=tmp_path / "mine")


def test_missing_model_choice_is_named_in_the_error(edit: Edit) -> None:
    edit("config", (CONF / "config.yaml").read_text(encoding="utf-8").replace("  - model: rule\n", ""))
    assert catch_message().startswith("conf/config.yaml: model ")


@pytest.mark.parametrize(
    ("overrides", "key", "location"),
    [
        (["seed=1"], "seed", "command line, seed=1"),
        (["split.seed=1"], "seed", "conf/config.yaml"),
        (["+data.foo=1"], "data.foo", "command line, +data.foo=1"),
        (["++data.foo=1"], "data.foo", "command line, ++data.foo=1"),
        (["~seed"], "seed", "command line, ~seed"),
        (["model=rule"], "model.stemming", "conf/model/rule.yaml"),
        (["model=rule"], "model", "command line, model=rule"),
        (["model={a:1}"], "modelling", "conf/config.yaml"),
        ([], "data.slices.terse.max_words", "conf/data/sample.yaml"),
        ([], "data.header", "conf/data/sample.yaml"),
        ([], "evaluation.k", "conf/config.yaml"),
    ],
)
def test_origin_names_where_a_value_was_set(overrides: list[str], key: str, location: str) -> None:
    assert Origin(overrides, {"data": "sample", "model": "rule"}).of(key) == location


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# Mine.\n# @package _global_\nseed: 3\n", 2),
        ("# yaml-language-server: $schema=x.json\n\n#@package _global_\nseed: 3\n", 3),
        ("\n# @schema x\n# Mine.\n#\n#  @package _global_\nseed: 3\n", 5),
        ("\ufeff# @package _global_\nseed: 3\n", 1),
        ("\ufeff# Mine.\n# @package _global_\nseed: 3\n", 2),
        ("# größe\n# @package _global_\nthreshold: {method: fixed, value: 0.9}\n", 2),
    ],
)
@pytest.mark.parametrize("override", ["experiment=mine", "+experiment=mine"])
def test_package_line_that_hydra_ignores_is_located(text: str, line: int, override: str, edit: Edit) -> None:
    edit("experiment/mine", text)
    with pytest.raises(UserError, match=rf"conf/experiment/mine\.yaml, line {line}: `# @package`"):
        compose([override])


@pytest.mark.parametrize(
    "text",
    [
        "# @package _global_\n# Mine.\nseed: 3\n",
        "\n#@package _global_\n# yaml-language-server: $schema=x.json\nseed: 3\n",
        "# @schema x\n# @package _global_\nseed: 3\n",
        "# @package _global_\nseed: 3\n# Mine.\n# @package _group_\n",
    ],
)
def test_package_line_that_hydra_reads_is_accepted(text: str, edit: Edit) -> None:
    edit("experiment/mine", text)
    assert compose(["experiment=mine"]).seed == 3


def test_ignored_package_line_hides_no_other_mistake(edit: Edit) -> None:
    edit("experiment/mine", "# @package _global_\nsed: 3\n")
    edit("experiment/other", "# Mine.\n# @package _global_\nseed: 3\n")
    with pytest.raises(UserError, match="'seed'"):
        compose(["experiment=mine"])

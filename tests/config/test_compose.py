import dataclasses
import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from tests.commands import CONF

from ratchet.config import (
    Config,
    DateStep,
    LabelKind,
    Part,
    SliceKind,
    SplitMethod,
    compose,
    compose_jobs,
    compose_objective,
    config_hash,
    plain,
)
from ratchet.config.directories import list_replaced
from ratchet.config.grammar import expand_grid
from ratchet.config.messages import ROOTS
from ratchet.errors import UserError
from ratchet.models import all_settings, tagger_class

FILES = sorted(path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.rglob("*.yaml"))
CHOICES = [name for name in FILES if "/" in name]


def list_options(group: str) -> list[str]:
    return [name.rpartition("/")[2] for name in CHOICES if name.rpartition("/")[0] == group]


COMBINATIONS = [
    *itertools.product(
        [f"data={name}" for name in list_options("data")],
        [f"model={name}" for name in list_options("model")]
        + [f"experiment={name}" for name in list_options("experiment")],
    )
]


def read_config_file(name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    return config


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {prefix: node}
    flat: dict[str, Any] = {}
    for key, child in node.items():
        flat |= flatten(child, f"{prefix}.{key}" if prefix else key)
    return flat


def test_config_files_are_discovered() -> None:
    """Check the lists that parametrise the tests below: with an empty list they would pass silently."""
    assert {"rule", "regression"} <= set(list_options("model"))
    assert {"sample", "madewithml"} <= set(list_options("data"))
    assert list_options("experiment")


@pytest.mark.parametrize("choice", CHOICES)
def test_every_config_file_composes(choice: str) -> None:
    group, _, option = choice.rpartition("/")
    if group == "objective":
        assert compose_objective([f"objective={option}"]).name == option
    else:
        assert isinstance(compose([f"{group}={option}"]), Config)


def test_files_outside_groups_are_composition_roots() -> None:
    """A file that no command composes would not be checked by any test."""
    assert [name for name in FILES if "/" not in name] == sorted({*ROOTS} - {"project_config"})


@pytest.mark.parametrize(("data", "choice"), COMBINATIONS)
def test_every_data_set_composes_with_every_model_and_experiment(data: str, choice: str) -> None:
    config = compose([data, choice])
    assert f"data={config.data.name}" == data
    assert choice in (f"model={config.name}", f"experiment={config.name}")


@pytest.mark.parametrize("name", list_options("model"))
def test_model_config_matches_its_file(name: str) -> None:
    config = compose([f"model={name}"])
    assert config.name == config.model.name == name
    assert type(config.model) is all_settings()[config.model.module]
    written = flatten({key: value for key, value in read_config_file(f"model/{name}").items() if key != "defaults"})
    composed = flatten(plain(config.model))
    assert {key: composed[key] for key in written} == written
    assert tagger_class(config.model.module)(config.model) is not None


def test_model_complexities_are_unique_and_default_is_simplest() -> None:
    complexities = [compose([f"model={name}"]).model.complexity for name in list_options("model")]
    assert len(set(complexities)) == len(complexities)
    assert compose([]).model.complexity == min(complexities) == 0


@pytest.mark.parametrize("name", list_options("data"))
def test_data_set_config_matches_its_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MADEWITHML_DIR", raising=False)
    config = compose([f"data={name}"])
    assert config.data.name == name
    written = flatten({key: value for key, value in read_config_file(f"data/{name}").items() if key != "defaults"})
    composed = flatten(plain(config.data))
    assert {key: composed[key] for key, value in written.items() if "$" not in str(value)} == {
        key: value for key, value in written.items() if "$" not in str(value)
    }
    assert (config.split.val, config.split.test) == (config.data.split.val, config.data.split.test)
    assert config.split.method is config.data.split.method
    for file in (config.data.records, config.data.taxonomy):
        assert file is None or file.url is None or file.sha256 is not None


def test_environment_variable_sets_the_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADEWITHML_DIR", "/somewhere/else")
    assert compose(["data=madewithml"]).data.records.path == "/somewhere/else/projects.json"


@pytest.mark.parametrize("name", list_options("experiment"))
def test_experiment_applies_its_file_and_changes_the_hash(name: str) -> None:
    config = compose([f"experiment={name}"])
    written = flatten(
        {key: value for key, value in read_config_file(f"experiment/{name}").items() if key != "defaults"}
    )
    composed = flatten(plain(config))
    assert {key: composed[key] for key in written} == written
    assert config.name == name
    model_only = compose([f"model={config.model.name}"])
    assert config_hash(config) != config_hash(model_only), "the experiment changes nothing"


@pytest.mark.parametrize("name", list_options("experiment"))
def test_experiment_file_starts_with_a_valid_command(name: str) -> None:
    head = (CONF / "experiment" / f"{name}.yaml").read_text(encoding="utf-8").split("defaults:")[0]
    command = re.search(r"^# python train\.py (.+)$", head, re.MULTILINE)
    assert command
    assert f"experiment={name}" in shlex.split(command[1])
    assert compose(shlex.split(command[1])).name == name


def test_command_line_overrides_experiment() -> None:
    config = compose(["experiment=regression_words", "name=mine", "model.word_ngrams=[1,3]"])
    assert config.name == "mine"
    assert plain(config.model)["word_ngrams"] == [1, 3]
    assert plain(config.model)["char_ngrams"] is None


def test_overrides_are_converted_to_field_types() -> None:
    config = compose(["seed=3", "split.val=1e-1", "evaluate=val", "tags=[a,b]", "threads=2", "data.id=null"])
    assert (config.seed, config.split.val, config.evaluate, config.tags) == (3, 0.1, Part.val, ["a", "b"])
    assert config.threads == 2
    assert config.data.id is None
    assert compose(["evaluation.slices.date.every=month"]).evaluation.slices["date"].every is DateStep.month


def test_integer_override_is_converted_to_float() -> None:
    config = compose(["model=regression", "model.C=3", "threshold.value=1"])
    assert plain(config.model)["C"] == 3.0
    assert isinstance(config.threshold.value, float)


def test_split_defaults_to_the_split_of_the_data_set() -> None:
    assert compose(["data.split.val=0.3"]).split.val == 0.3
    config = compose(["split.val=0.3", "split.method=temporal"])
    assert (config.split.val, config.data.split.val) == (0.3, 0.2)
    assert config.split.method is SplitMethod.temporal
    assert config.data.split.method is SplitMethod.stratified


def test_range_limits_are_inclusive() -> None:
    config = compose(["seed=4294967295", "split.seed=0", "threshold.value=0", "split.val=0.8", "split.test=0.1"])
    assert config.seed == 2**32 - 1
    assert config.split.val == 0.8


def test_composed_config_holds_no_hydra_or_omegaconf_types() -> None:
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


def test_changing_a_config_does_not_affect_later_compositions() -> None:
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
def user_config_dir(tmp_path: Path) -> Path:
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "tickets.yaml").write_text(OWN_DATA, encoding="utf-8")
    return tmp_path / "mine"


def test_user_config_directory_adds_configs(user_config_dir: Path) -> None:
    config = compose(["data=tickets"], user_config_dir)
    assert (config.data.name, config.data.text) == ("tickets", ["body"])
    assert config.data.labels.kind is LabelKind.single
    assert config.data.slices["source"].kind is SliceKind.column
    assert compose([], user_config_dir).data.name == "sample", "configs of conf/ must remain available"


def test_user_config_directory_name_may_hold_special_characters(tmp_path: Path, user_config_dir: Path) -> None:
    renamed = tmp_path / "my, [own] 'configs' = \"so\""
    user_config_dir.rename(renamed)
    assert compose(["data=tickets"], renamed).data.name == "tickets"


def test_config_of_config_dir_replaces_packaged_one_of_same_name(user_config_dir: Path) -> None:
    (user_config_dir / "data" / "sample.yaml").write_text(OWN_DATA, encoding="utf-8")
    assert compose(["data=sample"], user_config_dir).data.name != "sample"
    assert compose(["data=sample"]).data.name == "sample"
    assert list_replaced(user_config_dir) == ["data/sample"]


def test_compose_reuses_the_running_hydra_initialisation() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert compose(["seed=3"]).seed == 3
        assert GlobalHydra.instance().is_initialized()
    assert not GlobalHydra.instance().is_initialized()


def test_compose_fails_inside_another_hydra_application(tmp_path: Path) -> None:
    with (
        initialize_config_dir(str(tmp_path), version_base="1.3"),
        pytest.raises(UserError, match="another Hydra application"),
    ):
        compose([])


@pytest.mark.parametrize(
    "grid",
    [
        ["model=rule,regression", "seed=0,1", "split.seed=2,3"],
        ["model=regression", "model.C=0.5,2", "model.word_ngrams=[1,1],[1,2]", "model.stop_words=null,english"],
        ["model=cnn", "model.imbalance=none,focal", "model.lexical={C: 2.0},{C: 3.0}", "model.teacher_share=0.5"],
        ["experiment=rule_exact", "model.parents=true,false", "name=a,b", "tags=[x],[]"],
        ["model=transformer_tiny", "model.random.layers=1,2", "model.random={heads: 2}", "trainer.devices=1,2"],
        ["data.text=[title],[description]", "split.val=0.2,0.3", "data.split.val=0.25", "+threads=1,2"],
    ],
    ids=str,
)
def test_jobs_of_a_grid_are_composed_as_each_alone(grid: list[str]) -> None:
    jobs = expand_grid(grid)
    assert len(jobs) >= 4
    assert [plain(config) for config in compose_jobs(jobs)] == [plain(compose(job)) for job in jobs]


def test_mistake_in_a_job_of_a_grid_names_its_override() -> None:
    for grid, message in (
        (["model=regression", "model.C=1,-1"], "command line, model.C=-1: model.C=-1.0 is out of range"),
        (["model=regression", "model.C=1,many"], "command line, model.C=many"),
        (["split.sed=0,1"], "did you mean 'seed'"),
        (["data.separator=',',1e3"], "data.separator"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            compose_jobs(expand_grid(grid))

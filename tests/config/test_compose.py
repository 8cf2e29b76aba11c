import dataclasses
import itertools
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from ratchet.config import (
    Config,
    DateStep,
    LabelKind,
    Part,
    SliceKind,
    SplitMethod,
    compose,
    compose_objective,
    config_hash,
    plain,
)
from ratchet.config.messages import ROOTS
from ratchet.errors import UserError
from ratchet.models import all_settings, tagger_class
from ratchet.project import CONF

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
    if group == "objective":
        assert compose_objective([f"objective={option}"]).name == option
    else:
        assert isinstance(compose([f"{group}={option}"]), Config)


def test_what_stands_beside_the_groups_is_a_root() -> None:
    """Each root is composed by some command; a file that none composes would be checked by nothing."""
    assert [name for name in FILES if "/" not in name] == sorted(ROOTS)


@pytest.mark.parametrize(("data", "what"), COMBINATIONS)
def test_every_data_set_goes_with_every_model_and_experiment(data: str, what: str) -> None:
    config = compose([data, what])
    assert f"data={config.data.name}" == data
    assert what in (f"model={config.name}", f"experiment={config.name}")


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


def test_in_its_own_hydra_application_it_composes_without_a_second_initialisation() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert compose(["seed=3"]).seed == 3
        assert GlobalHydra.instance().is_initialized()
    assert not GlobalHydra.instance().is_initialized()


def test_in_another_hydra_application_it_refuses_to_compose(tmp_path: Path) -> None:
    with (
        initialize_config_dir(str(tmp_path), version_base="1.3"),
        pytest.raises(UserError, match="another Hydra application"),
    ):
        compose([])

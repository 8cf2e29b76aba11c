"""Tests for the order in which Hydra finds configurations, and for a project's conf/config.yaml, which extends ours."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig
from tests.own_projects import keep_registered, model_yaml, write_project

from ratchet.config import compose, compose_objective, register
from ratchet.config.search_path import searching
from ratchet.errors import UserError
from ratchet.models import all_settings
from ratchet.project import PACKAGED, VARIABLE

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Return a function that writes configurations of the project in the working directory: `write(config="seed: 1")`.

    The keys are names below conf/, with `__` for `/`.
    """
    monkeypatch.setenv(VARIABLE, "")
    root = write_project(tmp_path / "project")
    monkeypatch.chdir(root)

    def write_files(**files: str) -> Path:
        write_project(root, {f"conf/{name.replace('__', '/')}.yaml": text for name, text in files.items()})
        register(all_settings())
        return root / "conf"

    with keep_registered():
        yield write_files


def compose_all(*overrides: str) -> DictConfig:
    """Return the configuration with its node `hydra`."""
    with searching(None) as primary, initialize_config_dir(str(PACKAGED / "conf"), version_base="1.3"):
        return hydra_compose(primary, overrides=list(overrides), return_hydra_config=True)


def test_nearest_directory_wins(write: Write, tmp_path: Path) -> None:
    write(model__rule=f"{model_yaml('rule')}stemming: false", model__own=model_yaml("own", "rule"))
    further = tmp_path / "further"
    (further / "model").mkdir(parents=True)
    (further / "model" / "rule.yaml").write_text(f"{model_yaml('rule')}parents: false")
    own = compose(["model=rule"]).model
    assert (own.stemming, own.parents) == (False, True)  # type: ignore[attr-defined]
    given = compose(["model=rule"], further).model
    assert (given.stemming, given.parents) == (True, False)  # type: ignore[attr-defined]
    assert compose(["model=own"], further).model.name == "own"
    assert compose(["model=regression"], further).model.name == "regression"
    assert compose(["model=rule"]).model == own, "--config-dir of one command is not kept"


def test_objective_of_the_project_replaces_the_packaged_one(write: Write) -> None:
    before = compose_objective([]).settings.margin
    text = (PACKAGED / "conf" / "objective" / "default.yaml").read_text(encoding="utf-8")
    assert f"margin: {before}" in text
    write(objective__default=text.replace(f"margin: {before}", "margin: 0.07"))
    assert compose_objective([]).settings.margin == 0.07


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "defaults: []"])
def test_empty_config_yaml_changes_nothing(text: str, write: Write) -> None:
    before = compose([])
    write(config=text)
    assert compose([]) == before


def test_config_yaml_extends_the_packaged_one(write: Write) -> None:
    before = compose([])
    write(
        config="""
            defaults:
              - model: regression
              - override /tracker: wandb
              - _self_
            seed: 7
            split: {seed: 3}
            evaluation: {slices: {wordy: {kind: short_text, max_words: 99}}}
        """
    )
    config = compose([])
    assert (config.model.name, config.seed, config.split.seed) == ("regression", 7, 3)
    assert config.tracker != before.tracker
    assert config.split.test == before.split.test, "keys that the file does not name stay"
    assert set(config.evaluation.slices) == {*before.evaluation.slices, "wordy"}
    assert compose(["model=rule", "seed=1"]).seed == 1, "the command line has the last word"


def test_config_yaml_adds_groups_and_files(write: Write) -> None:
    write(
        config="defaults:\n  - more\n  - preset: small\n",
        more="# @package _global_\nseed: 5\n",
        preset__small="# @package _global_\nevaluation: {resamples: 200}\n",
        preset__large="# @package _global_\nevaluation: {resamples: 5000}\n",
    )
    assert (compose([]).seed, compose([]).evaluation.resamples) == (5, 200)
    assert compose(["preset=large"]).evaluation.resamples == 5000


def test_config_yaml_changes_hydra_itself(write: Write) -> None:
    write(
        config="""
            defaults:
              - override hydra/job_logging: default
              - override hydra/help: default
            hydra: {job: {name: mine}}
        """
    )
    hydra = compose_all().hydra
    assert hydra.job.name == "mine"
    assert hydra.run.dir == ".", "the rest of the node stays"
    assert hydra.runtime.choices["hydra/job_logging"] == "default"
    assert compose([]).seed == 0


def test_config_yaml_of_config_dir_extends_that_of_the_project(write: Write, tmp_path: Path) -> None:
    write(config="seed: 5\nsplit: {seed: 5}\ntags: [own]\n")
    further = tmp_path / "further"
    further.mkdir()
    (further / "config.yaml").write_text("seed: 6\n")
    config = compose([], further)
    assert (config.seed, config.split.seed, config.tags) == (6, 5, ["own"])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("- a\n- b\n", ["conf/config.yaml", "mapping"]),
        ("3", ["conf/config.yaml", "mapping"]),
        ("defaults: regression", ["conf/config.yaml", "list"]),
        ("defaults: [3]", ["conf/config.yaml", "defaults", "3"]),
        ("defaults: [{}]", ["conf/config.yaml", "defaults"]),
        ("seed: 1\nsplit: [\n", ["conf/config.yaml, line 3", "not valid YAML"]),
        ("seed: 1\nseed: 2\n", ["conf/config.yaml, line 2", "duplicate key"]),
        ('name: "\x01"', ["conf/config.yaml", "#x0001"]),
        ("name: ${", ["conf/config.yaml", "cannot be read"]),
        ("seeed: 1", ["conf/config.yaml", "'seeed'", "did you mean 'seed'?"]),
        ("seed: one", ["conf/config.yaml", "seed", "one"]),
        ("split: {test: 2}", ["conf/config.yaml", "split.test=2", "out of range"]),
        ("defaults: [{model: regresion}]", ["conf/config.yaml", "did you mean 'regression'?"]),
    ],
)
def test_wrong_config_yaml_is_located(text: str, parts: list[str], write: Write) -> None:
    write(config=text)
    with pytest.raises(UserError) as caught:
        compose([])
    assert str(caught.value).startswith(parts[0])
    for part in parts[1:]:
        assert part in str(caught.value)


def test_config_yaml_that_is_not_utf_8_is_located(write: Write) -> None:
    (write(config="") / "config.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(UserError, match=r"^conf/config\.yaml: not UTF-8"):
        compose([])


@pytest.mark.parametrize("broken", [b"a: [\n", b"- 1\n", b"x: \xe9\n", b"a: \x01\n"], ids=str)
def test_broken_file_breaks_only_its_option(broken: bytes, write: Write) -> None:
    for name in ("model", "data", "experiment"):
        conf = write(**{f"{name}__broken": ""})
        (conf / name / "broken.yaml").write_bytes(broken)
    assert compose(["model=rule"]).model.name == "rule"
    for name in ("model", "data", "experiment"):
        with pytest.raises(UserError) as caught:
            compose([f"{name}=broken"])
        assert str(caught.value).startswith(f"conf/{name}/broken.yaml")


def test_file_with_invalid_yaml_is_located_by_line(write: Write) -> None:
    write(model__broken="name: broken\nx: [\n")
    with pytest.raises(UserError, match=r"^conf/model/broken\.yaml, line 3: not valid YAML"):
        compose(["model=broken"])


@pytest.mark.parametrize("name", ["my model", "my/model", "..", ""])
def test_name_of_a_model_that_is_no_name_of_a_directory_is_located(name: str, write: Write) -> None:
    write(model__odd=f"{model_yaml('odd', 'rule')}".replace("name: odd", f"name: '{name}'"))
    with pytest.raises(UserError, match=r"^conf/model/odd\.yaml: model\.name=") as caught:
        compose(["model=odd"])
    assert repr(name) in str(caught.value)

"""Compose conf/ and the command line into a checked `Config`."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ratchet.config.data_schema import DataConfig, SliceKind, SplitMethod
from ratchet.config.fields import range_in_words
from ratchet.config.messages import COMPOSITION_ERRORS, Origin, explain
from ratchet.config.objective_schema import GateConfig, ObjectiveConfig
from ratchet.config.schema import Accelerator, Config, InvalidSetting, ModelConfig, TrackerConfig
from ratchet.errors import UserError, did_you_mean
from ratchet.machine import available_cores
from ratchet.project import CONF

_SLICE_NEEDS = {
    SliceKind.short_text: "max_words",
    SliceKind.rare_labels: "max_train_records",
    SliceKind.date: "every",
    SliceKind.labels: "labels",
    SliceKind.column: "column",
}


def register(model_settings: Mapping[str, type[ModelConfig]]) -> None:
    """Register the schemas with Hydra: configuration, data, objective, tracker, and `model/base_<module>` per model.

    Raises:
        UserError: the package is not installed from its checkout, so that conf/ is missing.
    """
    if not CONF.is_dir():
        raise UserError(f"{CONF}: no such directory. Install ratchet from its checkout: pip install -e .")
    OmegaConf.register_new_resolver("jobs_at_once", _jobs_at_once, replace=True)
    store = ConfigStore.instance()
    store.store(name="base_config", node=Config)
    store.store(group="data", name="base_data", node=DataConfig)
    store.store(group="tracker", name="base_tracker", node=TrackerConfig)
    store.store(name="base_gate", node=GateConfig)
    store.store(group="hydra/sweeper", name="ratchet_search", node={"_target_": "hydra_plugins.ratchet_plugins.Search"})
    store.store(group="objective", name="base_objective", node=ObjectiveConfig)
    for module, settings in model_settings.items():
        store.store(group="model", name=f"base_{module}", node=settings)


def _jobs_at_once(threads: int | None) -> int:
    """Return the number of jobs with so many threads (None: all cores) that this machine has cores for."""
    return max(1, available_cores() // (threads or available_cores()))


def compose(overrides: Sequence[str], config_dir: Path | None = None) -> Config:
    """Compose conf/config.yaml with `overrides`, outside a Hydra job; `config_dir` adds a directory of configs.

    Raises:
        UserError: a key is unknown, a type is wrong, or a value is out of range; names file and key.
    """
    return to_config(*compose_node("config", overrides, config_dir))


def compose_node(name: str, overrides: Sequence[str], config_dir: Path | None = None) -> tuple[DictConfig, Origin]:
    """Compose conf/<name>.yaml with `overrides`; return the node and the origin of its values.

    Raises:
        UserError: a key is unknown, or a type is wrong; names file and key.
    """
    if config_dir is not None:
        _refuse_same_names(config_dir)
    searchpath = [f"hydra.searchpath=[{json.dumps(f'file://{config_dir.resolve()}')}]"] if config_dir else []
    origin = Origin(list(overrides), config_dir=config_dir)
    try:
        with _hydra_of_ratchet():
            cfg = hydra_compose(name, overrides=[*overrides, *searchpath], return_hydra_config=True)
    except COMPOSITION_ERRORS as error:
        raise explain(error, origin) from error
    origin.choices = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, origin


def _hydra_of_ratchet() -> AbstractContextManager[object]:
    """Initialise Hydra, unless a Hydra application runs: `train.py`, whose search composes its trials."""
    if not GlobalHydra.instance().is_initialized():
        return initialize_config_dir(str(CONF), version_base="1.3", job_name="ratchet")
    search_path = GlobalHydra.instance().config_loader().get_search_path().get_path()
    if not any(Path(element.path.removeprefix("file://")) == CONF for element in search_path if element.path):
        raise UserError(
            "another Hydra application runs in this process, and Hydra has one configuration directory per process: "
            "compose Ratchet's configuration before it starts, or in another process"
        )
    return nullcontext()


def _refuse_same_names(config_dir: Path) -> None:
    """Refuse configs that conf/ has, too: Hydra would silently use the one of conf/."""
    for path in sorted(config_dir.rglob("*.yaml")):
        name = path.relative_to(config_dir)
        if (CONF / name).is_file() and not config_dir.resolve().is_relative_to(CONF):
            raise UserError(f"{path}: conf/{name} has the same name and would be used instead: rename one of them")


def to_config(cfg: DictConfig, origin: Origin) -> Config:
    """Return the composed node as a plain `Config`, with every value resolved and within its range.

    `origin` serves error messages only: it locates the file or the argument that a wrong value came from.

    Raises:
        UserError: a key is unknown, a type is wrong, or a value is out of range; names file and key.
    """
    try:
        config = cast(Config, OmegaConf.to_object(cfg))
    except InvalidSetting as error:
        raise UserError(f"{origin.of(error.key)}: {error}") from error
    except OmegaConfBaseException as error:
        raise explain(error, origin) from error
    if not isinstance(config.model, ModelConfig):
        raise UserError(
            f"{origin.of('model')}: the model has no schema. Begin conf/model/<name>.yaml with "
            "`defaults: [base_<module>, _self_]`"
        )
    _check_module(config.model, origin)
    check_fields(config, "", origin)
    _check_together(config, origin)
    return config


def _check_module(model: ModelConfig, origin: Origin) -> None:
    """Check that `model.module` is the module whose settings were composed."""
    store = ConfigStore.instance()
    modules = [name.removeprefix("base_").removesuffix(".yaml") for name in store.list("model")]
    if model.module not in modules:
        near = did_you_mean(model.module, modules)
        raise UserError(f"{origin.of('model.module', 'model')}: model.module={model.module!r} is no model; {near}")
    if OmegaConf.get_type(store.load(f"model/base_{model.module}.yaml").node) is not type(model):
        raise UserError(
            f"{origin.of('model.module', 'model')}: model.module={model.module!r} has other settings than these: "
            f"begin the file with `defaults: [base_{model.module}, _self_]`"
        )


def check_fields(node: Any, prefix: str, origin: Origin) -> None:
    """Check keys and ranges in `node` and below it.

    Raises:
        UserError: a key is unknown, or a value is out of range; names file and key.
    """
    known = {field.name: field for field in dataclasses.fields(node)}
    for name, value in vars(node).items():
        key = f"{prefix}{name}"
        if name not in known:
            raise UserError(f"{origin.of(key)}: unknown key {key!r}; {did_you_mean(name, known)}")
        if dataclasses.is_dataclass(value):
            check_fields(value, f"{key}.", origin)
        elif isinstance(value, dict):
            for item, child in value.items():
                if dataclasses.is_dataclass(child):
                    check_fields(child, f"{key}.{item}.", origin)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            _check_range(key, value, known[name].metadata, origin)


def _check_range(key: str, value: float, limits: Mapping[str, Any], origin: Origin) -> None:
    low, high, above = limits.get("low"), limits.get("high"), limits.get("above")
    inside = (low is None or value >= low) and (above is None or value > above) and (high is None or value <= high)
    if not inside:  # NaN is refused, too: it compares false with everything
        raise UserError(f"{origin.of(key)}: {key}={value} is out of range: it must be {range_in_words(limits)}")


def _check_together(config: Config, origin: Origin) -> None:
    """Check what depends on several fields."""
    for key, name in (("name", config.name), ("data.name", config.data.name)):
        if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
            raise UserError(
                f"{origin.of(key)}: {key}={name!r} is the name of a directory: letters, digits, '_', '-' and '.' only"
            )
    if config.split.val + config.split.test >= 0.95:
        where = origin.of("split.test", "split.val", "data.split.test", "data.split.val")
        raise UserError(
            f"{where}: split.val + split.test = {config.split.val + config.split.test:g} "
            "leaves less than 5 % of the records to train on"
        )
    if config.split.method is SplitMethod.given and config.data.split.column is None:
        raise UserError(f"{origin.of('data.split.column')}: split.method=given needs data.split.column")
    if config.split.method is SplitMethod.temporal and config.data.created_at is None:
        raise UserError(f"{origin.of('data.created_at')}: split.method=temporal needs data.created_at, the date column")
    if config.trainer.devices is None and config.trainer.accelerator is not Accelerator.gpu:
        raise UserError(
            f"{origin.of('trainer.devices', 'trainer')}: trainer.devices=null means one process for each GPU: with "
            "trainer.accelerator=cpu set a number, as trainer.devices=2"
        )
    if not config.data.text:
        raise UserError(f"{origin.of('data.text')}: data.text names no column: at least one, as [title, description]")
    if config.data.records.path is None:
        raise UserError(f"{origin.of('data.records.path', 'data.records')}: data.records.path has no value")
    if not config.data.labels.separator:
        raise UserError(f"{origin.of('data.labels.separator')}: data.labels.separator is empty")
    if not config.evaluation.k or min(config.evaluation.k) < 1:
        raise UserError(f"{origin.of('evaluation.k')}: evaluation.k must hold cut-offs of at least 1, as [1, 3]")
    for node, slices in (("evaluation", config.evaluation.slices), ("data", config.data.slices)):
        for name, described in slices.items():
            key = f"{node}.slices.{name}"
            needs = _SLICE_NEEDS.get(described.kind)
            if needs and not getattr(described, needs):
                raise UserError(
                    f"{origin.of(f'{key}.{needs}', key)}: {key}: a slice of kind {described.kind.name} needs {needs!r}"
                )

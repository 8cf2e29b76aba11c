"""Compose conf/ and the command line into a checked `Config`."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ratchet.config.data_schema import DataConfig, LabelKind, RecordsLayout, SliceKind, SplitMethod
from ratchet.config.fields import range_in_words
from ratchet.config.literals import restore_texts
from ratchet.config.messages import COMPOSITION_ERRORS, UNUSABLE_MODELS, Origin, explain
from ratchet.config.objective_schema import GateConfig, ObjectiveConfig
from ratchet.config.schema import Accelerator, Config, InvalidSetting, ModelConfig, TrackerConfig
from ratchet.config.search_path import searching
from ratchet.config.suggestions import suggest_key
from ratchet.errors import UserError, did_you_mean
from ratchet.files import is_plain_name
from ratchet.machine import available_cores
from ratchet.project import PACKAGED, current_project

_PARTS = ("train", "val", "test")
_PLAIN = (bool, int, float, str, type(None))
_SLICE_NEEDS = {
    SliceKind.short_text: "max_words",
    SliceKind.rare_labels: "max_train_records",
    SliceKind.date: "every",
    SliceKind.labels: "labels",
    SliceKind.column: "column",
}


def register(model_settings: Mapping[str, type[ModelConfig] | UserError] | None = None) -> None:
    """Register the schemas with Hydra: configuration, data, objective, tracker, and `model/base_<module>` per model.

    Args:
        model_settings: the settings of every model of this project; for a module that cannot be imported, the error
            that a configuration of it is to raise. None leaves the models as they are.
    """
    OmegaConf.register_new_resolver("jobs_at_once", _jobs_at_once, replace=True)
    store = ConfigStore.instance()
    store.store(name="base_config", node=Config)
    store.store(group="data", name="base_data", node=DataConfig)
    store.store(group="tracker", name="base_tracker", node=TrackerConfig)
    store.store(name="base_gate", node=GateConfig)
    store.store(group="hydra/sweeper", name="ratchet_search", node={"_target_": "hydra_plugins.ratchet_plugins.Search"})
    store.store(group="objective", name="base_objective", node=ObjectiveConfig)
    if model_settings is not None:
        store.repo["model"] = {}  # another project of this process may have registered its own
        UNUSABLE_MODELS.clear()
        for module, settings in model_settings.items():
            if isinstance(settings, UserError):
                UNUSABLE_MODELS[module] = settings
                continue
            try:
                store.store(group="model", name=f"base_{module}", node=settings)
            except OmegaConfBaseException as error:
                what = f"models/{module}.py: Settings: {str(error).splitlines()[0]}"
                UNUSABLE_MODELS[module] = UserError(
                    f"{what}: use numbers, texts, enumerations, lists or dicts of these"
                )


def _jobs_at_once(threads: int | None) -> int:
    """Return the number of jobs with so many threads (None: all cores) that this machine has cores for."""
    return max(1, available_cores() // (threads or available_cores()))


def compose(overrides: Sequence[str], config_dir: Path | None = None) -> Config:
    """Compose conf/config.yaml with `overrides`, outside a Hydra job; `config_dir` adds a directory of configs.

    Raises:
        UserError: a key is unknown, a type is wrong, or a value is out of range; names file and key.
    """
    return to_config(*compose_node("config", overrides, config_dir))


def compose_jobs(jobs: Sequence[Sequence[str]], config_dir: Path | None = None) -> list[Config]:
    """Compose every job of a grid, as `compose` does, which all have the same keys.

    What takes the time, reading the files of conf/, is done once for all jobs that choose the same files.

    Raises:
        UserError: as `compose` does, for the first job with a mistake.
    """
    composed: dict[tuple[str, ...], tuple[DictConfig, Origin]] = {}
    configs = []
    for job in jobs:
        late = _list_plain_values(job)
        chosen = tuple(override for override in job if override not in late)
        if late and chosen not in composed:
            composed[chosen] = compose_node("config", job, config_dir)
        configs.append(_set_values(*composed[chosen], job, late) if late else compose(job, config_dir))
    return configs


def _list_plain_values(job: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """Return the overrides that only set a value, with key and value: they choose no file, and no other one is below.

    A key with a dot is never a group of files. The value of another key may be the name of a file.
    """
    parsed = OverridesParser.create().parse_overrides(list(job))
    keys = [override.key_or_group for override in parsed]
    values: dict[str, tuple[str, Any]] = {}
    for text, override, key in zip(job, parsed, keys, strict=True):
        sets_value = override.type is OverrideType.CHANGE and ("." in key or key == "seed")
        related = [other for other in keys if f"{other}.".startswith(f"{key}.") or f"{key}.".startswith(f"{other}.")]
        is_alone = all(other == key or "." not in other for other in related) and keys.count(key) == 1
        value = override.value()
        if sets_value and is_alone and not key.startswith("hydra.") and isinstance(value, _PLAIN):
            values[text] = (key, value)
    return values


def _set_values(cfg: DictConfig, origin: Origin, job: Sequence[str], late: Mapping[str, tuple[str, Any]]) -> Config:
    try:
        for key, value in late.values():
            OmegaConf.update(cfg, key, value)
    except COMPOSITION_ERRORS:
        return compose(job, origin.config_dir)  # it explains the mistake
    return to_config(cfg, dataclasses.replace(origin, overrides=list(job)))


def compose_node(name: str, overrides: Sequence[str], config_dir: Path | None = None) -> tuple[DictConfig, Origin]:
    """Compose conf/<name>.yaml with `overrides`; return the node and the origin of its values.

    Raises:
        UserError: a key is unknown, or a type is wrong; names file and key.
    """
    origin = Origin(list(overrides), config_dir=config_dir)
    try:
        with _hydra_of_ratchet(config_dir) as primary:
            wanted = primary if name == "config" else name
            cfg = hydra_compose(wanted, overrides=list(overrides), return_hydra_config=True)
    except COMPOSITION_ERRORS as error:
        raise explain(error, origin) from error
    origin.choices = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, origin


@contextmanager
def _hydra_of_ratchet(config_dir: Path | None) -> Iterator[str]:
    """Initialise Hydra, unless a Hydra application runs: `train.py`, whose search composes its trials.

    Yield the name of the primary configuration.
    """
    with searching(config_dir) as primary:
        if not GlobalHydra.instance().is_initialized():
            with initialize_config_dir(str(PACKAGED / "conf"), version_base="1.3", job_name="ratchet"):
                yield primary
            return
        search_path = GlobalHydra.instance().config_loader().get_search_path().get_path()
        paths = [Path(element.path.removeprefix("file://")) for element in search_path if element.path]
        if PACKAGED / "conf" not in paths:
            raise UserError(
                "another Hydra application runs in this process, and Hydra has one configuration directory per "
                "process: compose Ratchet's configuration before it starts, or in another process"
            )
        yield primary


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
    restore_texts(config, "", origin)
    _check_together(config, origin)
    _locate_files(config.data, origin)
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
            raise UserError(f"{origin.of(key)}: unknown key {key!r}; {suggest_key(key, known)}")
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
    if not (inside and math.isfinite(value)):
        allowed = ", ".join(filter(None, ["" if math.isfinite(value) else "a finite number", range_in_words(limits)]))
        raise UserError(f"{origin.of(key)}: {key}={value} is out of range: it must be {allowed}")


def _locate_files(data: DataConfig, origin: Origin) -> None:
    """Replace the path of a file, directory or pattern that is next to the YAML file which names it.

    Every other relative path is looked up when the file is read: in the project's root, then in the packaged data.

    Raises:
        UserError: the project's root or the package has a file of the same path with another content.
    """
    nodes = {"records": data.records, "taxonomy": data.taxonomy, "behaviour": data.behaviour}
    nodes |= {"labels.names": data.labels.names, "labels.file": data.labels.file}
    files = [(node, "path", file) for node, file in nodes.items()]
    files += [("records", part, data.records) for part in ("train", "val", "test")]
    for node, field, file in files:
        source = origin.source(f"data.{node}.{field}")
        path = None if file is None else getattr(file, field)
        if path is None or not isinstance(source, Path) or Path(path).is_absolute():
            continue
        project = current_project()
        beside = source.parent / path
        if beside.is_file():
            for other in (project.root / path, PACKAGED / path):
                if other.is_file() and not other.samefile(beside) and other.read_bytes() != beside.read_bytes():
                    raise UserError(
                        f"{origin.of(f'data.{node}.{field}')}: {path} is ambiguous: {project.show(beside)} and "
                        f"{project.show(other)} have different contents: rename your file"
                    )
        elif not _has_files(source.parent, path):
            continue
        setattr(file, field, project.show(beside))


def _has_files(directory: Path, path: str) -> bool:
    """Return whether a directory has the directory `path`, or files that match it as a pattern."""
    if (directory / path).is_dir():
        return True
    if not any(character in path for character in "*?["):
        return False
    try:
        return any(directory.glob(path))
    except (ValueError, NotImplementedError):  # not a pattern: reported when it is read
        return False


def _check_together(config: Config, origin: Origin) -> None:
    """Check what depends on several fields."""
    names = {"model.name" if config.name == config.model.name else "name": config.name, "data.name": config.data.name}
    for key, name in names.items():
        if not is_plain_name(name):
            raise UserError(
                f"{origin.of(key)}: {key}={name!r} is the name of a directory: letters, digits, '_', '-' and '.' only"
            )
    if config.split.val + config.split.test >= 0.95:
        where = origin.of("split.test", "split.val", "data.split.test", "data.split.val")
        raise UserError(
            f"{where}: split.val + split.test = {config.split.val + config.split.test:g} "
            "leaves less than 5 % of the records to train on"
        )
    if config.split.method is SplitMethod.temporal and config.data.created_at is None:
        raise UserError(f"{origin.of('data.created_at')}: split.method=temporal needs data.created_at, the date column")
    if config.trainer.devices is None and config.trainer.accelerator is not Accelerator.gpu:
        raise UserError(
            f"{origin.of('trainer.devices', 'trainer')}: trainer.devices=null means one process for each GPU: with "
            "trainer.accelerator=cpu set a number, as trainer.devices=2"
        )
    if not config.data.text:
        raise UserError(f"{origin.of('data.text')}: data.text names no column: at least one, as [title, description]")
    _check_records(config, origin)
    _check_labels(config.data, origin)
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


def _check_records(config: Config, origin: Origin) -> None:
    """Check the files of the records, and that parts and the method of the split fit together."""
    data, records = config.data, config.data.records
    parts = {part: path for part in _PARTS if (path := getattr(records, part)) is not None}
    if records.path is not None and parts:
        part = next(iter(parts))
        raise UserError(
            f"{origin.of(f'data.records.{part}')}: data.records.path and data.records.{part} exclude each other: "
            "remove one (data.records.path=null)"
        )
    if records.path is None and not parts:
        raise UserError(f"{origin.of('data.records.path', 'data.records')}: data.records.path has no value")
    for node, given in (("records", parts), ("records.keys", records.keys)):
        where = origin.of(f"data.{node}")
        unknown = next((part for part in given if part not in _PARTS), None)
        if unknown is not None:
            raise UserError(f"{where}: data.{node}: there is no part {unknown!r}; {did_you_mean(unknown, _PARTS)}")
        missing = next((part for part in ("train", "test") if given and part not in given), None)
        if missing is not None:
            raise UserError(f"{where}: data.{node}.{missing} has no value: given parts need train and test")
    is_given = config.split.method is SplitMethod.given
    if (parts or records.keys) and not is_given:
        key = "data.records.train" if parts else "data.records.keys"
        raise UserError(
            f"{origin.of(key)}: {key} gives the parts, but split.method={config.split.method.name}: set "
            "data.split.method=given, or read all records as one part with data.records.path"
        )
    may_hold_parts = records.path is not None and not Path(records.path).suffix  # a directory: known when it is read
    if is_given and data.split.column is None and not (parts or records.keys or may_hold_parts):
        raise UserError(
            f"{origin.of('data.split.column')}: split.method=given needs data.split.column, or a file for each part: "
            "data.records.train and data.records.test"
        )


def _check_labels(data: DataConfig, origin: Origin) -> None:
    """Check that the kind of the labels has the keys that it needs."""
    labels, kind = data.labels, data.labels.kind
    where = origin.of("data.labels.kind", "data.labels")
    if data.records.layout is RecordsLayout.directory:
        if data.text != ["text"]:
            raise UserError(
                f"{origin.of('data.text')}: data.text={data.text}: with data.records.layout=directory the text is the "
                "content of a file: set data.text=[text]"
            )
    elif kind is LabelKind.columns and not labels.columns:
        raise UserError(f"{where}: data.labels.kind=columns needs data.labels.columns, the column of each label")
    elif labels.column is None and not labels.columns:
        raise UserError(
            f"{origin.of('data.labels.column', 'data.labels')}: data.labels.column has no value: the column of the "
            "labels (or data.labels.columns, if every label has a column)"
        )
    if kind in (LabelKind.binary, LabelKind.indices) and (labels.names is None or labels.names.path is None):
        raise UserError(
            f"{where}: data.labels.kind={kind.name} needs a label file, which names the labels: set "
            "data.labels.names.path"
        )
    if labels.columns and kind not in (LabelKind.columns, LabelKind.names):
        raise UserError(
            f"{origin.of('data.labels.columns')}: data.labels.columns is for the kinds columns and names, but "
            f"data.labels.kind={kind.name}: set data.labels.column, or the kind"
        )
    if labels.columns and labels.column is not None:
        raise UserError(
            f"{origin.of('data.labels.columns')}: data.labels.column and data.labels.columns exclude each other: "
            "remove one"
        )
    if not labels.separator:
        raise UserError(f"{origin.of('data.labels.separator')}: data.labels.separator is empty")
    has_file = labels.file is not None and labels.file.path is not None
    if has_file and data.id is None and data.records.layout is RecordsLayout.table:
        raise UserError(
            f"{origin.of('data.labels.file', 'data.labels')}: data.labels.file is joined to the records by their id: "
            "set data.id to its column"
        )

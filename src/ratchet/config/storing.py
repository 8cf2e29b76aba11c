"""A `Config` as what can be kept: its hash, its YAML, and back."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from omegaconf import DictConfig, OmegaConf, open_dict

from ratchet.config.compose import to_config
from ratchet.config.messages import COMPOSITION_ERRORS, Origin, explain
from ratchet.config.schema import Config, ModelConfig
from ratchet.errors import UserError, did_you_mean


def plain(value: Any) -> Any:
    """Dataclasses, enums and paths as what JSON and YAML can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(child) for child in value]
    if isinstance(value, Enum):
        return value.name
    return str(value) if isinstance(value, Path) else value


def config_hash(config: Config) -> str:
    """Identity of a candidate: sha256 over what is trained, without seeds, paths, threads and what is measured."""
    return hashlib.sha256(json.dumps(hashed(config), sort_keys=True).encode()).hexdigest()


def hashed(node: Any) -> Any:
    """What of a configuration (or a part of it) counts for a candidate's identity, as plain values."""
    if not dataclasses.is_dataclass(node):
        return plain(node)
    kept = [field for field in dataclasses.fields(node) if field.metadata.get("hashed", True)]
    return {field.name: hashed(getattr(node, field.name)) for field in kept}


def unhashed_keys(node: Any = Config, prefix: str = "") -> Iterator[str]:
    """Keys such as `seed` and `data.slices` that tell nothing of what is trained."""
    for field in dataclasses.fields(node):
        if not field.metadata.get("hashed", True):
            yield f"{prefix}{field.name}"
            continue
        for kind in get_args(field.type) or (field.type,):
            if dataclasses.is_dataclass(kind):
                yield from unhashed_keys(kind, f"{prefix}{field.name}.")


def dump(config: Config) -> str:
    """The resolved configuration as YAML."""
    return dump_plain(plain(config))


def dump_plain(value: Any) -> str:
    """Plain values as YAML that OmegaConf reads back as they are; a "${" that is meant as it stands is escaped."""
    content = _escaped(value)
    text = OmegaConf.to_yaml(OmegaConf.create(content))
    if OmegaConf.to_container(OmegaConf.create(text)) != content:
        return str(yaml.safe_dump(content, sort_keys=False, default_style='"'))  # ugly, but keeps control characters
    return text


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_escaped(child) for child in value]
    if isinstance(value, str):  # in OmegaConf's grammar backslashes count only before "${"
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", value)
    return value


def load(path: Path, model_settings: Mapping[str, type[ModelConfig]], overrides: Sequence[str] = ()) -> Config:
    """Read back what `dump` wrote, with `overrides` (key=value) put on top.

    Raises:
        UserError: the file is not there, is not such a file, or names a model that is no longer in ratchet.models;
            an override is wrong.
    """
    found = _read_dumped(path, model_settings)
    origin = Origin(list(overrides))
    for override in overrides:
        _check_override(override)
    try:
        return to_config(cast(DictConfig, OmegaConf.merge(found, OmegaConf.from_dotlist(list(overrides)))), origin)
    except COMPOSITION_ERRORS as error:
        raise explain(error, origin) from error


def _check_override(override: str) -> None:
    """Only plain values can be put on what is resolved already: no groups, no `+` and `~`, no interpolated keys."""
    place = f"command line, {override}"
    key, equals, _ = override.partition("=")
    if not equals or key.startswith(("+", "~")):
        raise UserError(f"{place}: must be key=value, for a key that is there")
    if key in ("model", "experiment"):
        raise UserError(f"{place}: the model of a finished run stays what it is")
    if key.startswith("data.split.") and key != "data.split.column":
        raise UserError(f"{place}: the run has its own division: set {key.removeprefix('data.')} instead")
    try:
        OmegaConf.from_dotlist([override])
    except yaml.YAMLError as error:
        raise UserError(f"{place}: the value is not valid YAML: quote it") from error


def _read_dumped(path: Path, model_settings: Mapping[str, type[ModelConfig]]) -> DictConfig:
    try:
        found = OmegaConf.load(path)
        module = str(found.model.module)
        if module not in model_settings:
            raise UserError(f"{path}: model.module={module!r} is no model; {did_you_mean(module, model_settings)}")
        schema = OmegaConf.structured(Config)
        with open_dict(schema):
            schema.model = OmegaConf.structured(model_settings[module])
        return cast(DictConfig, OmegaConf.merge(schema, found))
    except (OSError, AttributeError, *COMPOSITION_ERRORS) as error:
        raise UserError(f"{path}: not a run's configuration: {str(error).splitlines()[0]}") from error

"""Write configurations as YAML and read them back with the same types and ranges."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ratchet.config.composition import check_fields, to_config
from ratchet.config.identity import plain
from ratchet.config.messages import COMPOSITION_ERRORS, Origin, explain
from ratchet.config.schema import Config, ModelConfig, SearchConfig
from ratchet.errors import UserError, did_you_mean

Schema = TypeVar("Schema")


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


def search_settings(content: dict[str, Any]) -> SearchConfig:
    """A search's settings as study.json has them.

    Raises:
        UserError: they are of another version of ratchet, or were edited.
    """
    try:
        return cast(SearchConfig, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SearchConfig), content)))
    except OmegaConfBaseException as error:
        raise UserError(f"study.json: settings: {explain(error, Origin([]))}") from error


def read_checked(path: Path, schema: type[Schema], check: Callable[[Schema], None] = lambda found: None) -> Schema:
    """A YAML file as a `schema`; `check` raises on what types and ranges do not tell.

    Raises:
        UserError: no such file, not YAML, an unknown key, a wrong type, a value out of range.
    """
    names = [each.name for each in fields(cast(Any, schema))]
    content = _read(path)
    if not isinstance(content, DictConfig):
        raise UserError(f"{path}: must be a mapping with the keys {', '.join(names)}")
    key = ""
    try:
        for key in map(str, content):  # one at a time: what does not fit a list or a mapping is told without its key
            OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.masked_copy(content, key))
        key = ""
        found = cast(Schema, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), content)))
        check_fields(found, "", Origin([]))
        check(found)
    except (OmegaConfBaseException, ValueError, TypeError, RecursionError, UserError) as error:
        told = error if isinstance(error, UserError) else explain(error, Origin([]))
        message = _without_place(str(told))
        raise UserError(f"{path}: {'' if key in message else f'{key}: '}{message}") from error
    return found


def _read(path: Path) -> Any:
    try:
        return OmegaConf.load(path)
    except YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        place = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        raise UserError(f"{place}: not valid YAML: {problem or str(error).splitlines()[0]}") from error
    except OSError as error:
        if error.strerror is None:  # a file that holds a number or a word
            return None
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8: {error.reason}") from error
    except (OmegaConfBaseException, ValueError, RecursionError, TypeError) as error:
        raise UserError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error


def _without_place(message: str) -> str:
    """What is said, without the place that a message about conf/ begins with."""
    for place in ("conf/config.yaml", "configuration"):
        message = message.removeprefix(f"{place}: ")
    return message.removeprefix(": ")

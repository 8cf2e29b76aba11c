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
    """Return the resolved configuration as YAML."""
    return dump_plain(plain(config))


def dump_plain(value: Any) -> str:
    """Return plain values as YAML that OmegaConf reads back unchanged; a literal "${" is escaped."""
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
        return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", value)
    return value


def load(
    path: Path, model_settings: Mapping[str, type[ModelConfig] | UserError], overrides: Sequence[str] = ()
) -> Config:
    """Read what `dump` wrote, and apply `overrides` (key=value) to it.

    Raises:
        UserError: the file does not exist, has other content, or names a model that does not exist or cannot be
            imported; or an override is wrong.
    """
    stored = _read_dumped(path, model_settings)
    origin = Origin(list(overrides))
    for override in overrides:
        _check_override(override)
    try:
        return to_config(cast(DictConfig, OmegaConf.merge(stored, OmegaConf.from_dotlist(list(overrides)))), origin)
    except COMPOSITION_ERRORS as error:
        raise explain(error, origin) from error


def _check_override(override: str) -> None:
    """Accept plain values only, as the configuration is resolved: no groups, no `+` and `~`, no interpolated keys."""
    location = f"command line, {override}"
    key, equals, _ = override.partition("=")
    if not equals or key.startswith(("+", "~")):
        raise UserError(f"{location}: must be key=value, with a key of the configuration")
    if key in ("model", "experiment"):
        raise UserError(f"{location}: the model of a finished run cannot change")
    if key.startswith("data.split.") and key != "data.split.column":
        raise UserError(f"{location}: the run has its own split: set {key.removeprefix('data.')} instead")
    try:
        OmegaConf.from_dotlist([override])
    except yaml.YAMLError as error:
        raise UserError(f"{location}: the value is not valid YAML: quote it") from error


def _read_dumped(path: Path, model_settings: Mapping[str, type[ModelConfig] | UserError]) -> DictConfig:
    try:
        stored = OmegaConf.load(path)
        module = str(stored.model.module)
        if module not in model_settings:
            raise UserError(f"{path}: model.module={module!r} is no model; {did_you_mean(module, model_settings)}")
        settings = model_settings[module]
        if isinstance(settings, UserError):
            raise settings
        schema = OmegaConf.structured(Config)
        with open_dict(schema):
            schema.model = OmegaConf.structured(settings)
        return cast(DictConfig, OmegaConf.merge(schema, stored))
    except (OSError, AttributeError, *COMPOSITION_ERRORS) as error:
        raise UserError(f"{path}: not a run's configuration: {str(error).splitlines()[0]}") from error


def search_settings(content: dict[str, Any]) -> SearchConfig:
    """Return the settings of a search from the content of study.json.

    Raises:
        UserError: another version of ratchet wrote them, or they were edited.
    """
    try:
        return cast(SearchConfig, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SearchConfig), content)))
    except OmegaConfBaseException as error:
        raise UserError(f"study.json: settings: {explain(error, Origin([]))}") from error


def read_checked(path: Path, schema: type[Schema], check: Callable[[Schema], None] = lambda content: None) -> Schema:
    """Read a YAML file into a `schema`; `check` raises for what types and ranges do not cover.

    Raises:
        UserError: the file does not exist or is not YAML, a key is unknown, or a value is wrong or out of range.
    """
    names = [field.name for field in fields(cast(Any, schema))]
    content = _read(path)
    if not isinstance(content, DictConfig):
        raise UserError(f"{path}: must be a mapping with the keys {', '.join(names)}")
    key = ""
    try:
        for key in map(str, content):  # one at a time: for lists and mappings the exception does not name the key
            OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.masked_copy(content, key))
        key = ""
        checked = cast(Schema, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), content)))
        check_fields(checked, "", Origin([]))
        check(checked)
    except (OmegaConfBaseException, ValueError, TypeError, RecursionError, UserError) as error:
        explained = error if isinstance(error, UserError) else explain(error, Origin([]))
        message = _without_location(str(explained))
        raise UserError(f"{path}: {'' if key in message else f'{key}: '}{message}") from error
    return checked


def _read(path: Path) -> Any:
    try:
        return OmegaConf.load(path)
    except YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        location = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        raise UserError(f"{location}: not valid YAML: {problem or str(error).splitlines()[0]}") from error
    except OSError as error:
        if error.strerror is None:  # OmegaConf raises it for a file that holds a number or a word
            return None
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8: {error.reason}") from error
    except (OmegaConfBaseException, ValueError, RecursionError, TypeError) as error:
        raise UserError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error


def _without_location(message: str) -> str:
    """Remove the location that a message about conf/ begins with."""
    for location in ("conf/config.yaml", "configuration"):
        message = message.removeprefix(f"{location}: ")
    return message.removeprefix(": ")

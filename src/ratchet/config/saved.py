"""Write configurations as YAML and read them back with the same types and ranges.

What Ratchet writes has no interpolations and no aliases. A file that has one comes from elsewhere: `${oc.env:KEY}`
would put a secret of this machine into a path or a URL, and nested aliases would fill its memory.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ratchet.config.composition import check_fields, to_config
from ratchet.config.identity import plain
from ratchet.config.messages import COMPOSITION_ERRORS, Origin, explain, read_yaml
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
            imported; it has an interpolation or an alias; or an override is wrong.
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
    content = read_recorded(path)
    try:
        stored = OmegaConf.create(content if isinstance(content, dict) else {})
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


def read_recorded(path: Path) -> Any:
    """Return the content of a YAML file that Ratchet wrote, as plain values. Nothing is resolved.

    Raises:
        UserError: it has an interpolation or an alias; names the key. Or it does not exist or is not YAML.
    """
    _check_aliases(path)
    content = read_yaml(path, str(path))
    _check_interpolations(content, str(path))
    return content


def _check_aliases(path: Path) -> None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with suppress(OSError, ValueError, yaml.YAMLError, RecursionError), path.open(encoding="utf-8") as file:
        for event in yaml.parse(file, Loader=loader):  # `read_yaml` reports what is no YAML
            if isinstance(event, yaml.AliasEvent):
                raise UserError(
                    f"{path}: has the alias *{event.anchor}. Ratchet writes none, so "
                    "this file comes from elsewhere: do not use it"
                )


def _check_interpolations(content: Any, where: str) -> None:
    for key, value in _list_values(content, ""):
        # OmegaConf's own rule: an odd number of backslashes makes it a text. Also of a Path, which becomes a text.
        if re.search(r"(?<!\\)(?:\\\\)*\$\{", str(value)):
            raise UserError(
                f"{where}: {key}: has the interpolation {str(value)!r}. Ratchet records resolved values only, so this "
                "file comes from elsewhere, and could read secrets of this machine: do not use it"
            )


def _list_values(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and the values that are no lists and no mappings."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _list_values(child, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _list_values(child, f"{prefix}[{index}]")
    else:
        yield prefix, node


def search_settings(content: dict[str, Any]) -> SearchConfig:
    """Return the settings of a search from the content of study.json.

    Raises:
        UserError: another version of ratchet wrote them, or they were edited.
    """
    _check_interpolations(content, "study.json: settings")
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
    values = read_yaml(path, str(path))
    if not isinstance(values, dict):
        raise UserError(f"{path}: must be a mapping with the keys {', '.join(names)}")
    content = OmegaConf.create(values)
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


def _without_location(message: str) -> str:
    """Remove the location that a message about conf/ begins with."""
    for location in ("conf/config.yaml", "configuration"):
        message = message.removeprefix(f"{location}: ")
    return message.removeprefix(": ")

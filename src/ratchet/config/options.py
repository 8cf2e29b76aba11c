"""Parse `key=value` arguments of the verbs into dataclasses, and describe every key that can be set."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ratchet.config.composition import check_fields, compose
from ratchet.config.directories import list_configs, show_config
from ratchet.config.fields import Setting, settings_in
from ratchet.config.messages import Origin, explain, read_yaml
from ratchet.config.schema import ModelConfig
from ratchet.errors import UserError, did_you_mean

Options = TypeVar("Options")
_CONFIG_DIR = ("--config-dir", "-cd")
_FOR_TOOLS = ("# @package", "# yaml-language-server:")  # comments that describe nothing


def take_config_dir(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """Return `arguments` without Hydra's `--config-dir DIR`, and that directory.

    Raises:
        UserError: the directory does not exist.
    """
    rest, directory = [], None
    remaining = iter(arguments)
    for argument in remaining:
        flag, equals, value = argument.partition("=")
        if flag in _CONFIG_DIR:
            name = value if equals else next(remaining, "")
            if not name:
                raise UserError("command line: --config-dir needs a directory")
            directory = Path(name)
        else:
            rest.append(argument)
    if directory is not None and not directory.is_dir():
        raise UserError(f"command line: --config-dir {directory}: no such directory")
    return rest, directory


def is_option(argument: str) -> bool:
    """Return whether an argument has the form key=value; a path with a "=" behind a "/" has not."""
    return re.match(r"[\w.]+=", argument) is not None


def parse_options(schema: type[Options], arguments: Sequence[str], also: Sequence[str] = ()) -> Options:
    """Return `arguments` (`key=value`) as a `schema`; `also` are keys that were taken out before.

    Text is taken as it is (an id such as 26e551 is no number, "#" begins no comment), other values are YAML.

    Raises:
        UserError: an argument is not key=value, a key is unknown, a type is wrong, or a value is out of range.
    """
    types = {field.name: field.type for field in dataclasses.fields(cast(Any, schema))}
    names = list(types)
    texts = {name for name, kind in types.items() if kind in (str, str | None)}
    rest = []
    for argument in arguments:
        key, equals, _ = argument.partition("=")
        if not equals:
            raise UserError(
                f"command line: {argument!r} is not of the form key=value; keys: {', '.join(names) or 'none'}"
            )
        if key not in names:
            raise UserError(f"command line, {argument}: unknown key {key!r}; {did_you_mean(key, [*names, *also])}")
        if key in texts:
            continue
        rest.append(argument)
        try:
            OmegaConf.from_dotlist([argument])
        except YAMLError as error:
            raise UserError(f"command line, {argument}: the value is not valid YAML: quote it") from error
    try:
        given = OmegaConf.from_dotlist(rest)
        options = cast(Options, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), given)))
    except OmegaConfBaseException as error:
        raise explain(error, Origin(list(arguments))) from error
    for key, _, text in (argument.partition("=") for argument in arguments):
        if key in texts:
            setattr(options, key, None if text == "null" and types[key] is not str else _unquoted(text))
    check_fields(options, "", Origin(list(arguments)))
    return options


def _unquoted(text: str) -> str:
    """Remove quotes around the complete text, as in name='"a b"'."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def configs_of(group: str, config_dir: Path | None = None) -> dict[str, Path]:
    """Return the files of a group of conf/ (and of a further directory) by the name that chooses them, sorted."""
    return list_configs(group, config_dir)


def headline(path: Path) -> str:
    """Return the first comment of a configuration file, which describes it. Lines for Hydra and editors are skipped.

    Raises:
        UserError: the file cannot be read, or does not hold keys with values.
    """
    _read_yaml(path)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(_FOR_TOOLS)]
    return lines[0].removeprefix("#").strip() if lines and lines[0].startswith("#") else ""


@dataclasses.dataclass(frozen=True)
class ModelSummary:
    """The facts in the files of a model's configuration; `problem` explains why they cannot be used."""

    name: str
    module: str | None = None
    complexity: int | None = None
    what: str = ""
    problem: UserError | None = None


def summarise_models(config_dir: Path | None = None) -> list[ModelSummary]:
    """Read the configuration of every model, from simple to complex; those that cannot be used are last.

    Only the YAML files are read: no module of a model is imported.
    """
    paths = configs_of("model", config_dir)
    summaries = [_summarise(name, paths, config_dir) for name in paths]
    return sorted(summaries, key=lambda summary: (summary.complexity is None, summary.complexity or 0))


def _summarise(name: str, paths: Mapping[str, Path], config_dir: Path | None) -> ModelSummary:
    origin = Origin([], {"model": name}, config_dir)
    try:
        values = _read_inherited(name, paths, ())
        common = {field.name: values[field.name] for field in dataclasses.fields(ModelConfig) if field.name in values}
        node = OmegaConf.create({"model": OmegaConf.structured(ModelConfig)})
        model = cast(ModelConfig, OmegaConf.to_object(OmegaConf.merge(node, {"model": common}).model))
        check_fields(model, "model.", origin)
        return ModelSummary(name, model.module, model.complexity, headline(paths[name]))
    except OmegaConfBaseException as error:
        return ModelSummary(name, problem=explain(error, origin))
    except UserError as error:
        return ModelSummary(name, problem=error)


def _read_inherited(name: str, paths: Mapping[str, Path], heirs: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of a model's file, and of the files of the group in its `defaults`, in Hydra's order."""
    content = _read_yaml(paths[name])
    defaults = content.pop("defaults", [])
    entries = [entry for entry in defaults if isinstance(entry, str)] if isinstance(defaults, list) else []
    values: dict[str, Any] = {}
    for entry in entries if "_self_" in entries else [*entries, "_self_"]:
        parent = re.sub("^/model/|@.*$", "", entry)
        if entry == "_self_":
            values |= content
        elif parent in (name, *heirs):
            raise UserError(f"{show_config(paths[name])}: defaults: {parent} inherits from itself")
        elif parent in paths:
            values |= _read_inherited(parent, paths, (name, *heirs))
        elif not parent.startswith("base_"):  # base_* is the schema of a module
            where = show_config(paths[name])
            raise UserError(f"{where}: defaults: there is no conf/model/{parent}.yaml; {did_you_mean(parent, paths)}")
    return values


def _read_yaml(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file, whose top level must be keys with values; `${...}` is not resolved."""
    content = read_yaml(path, show_config(path))
    if not isinstance(content, dict):
        raise UserError(f"{show_config(path)}: must have keys with values, such as `complexity: 1`")
    return {str(key): value for key, value in content.items()}


def model_config(name: str, config_dir: Path | None = None) -> ModelConfig:
    """Return the settings that `model=name` composes.

    Raises:
        UserError: there is no such file, or its content is wrong.
    """
    names = configs_of("model", config_dir)
    if name not in names:
        raise UserError(f"models {name}: {did_you_mean(name, names)}")
    return compose([f"model={name}"], config_dir).model


def settings_of(name: str, config_dir: Path | None = None) -> list[Setting]:
    """Return every setting of a model, its own before those it shares with other models.

    Raises:
        UserError: there is no such file, or its content is wrong.
    """
    shared = {field.name for field in dataclasses.fields(ModelConfig)}
    return [setting for setting in settings_in(model_config(name, config_dir)) if setting.key not in shared]

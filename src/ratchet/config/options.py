"""Options of the `ratchet` verbs: `key=value` arguments into a small dataclass, checked like a configuration."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ratchet.config.messages import Origin, explain
from ratchet.errors import UserError, did_you_mean

Options = TypeVar("Options")
_CONFIG_DIR = ("--config-dir", "-cd")


def take_config_dir(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """`arguments` without Hydra's `--config-dir DIR`, and that directory.

    Raises:
        UserError: the directory is not there.
    """
    rest, directory = [], None
    waiting = iter(arguments)
    for argument in waiting:
        flag, equals, value = argument.partition("=")
        if flag in _CONFIG_DIR:
            named = value if equals else next(waiting, "")
            if not named:
                raise UserError("command line: --config-dir needs a directory")
            directory = Path(named)
        else:
            rest.append(argument)
    if directory is not None and not directory.is_dir():
        raise UserError(f"command line: --config-dir {directory}: no such directory")
    return rest, directory


def parse_options(schema: type[Options], arguments: Sequence[str], also: Sequence[str] = ()) -> Options:
    """`arguments` (`key=value`, YAML values) as a `schema`; `also` are keys that were taken out before.

    Raises:
        UserError: an argument that is no key=value, an unknown key or a wrong type.
    """
    names = [field.name for field in dataclasses.fields(cast(Any, schema))]
    for argument in arguments:
        key, equals, _ = argument.partition("=")
        if not equals:
            raise UserError(
                f"command line: {argument!r} is not of the form key=value; keys: {', '.join(names) or 'none'}"
            )
        if key not in names:
            raise UserError(f"command line, {argument}: unknown key {key!r}; {did_you_mean(key, [*names, *also])}")
        try:
            OmegaConf.from_dotlist([argument])
        except YAMLError as error:
            raise UserError(f"command line, {argument}: the value is not valid YAML: quote it") from error
    try:
        given = OmegaConf.from_dotlist(list(arguments))
        return cast(Options, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), given)))
    except OmegaConfBaseException as error:
        raise explain(error, Origin(list(arguments))) from error

"""Options of the `ratchet` verbs: `key=value` arguments into a small dataclass, checked like a configuration."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ratchet.config.compose import check_fields
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


def is_option(argument: str) -> bool:
    """Whether it has the form key=value; a path that has a "=" somewhere has not, if it has a "/" before."""
    return re.match(r"[\w.]+=", argument) is not None


def parse_options(schema: type[Options], arguments: Sequence[str], also: Sequence[str] = ()) -> Options:
    """`arguments` (`key=value`) as a `schema`; `also` are keys that were taken out before.

    Text is taken as it stands (an id such as 26e551 is no number, "#" begins no comment), other values are YAML.

    Raises:
        UserError: an argument that is no key=value, an unknown key, a wrong type, a value out of range.
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
    """Without the quotes that are around all of it, as in name='"a b"'."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text

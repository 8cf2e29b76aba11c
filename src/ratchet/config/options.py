"""Options of the `ratchet` verbs: `key=value` arguments into a small dataclass, checked like a configuration."""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ratchet.config.messages import explain
from ratchet.errors import UserError, did_you_mean

Options = TypeVar("Options")


def parse_options(schema: type[Options], arguments: Sequence[str]) -> Options:
    """`arguments` (`key=value`, YAML values) as a `schema`.

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
            raise UserError(f"command line, {argument}: unknown key {key!r}; {did_you_mean(key, names)}")
    try:
        given = OmegaConf.from_dotlist(list(arguments))
        return cast(Options, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), given)))
    except OmegaConfBaseException as error:
        raise explain(error, arguments) from error

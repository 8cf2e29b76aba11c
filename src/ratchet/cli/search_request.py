"""What `-m sweep=<model>` asks for: what holds in every trial, and what is searched."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet.config import Config, ParameterConfig, Part, compose, plain
from ratchet.errors import UserError
from ratchet.search.space import Values, as_text, check_space, corners, overrides_of, value_in

_SETTINGS = ("model", "calibration", "threshold", "trainer")


@dataclass(frozen=True)
class Request:
    """What a command line asks for: what holds in every trial, what is searched, and the configuration without it."""

    fixed: list[str]
    space: dict[str, ParameterConfig]
    config: Config
    config_dir: Path | None = None


def read_request(arguments: Sequence[str], config_dir: Path | None = None) -> Request:
    """A command line with sweep=..., checked: all that may be tried composes.

    `key=value` takes a key out of the space; `key=a,b`, `key=choice(...)`, `key=interval(...)`, `key=range(...)` and
    `key=tag(log,interval(...))` put one in, or change it.

    Raises:
        UserError: a mistake in it, or in the space.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(arguments))
    _refuse_what_is_no_setting(parsed)
    fixed = [str(each.input_line) for each in parsed if not each.is_sweep_override()]
    config = compose(fixed, config_dir)
    space = {key: each for key, each in config.sweep.space.items() if not any(o.key_or_group == key for o in parsed)}
    space |= {each.key_or_group: _parameter(each) for each in parsed if each.is_sweep_override()}
    if config.evaluate is not Part.val:
        raise UserError("command line, evaluate=test: a search chooses, so it reads val alone: leave evaluate out")
    check_space(space)
    for values in corners(space):
        try:
            compose([*fixed, *overrides_of(values)], config_dir)
        except UserError as error:
            raise UserError(f"sweep.space: {error}") from error
    return Request(fixed, space, config, config_dir)


def _refuse_what_is_no_setting(parsed: Sequence[Any]) -> None:
    """A seed, a split or a data set that is chosen because it scores well tells nothing."""
    for override in parsed:
        root = override.key_or_group.partition(".")[0]
        if override.is_sweep_override() and root not in _SETTINGS:
            raise UserError(
                f"command line, {override.input_line}: a search chooses among settings ({', '.join(_SETTINGS)}.*): "
                "give one value, and run a search for each"
            )


def _parameter(override: Any) -> ParameterConfig:
    """What Hydra's grammar for several values means as a range or as choices."""
    if override.is_choice_sweep() and hasattr(override.value(), "list"):
        return ParameterConfig(choices=[_plain(each) for each in override.value().list])
    log = "log" in getattr(override.value(), "tags", ())
    if override.is_interval_sweep():
        return ParameterConfig(low=override.value().start, high=override.value().end, log=log)
    if override.is_range_sweep():
        values = [json.loads(text) for text in override.sweep_string_iterator()]
        return ParameterConfig(low=values[0], high=values[-1], step=override.value().step)
    raise UserError(f"command line, {override.input_line}: a search takes choice(), interval() and range()")


def _plain(value: Any) -> Any:
    return getattr(value, "text", value)  # of a quoted text


def default_values(request: Request) -> Values | None:
    """The values that the settings have without the search; None where the space does not hold them."""
    found: Values = {}
    for key, parameter in request.space.items():
        node: Any = plain(request.config)
        for name in key.split("."):
            node = node[name]
        value = value_in(parameter, node)
        if value is None:
            print(f"the default, {key}={as_text(node)}, is outside of what is searched: it is not tried first")
            return None
        found[key] = value
    return found

"""Parse Hydra's override grammar: several values of a key, as jobs of a grid or as a range of a search."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException

from ratchet.config.directories import list_configs
from ratchet.config.schema import ParameterConfig
from ratchet.errors import UserError

_HAS_CALL = re.compile(r"=\s*(\w+\()*\s*(glob|shuffle)\(")


@dataclass(frozen=True)
class Argument:
    """An override of the command line: its key without `+` and `~`, its text, and whether it has several values."""

    key: str
    text: str
    is_sweep: bool


def parse_arguments(overrides: Sequence[str]) -> list[Argument]:
    """Return the parsed overrides.

    Raises:
        hydra.errors.OverrideParseException: a syntax error (one of COMPOSITION_ERRORS).
    """
    return [
        Argument(override.key_or_group, str(override.input_line), override.is_sweep_override())
        for override in _parse(overrides)
    ]


def expand_grid(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job: the product of all values, in the order of Hydra's own sweeper.

    The last key varies fastest. A key that is given twice keeps its first position and its last value.

    Raises:
        UserError: a range of real numbers, which has no list of values.
        hydra.errors.OverrideParseException: a syntax error (one of COMPOSITION_ERRORS).
    """
    values: dict[str, list[str]] = {}
    for override in _parse(overrides):
        key = override.get_key_element()
        if not override.is_sweep_override():
            values[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise UserError(
                f"command line, {override.input_line}: a grid needs a list of values, as {key}=a,b; "
                "a search (sweep=<model>) takes interval()"
            )
    return [list(job) for job in product(*values.values())]


def list_sweep_values(overrides: Sequence[str], config_dir: Path | None = None) -> list[str]:
    """Return the overrides with the values of `glob()` and `shuffle()` written out, as `model=regression,rule`.

    Hydra would match schemas, too, and shuffle once for the plan and once for the jobs.

    Raises:
        UserError: a pattern that matches no file, or the pattern of a key that is no group of configurations.
        hydra.errors.OverrideParseException: a syntax error (one of COMPOSITION_ERRORS).
    """
    return [_list_values(override, config_dir) if _HAS_CALL.search(override) else override for override in overrides]


def _list_values(text: str, config_dir: Path | None) -> str:
    [override] = _parse([text])
    value: Any = override.value()
    if isinstance(value, Glob):
        names = list_configs(override.key_or_group, config_dir)
        if not names:
            raise UserError(
                f"command line, {text}: glob() takes the names of files, and {override.key_or_group} is no group of "
                f"configurations: list the values, as {override.key_or_group}=a,b"
            )
        chosen = value.filter(list(names))
        if not chosen:
            raise UserError(f"command line, {text}: no name matches; valid: {', '.join(names)}")
    elif getattr(value, "shuffle", False) and override.is_discrete_sweep():
        chosen = list(override.sweep_string_iterator())
    else:
        return text
    return f"{text.partition('=')[0]}={','.join(chosen)}"


def take_first_value(override: str) -> str | None:
    """Return an override with the first of its values; None for an interval, which has no first one."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:  # composing reports it
        return override
    if not parsed.is_sweep_override():
        return override
    if not parsed.is_discrete_sweep():
        return None
    return f"{parsed.get_key_element()}={next(parsed.sweep_string_iterator())}"


def parse_parameter(text: str) -> ParameterConfig:
    """Return the range or the choices of `key=a,b`, `key=interval(...)`, `key=range(...)`, also with `tag(log,...)`.

    Raises:
        UserError: another kind of sweep.
    """
    [override] = _parse([text])
    value: Any = override.value()
    if override.is_choice_sweep() and hasattr(value, "list"):
        # A quoted text is an object that holds it.
        return ParameterConfig(choices=[getattr(choice, "text", choice) for choice in value.list])
    log = "log" in getattr(value, "tags", ())
    if override.is_interval_sweep():
        return ParameterConfig(low=value.start, high=value.end, log=log)
    if override.is_range_sweep():
        members = [json.loads(member) for member in override.sweep_string_iterator()]
        return ParameterConfig(low=members[0], high=members[-1], step=value.step)
    raise UserError(f"command line, {text}: a search takes choice(), interval() and range()")


def _parse(overrides: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))

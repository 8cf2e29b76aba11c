"""What a search may try: keys of the configuration, each with the values it may take."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from ratchet.config import ParameterConfig
from ratchet.errors import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Space = Mapping[str, ParameterConfig]
_PLAIN, _MEANS_MORE = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*"), ("null", "true", "false", "nan", "inf")
Values = dict[str, Any]  # by key: a number, or a choice as `as_text` has it


def check_space(space: Space) -> None:
    """Refuse what cannot be drawn from.

    Raises:
        UserError: a key without values, limits that are no numbers or in the wrong order.
    """
    if not space:
        raise UserError("sweep.space is empty: there is nothing to search")
    for key, parameter in space.items():
        problem = _problem(parameter)
        if problem:
            raise UserError(f"sweep.space, {key}: {problem}")


def _problem(parameter: ParameterConfig) -> str | None:
    limits = (parameter.low, parameter.high)
    if parameter.choices is not None:
        mixed = any(each is not None for each in (*limits, parameter.step)) or parameter.log
        empty = "choices is empty" if not parameter.choices else None
        return "choices stand alone, without low, high, step and log" if mixed else empty
    if not all(_is_number(each) for each in limits):
        return "needs low and high, both numbers, or choices"
    if parameter.low > parameter.high:
        return f"low={parameter.low} is above high={parameter.high}"
    if parameter.log and (parameter.low <= 0 or parameter.step is not None):
        return "log needs low above 0, and no step"
    if parameter.step is not None and not (_is_number(parameter.step) and parameter.step > 0):
        return "step must be a number above 0"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def as_text(value: Any) -> str:
    """A value as the command line takes it."""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.lower() not in _MEANS_MORE else f"'{_escaped(value)}'"
    return json.dumps(value, separators=(",", ":"))


def _escaped(value: str) -> str:
    """In quotes backslashes count only before a quote, the closing one included."""
    return re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value)


def distributions(space: Space) -> "dict[str, BaseDistribution]":
    """The space as Optuna knows it; choices are texts."""
    return {key: _distribution(parameter) for key, parameter in space.items()}


def _distribution(parameter: ParameterConfig) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.choices is not None:
        return CategoricalDistribution([as_text(each) for each in parameter.choices])
    if _is_whole(parameter):
        return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step or 1)
    return FloatDistribution(float(parameter.low), float(parameter.high), log=parameter.log, step=parameter.step)


def _is_whole(parameter: ParameterConfig) -> bool:
    return all(isinstance(each, int) for each in (parameter.low, parameter.high, parameter.step or 1))


def value_in(parameter: ParameterConfig, value: Any) -> Any:
    """`value` as a trial has it; None where the space does not hold it."""
    if parameter.choices is not None:
        return as_text(value) if value in parameter.choices else None
    inside = _is_number(value) and parameter.low <= value <= parameter.high
    return (value if _is_whole(parameter) else float(value)) if inside else None


def rounded(values: Mapping[str, Any]) -> Values:
    """Drawn values as they are tried: four digits are as many as anybody reads, or trials can tell apart."""
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in values.items()}


def overrides_of(values: Values) -> list[str]:
    """The values of a trial as arguments of the command line."""
    return [f"{key}={value if isinstance(value, str) else as_text(value)}" for key, value in values.items()]


def corners(space: Space) -> Iterator[Values]:
    """Values that, together, hold every limit and every choice at least once: what has to compose before any trial."""
    ends = {
        key: [as_text(each) for each in parameter.choices]
        if parameter.choices is not None
        else [parameter.low, parameter.high]
        for key, parameter in space.items()
    }
    for index in range(max(len(each) for each in ends.values())):
        yield {key: each[index % len(each)] for key, each in ends.items()}


def every_value(space: Space, most: int) -> list[Values]:
    """All that the space holds, if that is no more than `most`; else nothing."""
    if any(parameter.choices is None for parameter in space.values()):
        return []
    choices = [[as_text(each) for each in parameter.choices or ()] for parameter in space.values()]
    if math.prod(map(len, choices)) > most:
        return []
    return [dict(zip(space, values, strict=True)) for values in product(*choices)]

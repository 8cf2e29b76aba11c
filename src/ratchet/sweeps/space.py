"""Define what a search may try: the keys of `-m sweep=<model>`, each with the values that it may take."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.config import Config, ParameterConfig, Part, compose, plain
from ratchet.config.grammar import Argument, parse_arguments, parse_parameter
from ratchet.errors import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Space = Mapping[str, ParameterConfig]
Values = dict[str, Any]  # by key: a number, or a choice as `as_argument` writes it
_SEARCHABLE = ("model", "calibration", "threshold", "trainer")
_PLAIN_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS_WITH_MEANING = ("null", "true", "false", "nan", "inf")


@dataclass(frozen=True)
class SearchRequest:
    """A checked command line: the overrides of every trial, the space, and the configuration of the default trial.

    `corners` are configurations that together contain every limit and every choice of the space.
    """

    fixed: list[str]
    space: dict[str, ParameterConfig]
    config: Config
    config_dir: Path | None = None
    corners: Sequence[Config] = ()


def read_request(overrides: Sequence[str], config_dir: Path | None = None) -> SearchRequest:
    """Parse a command line with `sweep=...`, and check that everything that may be tried composes.

    `key=value` takes a key out of the space; `key=a,b`, `key=choice(...)`, `key=interval(...)`, `key=range(...)` and
    `key=tag(log,interval(...))` add one, or change it.

    Raises:
        UserError: a mistake in the command line or in the space.
    """
    arguments = parse_arguments(overrides)
    _check_searchable(arguments)
    fixed = [argument.text for argument in arguments if not argument.is_sweep]
    config = compose(fixed, config_dir)
    fixed_keys = {argument.key for argument in arguments}
    space = {key: parameter for key, parameter in config.sweep.space.items() if key not in fixed_keys}
    space |= {argument.key: parse_parameter(argument.text) for argument in arguments if argument.is_sweep}
    if config.evaluate is not Part.val:
        raise UserError("command line, evaluate=test: a search selects on val only: leave evaluate out")
    check_space(space)
    try:
        composed = [compose([*fixed, *to_overrides(values)], config_dir) for values in corners(space)]
    except UserError as error:
        raise UserError(f"sweep.space: {error}") from error
    return SearchRequest(fixed, space, config, config_dir, composed)


def _check_searchable(arguments: Sequence[Argument]) -> None:
    """Refuse to search a seed, a split or a data set: its score would be high by selection alone."""
    for argument in arguments:
        root = argument.key.partition(".")[0]
        if argument.is_sweep and root not in _SEARCHABLE:
            raise UserError(
                f"command line, {argument.text}: a search tries settings only ({', '.join(_SEARCHABLE)}.*): "
                "give one value, and run one search per value"
            )


def default_values(request: SearchRequest) -> tuple[Values | None, list[str]]:
    """Return the values of the keys without the search, and those outside the space as arguments.

    The values are None if one lies outside: the default is not a trial then.
    """
    values: Values = {}
    outside = []
    config = plain(request.config)
    for key, parameter in request.space.items():
        setting: Any = config
        for name in key.split("."):
            setting = setting[name]
        values[key] = value_in(parameter, setting)
        if values[key] is None:
            outside.append(f"{key}={as_argument(setting)}")
    return (None if outside else values), outside


def check_space(space: Space) -> None:
    """Refuse a space that cannot be sampled.

    Raises:
        UserError: no key; a key without values; limits that are not numbers or in the wrong order.
    """
    if not space:
        raise UserError("sweep.space is empty: there is nothing to search")
    for key, parameter in space.items():
        problem = _find_problem(parameter)
        if problem:
            raise UserError(f"sweep.space, {key}: {problem}")


def _find_problem(parameter: ParameterConfig) -> str | None:
    limits = (parameter.low, parameter.high)
    if parameter.choices is not None:
        if any(value is not None for value in (*limits, parameter.step)) or parameter.log:
            return "choices stand alone, without low, high, step and log"
        return None if parameter.choices else "choices is empty"
    if not all(_is_number(limit) for limit in limits):
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


def as_argument(value: Any) -> str:
    """Return a value as the command line takes it; Hydra parses it back to the same value."""
    if not isinstance(value, str):
        return json.dumps(value, separators=(",", ":"))
    if _PLAIN_WORD.fullmatch(value) and value.lower() not in _WORDS_WITH_MEANING:
        return value
    # In quotes, a backslash counts only before a quote, the closing one included.
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), value)
    return f"'{escaped}'"


def to_distributions(space: Space) -> "dict[str, BaseDistribution]":
    """Return the space as Optuna's distributions; choices become texts."""
    return {key: _to_distribution(parameter) for key, parameter in space.items()}


def _to_distribution(parameter: ParameterConfig) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.choices is not None:
        return CategoricalDistribution([as_argument(choice) for choice in parameter.choices])
    if _is_integer(parameter):
        return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step or 1)
    return FloatDistribution(float(parameter.low), float(parameter.high), log=parameter.log, step=parameter.step)


def _is_integer(parameter: ParameterConfig) -> bool:
    return all(isinstance(value, int) for value in (parameter.low, parameter.high, parameter.step or 1))


def value_in(parameter: ParameterConfig, value: Any) -> Any:
    """Return `value` as a trial holds it, None if it is outside the space."""
    if parameter.choices is not None:
        return as_argument(value) if value in parameter.choices else None
    inside = _is_number(value) and parameter.low <= value <= parameter.high and _is_on_step(parameter, value)
    return (value if _is_integer(parameter) else float(value)) if inside else None


def _is_on_step(parameter: ParameterConfig, value: float) -> bool:
    steps = (value - parameter.low) / parameter.step if parameter.step else 0
    return math.isclose(steps, round(steps), abs_tol=1e-9)


def round_values(values: Mapping[str, Any]) -> Values:
    """Return sampled values with four significant digits, as they are trained and printed."""
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in values.items()}


def to_overrides(values: Values) -> list[str]:
    """Return the values of a trial as arguments of the command line."""
    return [f"{key}={value if isinstance(value, str) else as_argument(value)}" for key, value in values.items()]


def corners(space: Space) -> Iterator[Values]:
    """Yield values that together contain every limit and every choice at least once, to compose before any trial."""
    ends = {
        key: [as_argument(choice) for choice in parameter.choices]
        if parameter.choices is not None
        else [parameter.low, parameter.high]
        for key, parameter in space.items()
    }
    for index in range(max(len(values) for values in ends.values())):
        yield {key: values[index % len(values)] for key, values in ends.items()}


def list_values(space: Space, limit: int) -> list[Values]:
    """Return all combinations of a space of choices if there are at most `limit`, else nothing."""
    if any(parameter.choices is None for parameter in space.values()):
        return []
    choices = [[as_argument(choice) for choice in parameter.choices or ()] for parameter in space.values()]
    if math.prod(map(len, choices)) > limit:
        return []
    return [dict(zip(space, values, strict=True)) for values in product(*choices)]

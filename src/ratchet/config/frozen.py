"""What the pipeline's `config` stage wrote down, read back with the same types and ranges."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ratchet.config.compose import check_fields
from ratchet.config.data_schema import DataConfig
from ratchet.config.messages import CONF, Origin, explain
from ratchet.config.objective import Objective, check_floors
from ratchet.config.objective_schema import ObjectiveConfig
from ratchet.config.schema import SplitConfig
from ratchet.config.search_schema import SearchConfig
from ratchet.errors import UserError

Schema = TypeVar("Schema")


@dataclass
class _Data:
    data: DataConfig = field(default_factory=DataConfig)
    split: SplitConfig = field(default_factory=SplitConfig)


@dataclass
class _Objective:
    name: str = ""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)


def load_data(path: Path) -> tuple[DataConfig, SplitConfig]:
    """A frozen data set and how it is divided.

    Raises:
        UserError: no such file, an unknown key, a wrong type, a value out of range.
    """
    found = read_checked(path, _Data)
    return found.data, found.split


def load_objective(path: Path) -> Objective:
    """A frozen objective; its `path` is that of the file in conf/ which it was composed from.

    Raises:
        UserError: no such file, an unknown key, a wrong type, a value out of range.
    """
    found = read_checked(path, _Objective, lambda found: check_floors(found.objective, Origin([])))
    return Objective(found.objective, found.name, CONF / "objective" / f"{found.name}.yaml", ())


def search_settings(content: dict[str, Any]) -> SearchConfig:
    """A search's settings as study.json has them.

    Raises:
        UserError: they are of another version of ratchet, or were edited.
    """
    try:
        return cast(SearchConfig, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SearchConfig), content)))
    except OmegaConfBaseException as error:
        raise UserError(f"study.json: settings: {explain(error, Origin([]))}") from error


def read_checked(path: Path, schema: type[Schema], check: Callable[[Schema], None] = lambda found: None) -> Schema:
    """A YAML file as a `schema`; `check` raises on what types and ranges do not tell.

    Raises:
        UserError: no such file, not YAML, an unknown key, a wrong type, a value out of range.
    """
    names = [each.name for each in fields(cast(Any, schema))]
    content = _read(path)
    if not isinstance(content, DictConfig):
        raise UserError(f"{path}: must be a mapping with the keys {', '.join(names)}")
    key = ""
    try:
        for key in map(str, content):  # one at a time: what does not fit a list or a mapping is told without its key
            OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.masked_copy(content, key))
        key = ""
        found = cast(Schema, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), content)))
        check_fields(found, "", Origin([]))
        check(found)
    except (OmegaConfBaseException, ValueError, TypeError, RecursionError, UserError) as error:
        told = error if isinstance(error, UserError) else explain(error, Origin([]))
        message = _without_place(str(told))
        raise UserError(f"{path}: {'' if key in message else f'{key}: '}{message}") from error
    return found


def _read(path: Path) -> Any:
    try:
        return OmegaConf.load(path)
    except YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        place = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        raise UserError(f"{place}: not valid YAML: {problem or str(error).splitlines()[0]}") from error
    except OSError as error:
        if error.strerror is None:  # a file that holds a number or a word
            return None
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8: {error.reason}") from error
    except (OmegaConfBaseException, ValueError, RecursionError, TypeError) as error:
        raise UserError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error


def _without_place(message: str) -> str:
    """What is said, without the place that a message about conf/ begins with."""
    for place in ("conf/config.yaml", "configuration"):
        message = message.removeprefix(f"{place}: ")
    return message.removeprefix(": ")

"""What the pipeline's `config` stage wrote down, read back with the same types and ranges."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ratchet.config.compose import check_fields
from ratchet.config.data_schema import DataConfig
from ratchet.config.messages import CONF, Origin, explain
from ratchet.config.objective import Objective
from ratchet.config.objective_schema import ObjectiveConfig
from ratchet.config.schema import SplitConfig
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
    found = read_checked(path, _Objective)
    return Objective(found.objective, found.name, CONF / "objective" / f"{found.name}.yaml", ())


def read_checked(path: Path, schema: type[Schema]) -> Schema:
    """A YAML file as a `schema`.

    Raises:
        UserError: no such file, not YAML, an unknown key, a wrong type, a value out of range.
    """
    origin = Origin([])
    try:
        found = cast(Schema, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.load(path))))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except YAMLError as error:
        raise explain(error, origin) from error
    except (OmegaConfBaseException, ValueError) as error:
        raise UserError(f"{path}: {str(explain(error, origin)).partition(': ')[2]}") from error
    check_fields(found, "", origin)
    return found

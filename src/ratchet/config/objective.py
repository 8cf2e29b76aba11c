"""The objective in force: from conf/objective/ and the command line, with its identity."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ratchet.config.composition import check_fields, compose_node
from ratchet.config.identity import plain
from ratchet.config.messages import Origin, explain
from ratchet.config.objective_schema import GateConfig, ObjectiveConfig
from ratchet.errors import UserError
from ratchet.project import CONF


@dataclass(frozen=True)
class Objective:
    """What must hold, what it is called, the file it stands in, and what the command line changed of it."""

    settings: ObjectiveConfig
    name: str
    path: Path
    overrides: tuple[str, ...]

    @property
    def hash(self) -> str:
        """Identity of what must hold, whatever it is called: sha256."""
        return hashlib.sha256(json.dumps(plain(self.settings), sort_keys=True).encode()).hexdigest()


def compose_objective(overrides: Sequence[str], config_dir: Path | None = None) -> Objective:
    """Compose conf/gate.yaml with `overrides` such as `objective=strict` and `objective.margin=0.02`.

    Raises:
        UserError: an unknown objective or key, a wrong type, a value out of range; names file and key.
    """
    cfg, origin = compose_node("gate", overrides, config_dir)
    try:
        settings = cast(GateConfig, OmegaConf.to_object(cfg)).objective
    except OmegaConfBaseException as error:
        raise explain(error, origin) from error
    check_fields(settings, "objective.", origin)
    check_floors(settings, origin)
    name = str(origin.choices["objective"])
    changed = tuple(each for each in overrides if each.lstrip("+~").startswith("objective."))
    return Objective(settings, name, origin.path(f"objective/{name}"), changed)


def named_objectives() -> dict[str, ObjectiveConfig]:
    """The objectives that have a name in conf/."""
    names = sorted(path.stem for path in (CONF / "objective").glob("*.yaml"))
    return {name: compose_objective([f"objective={name}"]).settings for name in names}


def check_floors(settings: ObjectiveConfig, origin: Origin) -> None:
    """Refuse floors of labels and slices that no F1 can have.

    Raises:
        UserError: names file and key.
    """
    for kind, floors in (("labels", settings.labels), ("slices", settings.slices)):
        _check_floors(f"objective.{kind}", floors, origin)


def _check_floors(prefix: str, floors: Mapping[str, float], origin: Origin) -> None:
    for name, floor in floors.items():
        if not 0 <= floor <= 1:
            raise UserError(
                f"{origin.of(f'{prefix}.{name}', prefix)}: {prefix}.{name}={floor} is out of range: "
                "it must be at least 0 and at most 1"
            )

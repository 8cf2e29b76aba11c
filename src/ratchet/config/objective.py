"""Compose the objective in force from conf/objective/ and the command line, with its identity."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ratchet.config.composition import check_fields, compose_node
from ratchet.config.directories import find_config, list_configs
from ratchet.config.identity import plain
from ratchet.config.messages import Origin, explain
from ratchet.config.objective_schema import GateConfig, ObjectiveConfig
from ratchet.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Objective:
    """An objective with its name, its file, and the overrides of the command line."""

    settings: ObjectiveConfig
    name: str
    path: Path
    overrides: tuple[str, ...]

    @property
    def hash(self) -> str:
        """Return the identity of the settings, whatever their name: sha256."""
        return hashlib.sha256(json.dumps(plain(self.settings), sort_keys=True).encode()).hexdigest()


def compose_objective(overrides: Sequence[str], config_dir: Path | None = None) -> Objective:
    """Compose conf/gate.yaml with `overrides` such as `objective=strict` and `objective.margin=0.02`.

    Raises:
        UserError: the objective or a key is unknown, a type is wrong, or a value is out of range; names file and key.
    """
    cfg, origin = compose_node("gate", overrides, config_dir)
    try:
        settings = cast(GateConfig, OmegaConf.to_object(cfg)).objective
    except OmegaConfBaseException as error:
        raise explain(error, origin) from error
    check_fields(settings, "objective.", origin)
    check_floors(settings, origin)
    name = str(origin.choices["objective"])
    changed = tuple(override for override in overrides if override.lstrip("+~").startswith("objective."))
    return Objective(settings, name, find_config(f"objective/{name}", config_dir), changed)


def named_objectives() -> dict[str, ObjectiveConfig]:
    """Return the objectives of conf/ by name. Leave out one that is invalid, and log why: it may not be needed."""
    objectives = {}
    for name in list_configs("objective"):
        try:
            objectives[name] = compose_objective([f"objective={name}"]).settings
        except UserError as error:
            log.warning("objective %s is left out: %s", name, error)
    return objectives


def check_floors(settings: ObjectiveConfig, origin: Origin) -> None:
    """Check that the floors of labels and slices are possible values of F1.

    Raises:
        UserError: one is not between 0 and 1; names file and key.
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

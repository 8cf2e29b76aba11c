"""What may stand in a tracker's configuration, conf/tracker/*.yaml: whom a run is told to, besides its directory."""

from dataclasses import dataclass
from enum import Enum


class TrackerKind(Enum):
    """Whom runs are told to: nobody, or Weights & Biases."""

    none = "none"
    wandb = "wandb"


class TrackerMode(Enum):
    """Whether what is told stays in the run directory, to be uploaded later, or goes to the server at once."""

    offline = "offline"
    online = "online"


@dataclass
class TrackerConfig:
    """Where a run shows up. `group` is the grid's id or the data set's name unless given.

    `baseline` names the MVP: its newest run on the same data and split is what `delta/...` is measured against.
    """

    kind: TrackerKind = TrackerKind.none
    mode: TrackerMode = TrackerMode.offline
    project: str = "ratchet"
    entity: str | None = None
    group: str | None = None
    baseline: str = "rule"

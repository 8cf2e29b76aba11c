"""What a tracker is told, and the one that tells nobody."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Description:
    """Who is speaking: a run as a tracker lists it. `config` is plain values; everything else is in it as well."""

    id: str
    name: str
    group: str
    job_type: str
    tags: Sequence[str]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows of equal length under named columns."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Files:
    """Files that belong together, as an artifact: by the path within it, where each stands on disk."""

    name: str
    kind: str
    files: Mapping[str, Path]
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """What is known once the work is done. `used` are inputs, `made` are outputs, `pictures` PNG files by name."""

    summary: Mapping[str, Any]
    tables: Sequence[Table] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    used: Sequence[Files] = field(default=())
    made: Sequence[Files] = field(default=())


class Tracker(Protocol):
    """Somebody who is told of a run. Made by `open_tracker`, which sees to it that nothing of this stops the run."""

    def configure(self, values: Mapping[str, Any]) -> None:
        """Add to the configuration what was not known at first."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """A point of each curve; an `epoch` among the metrics is what they are drawn over."""

    def report(self, make: Callable[[], Report]) -> None:
        """What came out; `make` is called only where somebody listens."""

    def finish(self, error: str | None = None) -> None:
        """The end, a bad one if there is an error. Nothing may be told afterwards."""


class NullTracker:
    """Tells nobody."""

    def configure(self, values: Mapping[str, Any]) -> None:
        """Nothing."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def report(self, make: Callable[[], Report]) -> None:
        """Nothing; `make` is not called."""

    def finish(self, error: str | None = None) -> None:
        """Nothing."""

"""Define what a tracker receives, the null tracker, and the guard that keeps a failing tracker from failing a run."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

log = logging.getLogger(__name__)
Result = TypeVar("Result")
CALL_SECONDS = 20.0
FINISH_SECONDS = 90.0  # longer than a tracker waits for its own uploads


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


class GuardedTracker:
    """Hands everything on to `tracker` until that fails; how the run ended is told even then, if it can be."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._listens = True

    def configure(self, values: Mapping[str, Any]) -> None:
        """Hand on, or log why not."""
        self._while_it_listens("configuration", lambda: self._call(lambda: self._tracker.configure(values)))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Hand on, or log why not."""
        self._while_it_listens("curves", lambda: self._call(lambda: self._tracker.log(step, metrics)))

    def report(self, make: Callable[[], Report]) -> None:
        """Hand on, or log why not. Making a report may take its time, telling it may not."""

        def tell() -> None:
            made = make()
            self._call(lambda: self._tracker.report(lambda: made))

        self._while_it_listens("report", tell)

    def finish(self, error: str | None = None) -> None:
        """Hand on, or log why not."""
        self._guarded("end", lambda: within(FINISH_SECONDS, lambda: self._tracker.finish(error)))

    def _call(self, action: Callable[[], None]) -> None:
        within(CALL_SECONDS, action)

    def _while_it_listens(self, what: str, action: Callable[[], None]) -> None:
        if self._listens:
            self._guarded(what, action)

    def _guarded(self, what: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            log.warning("tracker: %s not told, nor what follows: %s: %s", what, type(error).__name__, error)
            self._listens = False


def within(seconds: float, action: Callable[[], Result]) -> Result:
    """What `action` gives, or raises; it goes on by itself, unheard, if that takes longer than `seconds`.

    Raises:
        TimeoutError: it took longer.
    """
    results: list[Result] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(action())
        except Exception as error:
            errors.append(error)
        except BaseException as stop:  # a library that ends its thread does not end the run
            errors.append(RuntimeError(repr(stop)))

    worker = threading.Thread(target=run, daemon=True)  # the process may end without it
    worker.start()
    worker.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]

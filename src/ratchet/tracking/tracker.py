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
FINISH_SECONDS = 90.0  # longer than the W&B tracker waits for its uploads


@dataclass(frozen=True)
class Description:
    """A run as a tracker lists it. `config` holds plain values, including those of the other fields."""

    id: str
    name: str
    group: str
    job_type: str
    tags: Sequence[str]
    config: Mapping[str, Any]
    notes: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows of equal length under named columns."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Files:
    """The files of an artifact. `files` maps each path within the artifact to the path on disk."""

    name: str
    kind: str
    files: Mapping[str, Path]
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """The results of a finished run or comparison. `pictures` holds PNG files by name."""

    summary: Mapping[str, Any]
    tables: Sequence[Table] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    inputs: Sequence[Files] = field(default=())
    outputs: Sequence[Files] = field(default=())


class Tracker(Protocol):
    """Receives the progress of a run. `open_tracker` returns one whose failures do not stop the run."""

    def configure(self, values: Mapping[str, Any]) -> None:
        """Add values to the configuration of the run."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add a point to each curve. If `metrics` has the key `epoch`, curves are drawn over it."""

    def report(self, build: Callable[[], Report]) -> None:
        """Report the results. `build` returns them; it is called only if they are sent."""

    def finish(self, error: str | None = None) -> None:
        """End the run, as failed if there is an error. No other method may be called afterwards."""


class NullTracker:
    """Ignores everything."""

    def configure(self, values: Mapping[str, Any]) -> None:
        """Do nothing."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Do nothing."""

    def report(self, build: Callable[[], Report]) -> None:
        """Do nothing; `build` is not called."""

    def finish(self, error: str | None = None) -> None:
        """Do nothing."""


class GuardedTracker:
    """Forwards all calls to `tracker` until one fails. `finish` is forwarded even then."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._works = True

    def configure(self, values: Mapping[str, Any]) -> None:
        """Forward the call; log a failure."""
        self._run_if_working("configuration", lambda: self._call(lambda: self._tracker.configure(values)))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Forward the call; log a failure."""
        self._run_if_working("curves", lambda: self._call(lambda: self._tracker.log(step, metrics)))

    def report(self, build: Callable[[], Report]) -> None:
        """Forward the call; log a failure. Only sending the report has a time limit, building it has none."""

        def send() -> None:
            report = build()
            self._call(lambda: self._tracker.report(lambda: report))

        self._run_if_working("report", send)

    def finish(self, error: str | None = None) -> None:
        """Forward the call; log a failure."""
        self._run_guarded("end", lambda: run_with_timeout(FINISH_SECONDS, lambda: self._tracker.finish(error)))

    def _call(self, action: Callable[[], None]) -> None:
        run_with_timeout(CALL_SECONDS, action)

    def _run_if_working(self, content: str, action: Callable[[], None]) -> None:
        if self._works:
            self._run_guarded(content, action)

    def _run_guarded(self, content: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            log.warning(
                "tracker: %s could not be sent, nothing more is sent: %s: %s", content, type(error).__name__, error
            )
            self._works = False


def run_with_timeout(seconds: float, action: Callable[[], Result]) -> Result:
    """Run `action` in a thread and return its result, or raise its error.

    An action that takes longer than `seconds` continues in its thread, and its result is ignored.

    Raises:
        TimeoutError: the action took longer than `seconds`.
    """
    results: list[Result] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(action())
        except Exception as error:
            errors.append(error)
        except BaseException as stop:  # a SystemExit of a library must not end the run
            errors.append(RuntimeError(repr(stop)))

    worker = threading.Thread(target=run, daemon=True)  # a daemon, so that it does not keep the process alive
    worker.start()
    worker.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]

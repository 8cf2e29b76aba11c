"""A tracker that cannot harm the run: what goes wrong or takes too long is logged, and nothing more is told."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ratchet.tracking.base import Report, Tracker

log = logging.getLogger(__name__)
Result = TypeVar("Result")
CALL_SECONDS = 20.0
FINISH_SECONDS = 90.0  # longer than a tracker waits for its own uploads


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

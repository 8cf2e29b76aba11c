"""The tracker that a configuration asks for, open for the length of a block."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ratchet.config import TrackerConfig, TrackerKind
from ratchet.errors import Pruned
from ratchet.tracking.tracker import Description, GuardedTracker, NullTracker, Tracker

log = logging.getLogger(__name__)


@contextmanager
def open_tracker(settings: TrackerConfig, directory: Path, describe: Callable[[], Description]) -> Iterator[Tracker]:
    """A tracker that writes below `directory`, told at the end whether the block ended well.

    Nothing of it raises, asks or prints, but for one line on stderr where it cannot be what was asked for.
    """
    if settings.kind is TrackerKind.none:
        if settings != TrackerConfig():
            log.warning("tracker=none: the other settings of the tracker change nothing")
        yield NullTracker()
        return
    with _opened(settings, directory, describe) as tracker:
        try:
            yield tracker
        except Pruned:
            tracker.configure({"pruned": True})
            tracker.finish()
            raise
        except BaseException as error:
            tracker.finish(f"{type(error).__name__}: {error}")
            raise
        tracker.finish()


@contextmanager
def _opened(settings: TrackerConfig, directory: Path, describe: Callable[[], Description]) -> Iterator[Tracker]:
    """The guarded tracker, or the null one and a warning."""
    from ratchet.tracking.wandb_tracker import open_wandb, staging

    with staging(directory):
        try:
            tracker: Tracker = GuardedTracker(open_wandb(settings, directory, describe(), warn))
        except Exception as error:
            warn(f"tracker={settings.kind.name}: {type(error).__name__}: {error}; the run goes on without it")
            tracker = NullTracker()
        yield tracker


def warn(message: str) -> None:
    """Into the run's log, and once to the person at the keyboard."""
    log.warning(message)
    print(f"warning: {message}", file=sys.stderr)

"""Open the tracker of a configuration for the duration of a block."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ratchet.config import TrackerConfig, TrackerKind
from ratchet.errors import Pruned
from ratchet.extras import require_extra
from ratchet.tracking.tracker import Description, GuardedTracker, NullTracker, Tracker

log = logging.getLogger(__name__)


@contextmanager
def open_tracker(settings: TrackerConfig, directory: Path, describe: Callable[[], Description]) -> Iterator[Tracker]:
    """Yield a tracker that writes below `directory`. At the end, report to it whether the block failed.

    The tracker raises no errors, asks no questions and prints nothing, except one line on stderr if it cannot be
    opened as configured.

    Raises:
        UserError: the extra `wandb` is not installed.
    """
    if settings.kind is TrackerKind.none:
        if settings != TrackerConfig():
            log.warning("tracker=none: the other settings of the tracker have no effect")
        yield NullTracker()
        return
    require_extra(settings.kind.name, what=f"tracker={settings.kind.name}")
    with _open_guarded(settings, directory, describe) as tracker:
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
def _open_guarded(settings: TrackerConfig, directory: Path, describe: Callable[[], Description]) -> Iterator[Tracker]:
    """Yield the guarded tracker; if it cannot be opened, warn and yield the null tracker."""
    from ratchet.tracking.wandb_tracker import open_wandb, redirect_files

    with redirect_files(directory):
        try:
            tracker: Tracker = GuardedTracker(open_wandb(settings, directory, describe(), warn))
        except Exception as error:
            warn(f"tracker={settings.kind.name}: {type(error).__name__}: {error}; the run continues without it")
            tracker = NullTracker()
        yield tracker


def warn(message: str) -> None:
    """Write a warning to the log of the run and to stderr."""
    log.warning(message)
    print(f"warning: {message}", file=sys.stderr)

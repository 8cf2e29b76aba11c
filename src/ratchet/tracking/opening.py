"""Open the tracker of a configuration for the duration of a block."""

import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ratchet.config import TrackerConfig, TrackerKind, TrackerMode
from ratchet.errors import Pruned
from ratchet.extras import require_extra
from ratchet.machine import environment
from ratchet.printable import printable
from ratchet.tracking.tracker import Description, GuardedTracker, NullTracker, Tracker

log = logging.getLogger(__name__)
_MODES = {"run": "online", "shared": "online", "dryrun": "offline"}  # other names that W&B has for these modes
_KNOWN = ("", "online", "offline", "disabled")
_FALSE = ("", "0", "false", "no", "off", "f", "n", "none", "null")


@contextmanager
def open_tracker(settings: TrackerConfig, directory: Path, describe: Callable[[], Description]) -> Iterator[Tracker]:
    """Yield a tracker that writes below `directory`. At the end, report to it whether the block failed.

    The tracker raises no errors, asks no questions and prints nothing, except one line on stderr if it cannot be
    opened as configured. WANDB_MODE and WANDB_DISABLED can make it quieter, never louder.

    Raises:
        UserError: the extra `wandb` is not installed.
    """
    if settings.kind is TrackerKind.none:
        if settings != TrackerConfig():
            log.warning("tracker=none: the other settings of the tracker have no effect")
        yield NullTracker()
        return
    reason = find_reason_for_silence()
    if reason is not None:
        warn(f"{reason} in the environment: tracker={settings.kind.name} is off, nothing is written or sent")
        yield NullTracker()
        return
    settings = limit_to_environment(settings)
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

    # W&B fails on a WANDB_MODE that it does not know.
    mode = {} if _read_mode() in _KNOWN else {"WANDB_MODE": TrackerMode.offline.name}
    with redirect_files(directory), environment(**mode):
        try:
            tracker: Tracker = GuardedTracker(open_wandb(settings, directory, describe(), warn))
        except Exception as error:
            warn(f"tracker={settings.kind.name}: {type(error).__name__}: {error}; the run continues without it")
            tracker = NullTracker()
        yield tracker


def print_upload(directories: Iterable[Path]) -> None:
    """Print one line on stderr: the command that uploads what W&B wrote offline into these directories, if anything.

    Several runs are one pattern for the shell, in which `*` stands for the parts of their paths that differ.
    """
    found = [path for directory in directories for path in directory.resolve().glob("wandb/offline-run-*")]
    waiting = [path.parts for path in found if not any(path.glob("*.synced"))]
    if waiting:
        names_by_level = zip(*waiting, strict=True)
        shared = [(os.path.commonprefix(names), len(set(names)) > 1) for names in names_by_level]  # noqa: RUF071
        pattern = "/".join(shlex.quote(name) * bool(name) + "*" * differs for name, differs in shared)
        print(f"wandb: offline; upload with: wandb sync {pattern.removeprefix('/')}", file=sys.stderr)


def find_reason_for_silence() -> str | None:
    """Return the variable of the environment that switches W&B off, with its value; None if there is none."""
    if _read_mode() == "disabled":
        return f"WANDB_MODE={os.environ['WANDB_MODE']}"
    disabled = os.environ.get("WANDB_DISABLED", "")
    return None if disabled.strip().lower() in _FALSE else f"WANDB_DISABLED={disabled}"


def limit_to_environment(settings: TrackerConfig) -> TrackerConfig:
    """Return the settings with the mode offline if WANDB_MODE permits nothing else, and warn about it.

    The environment can only make a tracker quieter: WANDB_MODE=online does not send what the configuration keeps
    offline. A mode that W&B does not have sends nothing, because it was set to change something.
    """
    mode = _read_mode()
    if settings.mode is TrackerMode.offline or mode in ("", "online"):
        return settings
    cause = "" if mode == "offline" else ", which is no mode of W&B (online, offline, disabled),"
    warn(f"WANDB_MODE={os.environ['WANDB_MODE']}{cause} in the environment: W&B writes offline, nothing is sent")
    return replace(settings, mode=TrackerMode.offline)


def _read_mode() -> str:
    mode = os.environ.get("WANDB_MODE", "").strip().lower()
    return _MODES.get(mode, mode)


def warn(message: str) -> None:
    """Write a warning to the log of the run and to stderr."""
    log.warning(message)
    print(printable(f"warning: {message}"), file=sys.stderr)  # a bar may be in front of the filter

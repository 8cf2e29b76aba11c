"""The error that is for the person at the keyboard, and the hint that goes with a misspelt name."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class UserError(Exception):
    """Wrong input or wrong use: shown as its message alone, without a stack trace, with exit code 2.

    The message says what is wrong, where (file, row, key), and what to do.
    """


class RunFailed(Exception):
    """A run that could not be finished, and the directory whose record says why; the reason is the `__cause__`."""

    def __init__(self, path: Path, reason: Exception) -> None:
        super().__init__(f"{reason}\nThe run's record: {path}")
        self.path = path
        self.reason = reason


class Pruned(Exception):
    """A search gives the trial up that runs; `path` is the directory of its run, once there is one."""

    path: Path | None = None


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest valid name, or all of them when none is near."""
    names = sorted(valid)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"valid: {', '.join(names)}" if names else "there is none"

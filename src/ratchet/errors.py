"""The error that is for the person at the keyboard, and the hint that goes with a misspelt name."""

import errno
import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path


class UserError(Exception):
    """Wrong input or wrong use: shown as its message alone, without a stack trace, with exit code 2.

    The message says what is wrong, where (file, row, key), and what to do.
    """

    exit_code = 2


class DiskFull(UserError):
    """No room to write: the command was right, and goes on once there is room; therefore exit code 1."""

    exit_code = 1


class RunFailed(Exception):
    """A run that could not be finished, and the directory whose record says why; the reason is the `__cause__`."""

    def __init__(self, path: Path, reason: Exception) -> None:
        super().__init__(f"{reason}\nThe run's record: {path}")
        self.path = path
        self.reason = reason


class Pruned(Exception):
    """A search gives the trial up that runs; `path` is the directory of its run, once there is one."""

    path: Path | None = None


_STORAGE: dict[int, tuple[type[UserError], str]] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), (DiskFull, "Make room there")),
    errno.EFBIG: (DiskFull, "Allow larger files there (`ulimit -f`)"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), (UserError, "Make it writable")),
}


def storage_error(error: BaseException, place: Path | str, remedy: str) -> UserError | None:
    """What to say where a disk that is full, or that one may not write to, is behind `error`; None where it is not.

    `place` is what was being written; `remedy` goes on after words as "Make room there".
    """
    for each in _causes(error):
        found = each.errno if isinstance(each, OSError) else None
        for code, (kind, first) in _STORAGE.items():
            if code == found or f"(os error {code})" in str(each):  # libraries in Rust give it as text alone
                told = kind(f"{place}: {os.strerror(code)}. {first}{remedy}")
                told.__cause__ = error
                return told
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it; what is said to the user already is not looked behind."""
    while error is not None and not isinstance(error, UserError):
        yield error
        error = error.__cause__ or error.__context__


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest valid name, or all of them when none is near."""
    names = sorted(valid)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"valid: {', '.join(names)}" if names else "there is none"

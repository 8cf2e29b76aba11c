"""Define the errors shown to users, and suggest valid names for misspelt ones."""

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
    """The disk is full. The command itself is valid and can be resumed once there is room, hence exit code 1."""

    exit_code = 1


class RunFailed(Exception):
    """A run failed. `path` is its directory, whose record gives the reason; the reason is also the `__cause__`."""

    def __init__(self, path: Path, reason: Exception) -> None:
        super().__init__(f"{reason}\nThe run's record: {path}")
        self.path = path
        self.reason = reason


class Pruned(Exception):
    """A search stopped the current trial early. `path` is the directory of its run, once it exists."""

    path: Path | None = None


_STORAGE: dict[int, tuple[type[UserError], str]] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), (DiskFull, "Make room there")),
    errno.EFBIG: (DiskFull, "Allow larger files there (`ulimit -f`)"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), (UserError, "Make it writable")),
}


def storage_error(error: BaseException, location: Path | str, remedy: str) -> UserError | None:
    """Return a user error if a full or unwritable disk caused `error`; else None.

    `location` is what was being written; `remedy` continues a sentence such as "Make room there".
    """
    for cause in _iterate_causes(error):
        number = cause.errno if isinstance(cause, OSError) else None
        for code, (kind, first) in _STORAGE.items():
            if code == number or f"(os error {code})" in str(cause):  # Rust libraries report it only as text
                user_error = kind(f"{location}: {os.strerror(code)}. {first}{remedy}")
                user_error.__cause__ = error
                return user_error
    return None


def _iterate_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes, up to the first UserError, which already explains its own cause."""
    while error is not None and not isinstance(error, UserError):
        yield error
        error = error.__cause__ or error.__context__


_MOST_NAMES = 40  # names that a message lists


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest valid name, or all names if none is near."""
    names = sorted(set(valid))
    by_folded = {candidate.casefold(): candidate for candidate in names}
    near = get_close_matches(name, names, n=1, cutoff=0.6) or get_close_matches(name.casefold(), by_folded, n=1)
    if near:
        return f"did you mean {near[0] if near[0] in names else by_folded[near[0]]!r}?"
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    return f"valid: {', '.join(names[:_MOST_NAMES])}{more}" if names else "there is none"

"""Find out whether the process of a run still exists: it locks the run's directory, and the record describes it.

The lock belongs to the process until it ends, however it ends: the kernel releases it then. The directory itself is
locked, so that the run needs no further file, and the lock follows the run when it is moved. A copy is not locked.

A lock alone is not enough, as not every file system has locks, nor is a process id: another container has ids of its
own, and ids are used again. So the record also holds the boot of the machine, the namespace of the process id, and the
start of the process in clock ticks since the boot, which do not change when the clock is set. A run only counts as dead
if this is certain.
"""

import errno
import os
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import psutil

_PROC = Path("/proc")
_NO_LOCKS = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.EACCES}
_ATTEMPTS, _PAUSE = 20, 0.05  # s: who only looks whether a run is locked holds its lock for some microseconds
_HELD: set[int] = set()  # descriptors of the locks that this process holds


def lock_run(path: Path) -> int | None:
    """Lock the directory of a run for this process. Return the descriptor for `unlock_run`.

    Return None if the file system has no locks.

    Raises:
        BlockingIOError: another process holds the lock, or another run of this process.
        FileNotFoundError: there is no such directory.
    """
    try:
        import fcntl  # Windows has none
    except ImportError:
        return None
    descriptor = os.open(path, os.O_RDONLY)
    for attempt in range(_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if attempt == _ATTEMPTS - 1:
                os.close(descriptor)
                raise
            time.sleep(_PAUSE)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _NO_LOCKS:
                return None
            raise
    _forget_locks_in_children()
    _HELD.add(descriptor)
    return descriptor


def unlock_run(descriptor: int | None) -> None:
    """Release the lock of a run."""
    if descriptor in _HELD:
        _HELD.discard(descriptor)
        os.close(descriptor)


@cache
def _forget_locks_in_children() -> None:
    """Close the locks in every process that is forked from this one: a child that is left behind must not hold them."""
    os.register_at_fork(after_in_child=_close_inherited)


def _close_inherited() -> None:
    while _HELD:
        os.close(_HELD.pop())


def describe_process(path: Path, lock: int | None) -> dict[str, Any]:
    """Return the fields of the record that identify this process, which runs in the directory `path`.

    `process` holds what is None on systems without /proc, and the directory that is locked, None if it is not.
    """
    ticks, _ = _read_ticks(os.getpid()) or (None, None)
    return {
        "pid": os.getpid(),
        "process_started": psutil.Process().create_time(),
        "host": _read_host(),
        "process": {
            "boot": _read_boot(),
            "namespace": _read_namespace(),
            "ticks": ticks,
            "locked": None if lock is None else _identify(path),
        },
    }


def is_process_gone(path: Path, *, pid: int, started: float, host: str, process: Mapping[str, Any]) -> bool | None:
    """Return whether the process of the run in `path` no longer exists; None if this cannot be known from here.

    Args:
        path: directory of the run.
        pid: id of the process.
        started: when it started, in seconds since 1970, by the clock of that time.
        host: name of its machine.
        process: `process` of the record; empty for records of earlier versions.
    """
    is_free = _is_lock_free(path)
    if is_free is False:
        return False
    boot, is_same_host = _read_boot(), host == _read_host()
    if boot is None or process.get("boot") is None:
        return _is_gone_by_clock(pid, started) if is_same_host else None
    if process.get("boot") == boot:
        if process.get("namespace") == _read_namespace() and is_same_host:
            return _is_gone_by_ticks(pid, process.get("ticks"))
        # The same kernel: if the directory is the one that was locked (not a copy), its lock covers all containers.
        return True if is_free and process.get("locked") == _identify(path) else None
    # Machines may share a name and a drive. On an earlier boot of this one, the process has started before this boot.
    return True if is_free and process.get("locked") and is_same_host and started < psutil.boot_time() else None


def _is_lock_free(path: Path) -> bool | None:
    """Return whether no process holds the lock of the directory; None if the file system has no locks."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _is_gone_by_ticks(pid: int, ticks: int | None) -> bool:
    found = _read_ticks(pid)
    if found is None:
        return True
    started, state = found
    return started != ticks or state == "Z"  # a zombie keeps its id until its parent waits for it


def _is_gone_by_clock(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - started) > 2.0
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def _read_ticks(pid: int) -> tuple[int, str] | None:
    """Return when a process started, in clock ticks since the boot, and its state; None if it does not exist."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return int(fields[19]), fields[0]
    except (OSError, IndexError, ValueError):
        return None


def _read_boot() -> str | None:
    """Return the id of this boot of the machine; None on systems without /proc."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None


def _read_namespace() -> int | None:
    """Return the namespace in which process ids are unique; a container has its own."""
    try:
        return (_PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return None


def _read_host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def _identify(path: Path) -> list[int]:
    """Return what identifies a directory on this machine, wherever it is moved on its drive."""
    state = path.stat()
    return [state.st_dev, state.st_ino]

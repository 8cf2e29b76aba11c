"""Describe and use the machine: threads, seeds, GPUs, processor."""

import hashlib
import os
import platform
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import psutil

TERMINATED = 143  # exit code after SIGTERM
_LIFETIME_POLL = 0.5  # seconds
_WATCHED: set[int] = set()  # processes on which this one depends


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and, only if it is already imported, torch (its import is slow)."""
    import numpy as np  # here: `ratchet --help` imports this module

    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_gpus() -> int:
    """Return the number of GPUs that torch finds, one on a Mac that has Metal. This imports torch."""
    import torch

    return torch.cuda.device_count() or int(torch.backends.mps.is_available())


def wanted_threads() -> int:
    """Return the thread limit (`limited_threads` or OMP_NUM_THREADS) if one is set, else the number of cores."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return int(limit) if limit.isdecimal() and int(limit) else available_cores()


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Limit BLAS and OpenMP to `threads` inside the block, including libraries first loaded there.

    Threads spin only briefly before they sleep, unless the user sets GOMP_SPINCOUNT: OpenMP's default long spinning
    makes a small network several times slower as soon as another process needs one of the cores. On idle cores the
    shorter spinning costs 10 to 33 % of speed.
    """
    from threadpoolctl import threadpool_limits

    spin_count = os.environ.get("GOMP_SPINCOUNT", "2000")
    with environment(OMP_NUM_THREADS=str(threads), GOMP_SPINCOUNT=spin_count), threadpool_limits(threads):
        yield


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set environment variables until the block ends."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def terminate(*_: object) -> None:
    """Handle SIGTERM: leave the process through SystemExit, so that the current run records that it was interrupted."""
    sys.exit(TERMINATED)


def end_with_process(pid: int, started: float | None = None) -> None:
    """End this process, at once and without cleaning up, when process `pid` no longer exists: start a thread for it.

    A process that was started for another one must not outlive it, also if that one was killed (SIGKILL) and could not
    end it. A second call for the same process changes nothing.

    Args:
        pid: the process on which this one depends, on the same machine: its parent, or one that is further away.
        started: when that process started (`psutil.Process.create_time`), as its id may have been used again.
    """
    if pid not in _WATCHED:
        _WATCHED.add(pid)
        Thread(target=_wait_and_exit, args=(pid, started), name="end with process", daemon=True).start()


def _wait_and_exit(pid: int, started: float | None) -> None:
    try:
        process = psutil.Process(pid)
        is_other = started is not None and abs(process.create_time() - started) > 2.0  # seconds: clocks are adjusted
        while not is_other and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(_LIFETIME_POLL)
    except psutil.NoSuchProcess:
        pass
    os._exit(1)


def machine() -> dict[str, Any]:
    """Return the Python version, system, processor (with a hash of its instruction set), cores and memory (MB)."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _read_cpuinfo("model name") or platform.processor(),
        "features": _hash_processor_features(),
        "cores": psutil.cpu_count(logical=False),
        "memory_mb": round(psutil.virtual_memory().total / 1e6),
    }


def _hash_processor_features() -> str:
    """Return a hash of the instruction set: libraries choose their kernels by it, and kernels round differently."""
    features = _read_cpuinfo("flags") or _read_cpuinfo("Features") or ""
    return hashlib.sha256(" ".join(sorted(features.split())).encode()).hexdigest()[:16]


def _read_cpuinfo(key: str) -> str | None:
    """Return a value that Linux reports for the first core; None on other systems or if it has no such key."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), None)

"""Describe and use the machine: threads, seeds, GPUs, processor."""

import hashlib
import os
import platform
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil


def seed_everything(seed: int) -> None:
    """Seed every generator that a model of this process may use; torch only where it is loaded already."""
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_gpus() -> int:
    """The GPUs that torch finds; it is loaded for that."""
    import torch

    return torch.cuda.device_count()


def wanted_threads() -> int:
    """The threads that libraries are limited to here (by `limited_threads`, or OMP_NUM_THREADS), else one a core."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return int(limit) if limit.isdecimal() and int(limit) else available_cores()


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """BLAS and OpenMP limited to `threads` until the block ends, also where a library is loaded inside of it.

    Threads wait for each other busily for a moment only, then asleep, unless the user wants otherwise: OpenMP's long
    busy waiting makes a small network several times slower as soon as another process wants one of the cores. On idle
    cores the shorter moment costs it a tenth to a third.
    """
    from threadpoolctl import threadpool_limits

    wanted = {"OMP_NUM_THREADS": str(threads), "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "2000")}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def machine() -> dict[str, Any]:
    """Python, system, processor (and a hash of its instruction set), cores and memory."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _processor(),
        "features": _processor_features(),
        "cores": psutil.cpu_count(logical=False),
        "memory_mb": round(psutil.virtual_memory().total / 1e6),
    }


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor()


def _processor_features() -> str:
    """A hash of the instructions that it has: libraries choose their kernels by them, and kernels round differently."""
    found = _cpuinfo("flags") or _cpuinfo("Features") or ""
    return hashlib.sha256(" ".join(sorted(found.split())).encode()).hexdigest()[:16]


def _cpuinfo(key: str) -> str | None:
    """What Linux says of the first core."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), None)

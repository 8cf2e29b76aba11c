"""Measure the cost of a model: latency of one text, throughput, memory, size. Never part of metrics.json.

Other programs only add time to a measurement. So each one records for how long this process waited for a processor:
a gate can then tell a slow model from a busy machine.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from ratchet.machine import available_cores

MAX_WAITED = 0.05  # share of the time; a p95 changes as soon as one call in twenty is slowed down
_MAX_LOAD = 1.25  # processes per core, where the time that a process waited is not known
_WARM_UPS, _CALLS = 20, 200
_TIMED = {  # costs that depend on what else the machine does, and the measurement that they are part of
    "fit_seconds": "fit",
    "latency_ms_p50": "latency",
    "latency_ms_p95": "latency",
    "items_per_second": "latency",
}


class Disturbance:
    """Measures, from its creation on, how much of the time this process had to wait because the machine was busy."""

    def __init__(self) -> None:
        """Start the measurement."""
        self._started = time.monotonic()
        self._waited = _read_waited_seconds()
        self._stolen = _read_stolen_seconds()

    def measure_share(self) -> float | None:
        """Return the share of the time since the start, in [0, 1]; None on systems that do not report it.

        It is that of the thread that waited most, or of the time that a hypervisor gave to other machines. Sleeping,
        and waiting for a disk or a GPU, do not count.
        """
        waited = _read_waited_seconds()
        if not waited:
            return None
        longest = max(seconds - self._waited.get(thread, 0.0) for thread, seconds in waited.items())
        stolen = _read_stolen_seconds() - self._stolen
        return min(max(longest, stolen) / max(time.monotonic() - self._started, 1e-9), 1.0)


def _read_waited_seconds() -> dict[str, float]:
    """Return for how long each thread of this process was ready to run without a processor; empty except on Linux."""
    waited = {}
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError, IndexError, ValueError):  # the thread ended
            waited[path.parent.name] = int(path.read_text().split()[1]) / 1e9
    return waited


def _read_stolen_seconds() -> float:
    """Return the time, per core, that the hypervisor of a virtual machine gave to other machines."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0)) / (psutil.cpu_count() or 1)


def measure_load() -> float | None:
    """Return the load average of the last minute; None on systems without one."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def explain_disturbance(costs: Mapping[str, Any], name: str, cores: int | None = None) -> str | None:
    """Return why a cost of cost.json says little about the model: the machine was busy; None if it was not.

    Where the wait was not recorded, the load average decides; `cores` are those of the machine, if not in the file.
    """
    if name not in _TIMED:
        return None
    part = _TIMED[name]
    waited = costs.get(f"cost/{part}_waited")
    load = costs.get(f"cost/{part}_load_average", costs.get("cost/load_average"))
    cores = costs.get("cost/cores") or cores
    shown = f"load {load:.2g}" if load is not None else ""
    shown += f" on {cores} core{'s' if cores > 1 else ''}" if shown and cores else ""
    if waited is not None:
        share = f"{waited:.0%} of the time waiting for a processor"
        return ", ".join(filter(None, [share, shown])) if waited > MAX_WAITED else None
    if load is None or not cores:
        return None
    return shown if load > _MAX_LOAD * max(cores, costs.get("cost/threads") or 1) else None


def reset_peak_memory() -> None:
    """Reset the peak memory (Linux only), so that jobs of one process are measured separately."""
    with suppress(OSError):  # elsewhere the peak covers the whole process
        Path("/proc/self/clear_refs").write_text("5")


def measure_peak_memory_mb() -> float | None:
    """Return peak resident memory in MB (10**6 bytes) since `reset_peak_memory`."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    except (OSError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if os.uname().sysname == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure_serving(predict: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> dict[str, float | None]:
    """Return the latency of single texts (ms; p50 and p95 of 200 calls after 20 warm-ups), and items/s in one batch.

    With the share of the time in which the process waited for a processor, and the load average.
    """
    milliseconds = []
    disturbance = Disturbance()
    for number, text in enumerate(islice(cycle(texts), _WARM_UPS + _CALLS)):
        start = time.perf_counter()
        predict([text])
        if number >= _WARM_UPS:
            milliseconds.append((time.perf_counter() - start) * 1e3)
    start = time.perf_counter()
    predict(texts)
    seconds = time.perf_counter() - start
    return {
        "cost/latency_ms_p50": float(np.quantile(milliseconds, 0.5)),
        "cost/latency_ms_p95": float(np.quantile(milliseconds, 0.95)),
        "cost/items_per_second": len(texts) / max(seconds, 1e-9),
        "cost/latency_waited": disturbance.measure_share(),
        "cost/load_average": measure_load(),
        "cost/cores": available_cores(),
    }


def measure_size_mb(directory: Path) -> float:
    """Return the size of all files under `directory` in MB (10**6 bytes)."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 1e6

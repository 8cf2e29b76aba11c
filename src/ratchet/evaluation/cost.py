"""Measure the cost of a model: latency of one text, throughput, memory, size. Never part of metrics.json."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

_WARM_UPS, _CALLS = 20, 200


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


def measure_serving(predict: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> dict[str, float]:
    """Return the latency of single texts (ms; p50 and p95 of 200 calls after 20 warm-ups), and items/s in one batch."""
    milliseconds = []
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
    }


def measure_size_mb(directory: Path) -> float:
    """Return the size of all files under `directory` in MB (10**6 bytes)."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 1e6

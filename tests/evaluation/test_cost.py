"""Tests for measured costs: latency, throughput, size and memory."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.commands import run_command

from ratchet.evaluation.cost import Disturbance, explain_disturbance, measure_serving, measure_size_mb
from ratchet.machine import available_cores


def test_serving_uses_warm_ups_single_calls_and_one_batch() -> None:
    calls: list[list[str]] = []
    texts = [f"text {number}" for number in range(7)]
    costs = measure_serving(lambda batch: calls.append(list(batch)), texts)
    assert [len(call) for call in calls] == [1] * 220 + [7]
    assert calls[:8] == [["text 0"], *([text] for text in texts[1:]), ["text 0"]]  # cycles through the texts
    assert calls[-1] == texts
    timed = {"cost/latency_ms_p50", "cost/latency_ms_p95", "cost/items_per_second"}
    assert set(costs) == timed | {"cost/latency_waited", "cost/load_average", "cost/cores"}


def test_latency_excludes_warm_ups_and_includes_slow_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a fake clock that only the calls advance, so a busy machine has no effect."""
    count, now = 0, 0.0

    def predict(texts: Sequence[str]) -> None:
        nonlocal count, now
        count += 1
        if count <= 20:
            now += 0.04  # slow warm-up calls
        elif count % 10 == 0 and len(texts) == 1:
            now += 0.005  # 20 of the 200 calls: above p50, within p95
        elif len(texts) > 1:
            now += 0.05
        else:
            now += 0.001

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    costs = measure_serving(predict, ["text"] * 10)
    assert costs["cost/latency_ms_p50"] == pytest.approx(1)
    assert costs["cost/latency_ms_p95"] == pytest.approx(5)
    assert costs["cost/items_per_second"] == pytest.approx(10 / 0.05)


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="only Linux reports how long a thread waited")
def test_wait_for_processor_is_measured() -> None:
    spin = "import time\nstop = time.monotonic() + 20\nwhile time.monotonic() < stop: pass"
    others = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(4 * available_cores())]
    try:
        time.sleep(0.5)  # until they run
        disturbance, stop = Disturbance(), time.monotonic() + 2
        while time.monotonic() < stop:
            pass
        share = disturbance.measure_share()
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert share is not None
    assert 0.4 < share <= 1, "with four other programs per core, at least half of the time"


def test_sleep_is_no_wait_for_processor() -> None:
    disturbance = Disturbance()
    time.sleep(0.5)
    share = disturbance.measure_share()
    assert share is None or share < 0.4


@pytest.mark.parametrize(
    ("costs", "name", "reason"),
    [
        ({"cost/latency_waited": 0.01, "cost/load_average": 11.0, "cost/cores": 2}, "latency_ms_p95", None),
        (
            {"cost/latency_waited": 0.82, "cost/load_average": 11.0, "cost/cores": 2},
            "latency_ms_p95",
            "82% of the time waiting for a processor, load 11 on 2 cores",
        ),
        ({"cost/latency_waited": 0.82, "cost/fit_waited": 0.0}, "fit_seconds", None),
        ({"cost/fit_waited": 0.82}, "fit_seconds", "82% of the time waiting for a processor"),
        ({"cost/latency_waited": 0.82, "cost/fit_waited": 0.82}, "size_mb", None),
        ({"cost/load_average": 11.0, "cost/threads": 2}, "latency_ms_p95", "load 11 on 2 cores"),
        ({"cost/load_average": 2.2, "cost/threads": 2}, "fit_seconds", None),
        ({"cost/load_average": 4.2, "cost/threads": 4}, "fit_seconds", None),
        ({"cost/load_average": 1.0, "cost/fit_load_average": 11.0}, "fit_seconds", "load 11 on 2 cores"),
        ({"cost/load_average": None}, "latency_ms_p95", None),
        ({}, "latency_ms_p95", None),
    ],
    ids=[
        "idle",
        "busy",
        "busy later",
        "busy fit",
        "size",
        "earlier version",
        "own load",
        "own threads",
        "fit",
        "-",
        "no",
    ],
)
def test_busy_machine_is_explained(costs: dict[str, Any], name: str, reason: str | None) -> None:
    assert explain_disturbance(costs, name, cores=2) == reason


def test_size_sums_nested_files_in_megabytes(tmp_path: Path) -> None:
    assert measure_size_mb(tmp_path) == 0
    (tmp_path / "weights.npz").write_bytes(b"x" * 1_500_000)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "vocabulary.json").write_bytes(b"y" * 250_000)
    assert measure_size_mb(tmp_path) == pytest.approx(1.75)


PEAKS = """
import json
import numpy as np
from ratchet.evaluation.cost import measure_peak_memory_mb, reset_peak_memory
reset_peak_memory()
before = measure_peak_memory_mb()
block = np.ones(25_000_000)  # 200 MB
grown = measure_peak_memory_mb()
del block
kept = measure_peak_memory_mb()
reset_peak_memory()
print(json.dumps([before, grown, kept, measure_peak_memory_mb()]))
"""


def test_peak_memory_grows_with_allocation_and_resets(tmp_path: Path) -> None:
    # In a new process: after other tests the allocator may reuse memory that it kept.
    process = run_command(sys.executable, "-c", PEAKS, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    before, grown, kept, after = json.loads(process.stdout)
    assert grown - before == pytest.approx(200, abs=40)
    assert kept == pytest.approx(grown, abs=5)  # the peak outlives the allocation (Linux counts in batches of pages)
    if Path("/proc/self/clear_refs").exists():  # only Linux can reset the peak
        assert after < grown - 100

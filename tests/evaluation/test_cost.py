"""Tests for measured costs: latency, throughput, size and memory."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.commands import run_command

from ratchet.evaluation.cost import measure_serving, measure_size_mb


def test_serving_uses_warm_ups_single_calls_and_one_batch() -> None:
    calls: list[list[str]] = []
    texts = [f"text {number}" for number in range(7)]
    costs = measure_serving(lambda batch: calls.append(list(batch)), texts)
    assert [len(call) for call in calls] == [1] * 220 + [7]
    assert calls[:8] == [["text 0"], *([text] for text in texts[1:]), ["text 0"]]  # cycles through the texts
    assert calls[-1] == texts
    assert set(costs) == {"cost/latency_ms_p50", "cost/latency_ms_p95", "cost/items_per_second"}


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

"""Tests for the metrics that a project defines in its metrics.py."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ratchet.errors import UserError
from ratchet.evaluation.own_metrics import compute_own_metrics, find_own_metrics

TARGETS = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=np.uint8)
DECISIONS = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], dtype=np.uint8)
METRICS = """
import numpy as np
from math import sqrt

def exact_match(targets, scores, decisions):
    return (targets == decisions).all(axis=1).mean()

def _helper(targets, scores, decisions):
    raise AssertionError("not a metric")

LIMIT = 3
"""
Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes metrics.py into a new project, which is the current one."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "ratchet.yaml").touch()
    monkeypatch.chdir(root)

    def write_metrics(text: str) -> None:
        (root / "metrics.py").write_text(text, encoding="utf-8")

    return write_metrics


def test_public_functions_of_metrics_module_are_metrics(write: Write) -> None:
    write(METRICS)
    assert list(find_own_metrics()) == ["exact_match"]


def test_value_has_an_interval_over_records(write: Write) -> None:
    write(METRICS)
    metrics = compute_own_metrics(TARGETS, DECISIONS.astype(np.float32), DECISIONS, 200)
    assert metrics["own/exact_match"] == 0.5
    assert 0 <= metrics["own/exact_match_ci_low"] < 0.5 < metrics["own/exact_match_ci_high"] <= 1
    assert metrics == compute_own_metrics(TARGETS, DECISIONS.astype(np.float32), DECISIONS, 200)


def test_without_metrics_module_there_are_none(write: Write) -> None:
    assert find_own_metrics() == {}


def test_metrics_module_outside_of_a_project_is_not_imported(write: Write) -> None:
    write("raise AssertionError('imported')")
    Path("ratchet.yaml").unlink()
    shutil.copytree(".", "../other")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("../other")
        assert find_own_metrics() == {}


def test_failing_metric_is_reported_with_its_line(write: Write) -> None:
    write("def broken(targets, scores, decisions):\n    return targets.nothing\n")
    with pytest.raises(UserError, match=r"metrics\.py, line 1: the metric broken failed: AttributeError"):
        compute_own_metrics(TARGETS, DECISIONS.astype(np.float32), DECISIONS, 100)


def test_module_that_cannot_be_imported_is_reported_with_its_line(write: Write) -> None:
    write("x = 1\nimport nothing_of_the_kind\n")
    with pytest.raises(UserError, match=r"metrics\.py, line 2"):
        find_own_metrics()

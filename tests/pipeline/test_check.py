"""Tests for `ratchet pipeline check`: do the results equal those of a commit?"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.pipeline.locks import FOUND, with_metric

from ratchet.errors import UserError
from ratchet.pipeline import locks
from ratchet.pipeline.locks import Checked, Results, check
from ratchet.pipeline.plan import PipelineConfig

Check = Callable[[Results], Checked]
PLAN = PipelineConfig()


@pytest.fixture(autouse=True)
def _in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def check_results(monkeypatch: pytest.MonkeyPatch) -> Check:
    """Compare results with FOUND as the results of a commit: `check_results(results)`."""

    def run(results: Results) -> Checked:
        monkeypatch.setattr(locks, "read_committed_file", lambda revision, path: json.dumps(vars(FOUND)))
        monkeypatch.setattr(locks, "read_results", lambda plan: results)
        return check(PLAN, "HEAD")

    return run


def test_committed_results_have_no_differences(check_results: Check) -> None:
    assert check_results(FOUND) == Checked([], "predictions bit for bit")


def test_changed_metric_is_reported_with_both_values(check_results: Check) -> None:
    [text] = check_results(with_metric("rule/0", "test/f1_macro", 0.9)).differences
    assert [part in text for part in ("rule", "test/f1_macro", "0.6000", "0.8000")] == [True] * 4


def test_check_reports_how_closely_it_compared(check_results: Check) -> None:
    machine = {**FOUND.machine, "processor": "another"}
    checked = check_results(replace(FOUND, machine=machine, predictions=dict.fromkeys(FOUND.metrics, "")))
    assert checked.differences == []
    assert "bit for bit" not in checked.how


def test_results_that_were_never_committed_raise_an_error() -> None:
    with pytest.raises(UserError, match=r"results\.lock\.json of HEAD"):
        check(PLAN, "HEAD")

"""What CI asks: are the committed locks true?"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.pipeline.test_lock import LOCK, changed
from tests.pipeline.test_locks import FOUND, with_metric

from ratchet.errors import UserError
from ratchet.pipeline import locks as checking
from ratchet.pipeline import locks as finding
from ratchet.pipeline.locks import Checked, Results, check
from ratchet.pipeline.plan import PipelineConfig

PLAN = PipelineConfig()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`checked(lock, results)`: made anew as these, against LOCK and FOUND of a commit."""

    def run(lock: dict[str, Any] = LOCK, results: Results = FOUND) -> Checked:
        committed = {"dvc.lock": yaml.safe_dump({"stages": LOCK}), "results.lock.json": json.dumps(vars(FOUND))}
        for module in (checking, finding):
            monkeypatch.setattr(module, "file_at", lambda revision, path: committed[str(path)])
        monkeypatch.setattr(checking, "found_results", lambda plan: results)
        Path("dvc.lock").write_text(yaml.safe_dump({"stages": lock}), encoding="utf-8")
        return check(PLAN, "HEAD")

    return run


def test_what_is_as_committed_has_no_differences(checked: Any) -> None:
    assert checked() == Checked([], "predictions bit for bit")


def test_locks_and_results_are_both_held_against_the_commit(checked: Any) -> None:
    found = checked(changed("prepare", "outs", "build/data"), with_metric("rule/0", "test/f1_macro", 0.9))
    assert found.differences == [
        "prepare: build/data is not what it is in the lock",
        "rule: test/f1_macro: 0.6000 in the lock, 0.8000 now",
    ]


def test_how_closely_was_looked_is_said(checked: Any) -> None:
    other = replace(
        FOUND, machine={**FOUND.machine, "processor": "another"}, predictions=dict.fromkeys(FOUND.metrics, "")
    )
    found = checked(results=other)
    assert found.differences == []
    assert found.how == "on another machine or by other packages: metrics alone"


@pytest.mark.parametrize(("python", "told"), [("3.11.9", 1), ("3.12.7", 0), ("3.1.7", 0)])
def test_fingerprints_are_compared_under_the_same_minor_version(python: str, told: int, checked: Any) -> None:
    lock = changed("prepare", "deps", "build/code/prepare.json")
    results = replace(FOUND, machine={**FOUND.machine, "python": python})
    assert len(checked(lock, results).differences) == told


def test_a_lock_that_is_not_there_is_told(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checked()
    Path("dvc.lock").unlink()
    with pytest.raises(UserError, match=r"dvc\.lock"):
        check(PLAN, "HEAD")


def test_what_was_never_committed_is_told() -> None:
    with pytest.raises(UserError, match=r"results\.lock\.json of HEAD cannot be read"):
        check(PLAN, "HEAD")

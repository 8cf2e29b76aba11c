"""Run directories to read: written by the code that writes them, without a training in between."""

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ratchet.config import Config, compose
from ratchet.runs import Recording, StoredRun, open_run, recording
from ratchet.runs.stored import read_run


@cache
def composed(*overrides: str) -> Config:
    return compose(overrides)


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Config]:
    """`configure("seed=1")`: a configuration whose runs go to `tmp_path / "runs"`."""
    return lambda *overrides: dataclasses.replace(composed(*overrides), runs_dir=str(tmp_path / "runs"))


@pytest.fixture
def quick_provenance(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A project that is no git repository: nothing to compare with a commit, which takes its time."""
    monkeypatch.setattr(recording, "PROJECT", tmp_path_factory.mktemp("project"))


@pytest.fixture
def store(configure: Callable[..., Config], quick_provenance: None) -> Callable[..., StoredRun]:
    """`store("seed=1", status="failed")`: a run directory made of overrides, with these fields in its record."""

    def make(*overrides: str, **fields: Any) -> StoredRun:
        with open_run(configure(*overrides), threads=1, overrides=overrides) as run:
            pass
        Recording(run.path, run.record).update(**fields)
        return read_run(run.path)

    return make

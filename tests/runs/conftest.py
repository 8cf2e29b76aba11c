"""Fixtures that write run directories without training."""

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ratchet.config import Config, compose
from ratchet.project import Project
from ratchet.runs import Recording, StoredRun, open_run, recording
from ratchet.runs.stored import read_run


@cache
def compose_cached(*overrides: str) -> Config:
    return compose(overrides)


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Config]:
    """Return a function such that `configure("seed=1")` composes a configuration with runs in `tmp_path / "runs"`."""
    return lambda *overrides: dataclasses.replace(compose_cached(*overrides), runs_dir=str(tmp_path / "runs"))


@pytest.fixture
def quick_provenance(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Use a project that is not a git repository, because comparing with a commit is slow."""
    project = Project(tmp_path_factory.mktemp("project"))
    monkeypatch.setattr(recording, "current_project", lambda: project)


@pytest.fixture
def store(configure: Callable[..., Config], quick_provenance: None) -> Callable[..., StoredRun]:
    """Return a function that writes a run: `store("seed=1", status="failed")` takes overrides and record fields."""

    def write_run(*overrides: str, **fields: Any) -> StoredRun:
        with open_run(configure(*overrides), threads=1, overrides=overrides) as run:
            pass
        Recording(run.path, run.record).update(**fields)
        return read_run(run.path)

    return write_run

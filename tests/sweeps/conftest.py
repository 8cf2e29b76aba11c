"""Fixtures for a study in a temporary directory, and for stored runs as in tests/runs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.runs.conftest import configure, quick_provenance, store  # noqa: F401
from tests.sweeps.studies import DEFAULT, SPACE

from ratchet.config import SearchConfig
from ratchet.sweeps.study import OpenStudy, open_study


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the directory of the study."""
    return tmp_path / "runs" / ".studies" / "made"


@pytest.fixture
def opened(directory: Path) -> Callable[..., AbstractContextManager[OpenStudy]]:
    """Return a function for `with opened() as study`, which opens the study in `directory`; keywords are settings."""
    return lambda **settings: open_study(directory, SearchConfig(**settings), SPACE, DEFAULT, {"model": "made"})

"""Fixtures for tests of the command line: stored runs and a function that runs a verb."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.cli.main import main

Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture
def verb(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Verb:
    """Return a function that runs a verb, as in `verb("runs", "list")`: it returns exit code, stdout and stderr."""
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def ladder_here(sample_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy runs of rule and regression on three splits to the working directory."""
    shutil.copytree(sample_runs, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return Path("runs")

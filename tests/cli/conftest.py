"""Runs for the verbs to read, and the verbs themselves."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.cli.main import main

Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture
def verb(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Verb:
    """`verb("runs", "list")`: exit code, what was printed, what was said of errors."""
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def ladder_here(sample_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """rule and regression on three splits, in the working directory."""
    shutil.copytree(sample_runs, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return Path("runs")

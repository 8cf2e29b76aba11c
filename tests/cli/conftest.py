"""Runs for the verbs to read, and the verbs themselves."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.cli.main import main
from ratchet.config import compose
from ratchet.errors import RunFailed
from ratchet.training import train

Make = Callable[..., Path]
Verb = Callable[..., tuple[int, str, str]]
Terminal = Callable[[int], None]


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
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """`terminal(80)`: from now on output goes to a (dumb) terminal of so many columns, as far as the code can see."""

    def begin(columns: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "dumb")

    return begin


@pytest.fixture
def ladder_here(sample_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """rule and regression on three splits, in the working directory."""
    shutil.copytree(sample_runs, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return Path("runs")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for this module's runs, in `runs`."""
    return tmp_path_factory.mktemp("workplace")


@pytest.fixture(scope="module")
def make_run(workplace: Path) -> Make:
    """`make_run("model=rule")`: the directory of a new run, also of one that failed."""

    def make(*overrides: str) -> Path:
        few = "evaluation.resamples=100"  # what is tested is how figures are shown
        config = compose([few, *overrides, f"runs_dir={(workplace / 'runs').as_posix()}"])
        try:
            return train(config, list(overrides)).path
        except RunFailed as failed:
            return failed.path

    return make

"""Tests for `debug=...`: quick runs that read no test record and are stored apart from real runs."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.commands import CONF, run_command

Command = Callable[..., "CompletedProcess[str]"]
OPTIONS = sorted(path.stem for path in (CONF / "debug").glob("*.yaml"))
EPOCHS = 30
SMALL = ("model.tokens=word", "model.filters=32", "model.learning_rate=0.01", f"model.max_epochs={EPOCHS}")


@pytest.fixture(scope="module")
def directory(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run every debug option in one grid; return the directory."""
    directory = tmp_path_factory.mktemp("debug")
    grid = ("-m", "model=cnn", f"debug={','.join(OPTIONS)}", *SMALL, "model.patience=60", "evaluation.resamples=100")
    done = run_command(sys.executable, project / "train.py", *grid, cwd=directory)
    assert (done.returncode, done.stderr) == (0, "")
    return directory


@pytest.mark.parametrize("name", OPTIONS)
def test_debug_run_is_separate_and_reads_no_test_record(name: str, directory: Path) -> None:
    [run] = (directory / "runs" / "sample" / f"cnn_{name}").iterdir()
    record = json.loads((run / "record.json").read_text())
    assert (record["status"], record["evaluate"], record["tags"]) == ("finished", "val", ["debug"])
    assert [path.name for path in (run / "predictions").iterdir()] == ["val.parquet"]
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = {"fast_dev_run": 1, "overfit": 2 * EPOCHS, "limit": 10 * EPOCHS}[name]
    assert int(rows[-1]["step"]) == steps
    if name == "overfit":
        f1 = [float(row["value"]) for row in rows if row["key"] == "val/f1_weighted"]
        assert max(f1) > 0.9, "the network can memorise two batches"


def test_model_without_epochs_logs_unused_trainer_settings(tmp_path: Path, train: Command) -> None:
    assert train("model=rule", "debug=limit").returncode == 0
    [log] = tmp_path.glob("runs/sample/rule_limit/*/log.txt")
    assert "trainer settings" in log.read_text()

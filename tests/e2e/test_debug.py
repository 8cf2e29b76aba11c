"""`debug=...`: quick looks at a network that read no test record and stand apart from real runs."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.commands import run_command

from ratchet.project import CONF

Command = Callable[..., "CompletedProcess[str]"]
WAYS = sorted(path.stem for path in (CONF / "debug").glob("*.yaml"))
EPOCHS = 30
SMALL = ("model.tokens=word", "model.filters=32", "model.learning_rate=0.01", f"model.max_epochs={EPOCHS}")


@pytest.fixture(scope="module")
def directory(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each way to debug was tried, in one grid."""
    directory = tmp_path_factory.mktemp("debug")
    grid = ("-m", "model=cnn", f"debug={','.join(WAYS)}", *SMALL, "model.patience=60", "evaluation.resamples=100")
    done = run_command(sys.executable, project / "train.py", *grid, cwd=directory)
    assert (done.returncode, done.stderr) == (0, "")
    return directory


@pytest.mark.parametrize("name", WAYS)
def test_each_way_to_debug_runs_apart_from_the_others_and_off_test(name: str, directory: Path) -> None:
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
        assert max(f1) > 0.9, "two batches can be learnt by heart"


def test_a_model_without_epochs_says_that_there_is_nothing_to_limit(tmp_path: Path, train: Command) -> None:
    assert train("model=rule", "debug=limit").returncode == 0
    [log] = tmp_path.glob("runs/sample/rule_limit/*/log.txt")
    assert "trainer settings" in log.read_text()

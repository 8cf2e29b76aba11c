"""`debug=...`: quick looks at a network that read no test record and stand apart from real runs."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ratchet.config import CONF

Command = Callable[..., "CompletedProcess[str]"]


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "debug").glob("*.yaml")))
def test_each_way_to_debug_runs_apart_from_the_others_and_off_test(name: str, tmp_path: Path, train: Command) -> None:
    epochs = {"fast_dev_run": 40, "overfit": 60, "limit": 5}[name]
    done = train("model=cnn", f"debug={name}", f"model.max_epochs={epochs}", "model.patience=60")

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    [run] = (tmp_path / "runs" / "sample" / f"cnn_{name}").iterdir()
    record = json.loads((run / "record.json").read_text())
    assert (record["status"], record["evaluate"], record["tags"]) == ("finished", "val", ["debug"])
    assert [path.name for path in (run / "predictions").iterdir()] == ["val.parquet"]
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = {"fast_dev_run": 1, "overfit": 2 * 60, "limit": 10 * 5}[name]
    assert int(rows[-1]["step"]) == steps
    if name == "overfit":
        f1 = [float(row["value"]) for row in rows if row["key"] == "val/f1_weighted"]
        assert max(f1) > 0.9, "two batches can be learnt by heart"


def test_a_model_without_epochs_says_that_there_is_nothing_to_limit(tmp_path: Path, train: Command) -> None:
    assert train("model=rule", "debug=limit").returncode == 0
    [log] = tmp_path.glob("runs/sample/rule_limit/*/log.txt")
    assert "trainer settings change nothing" in log.read_text()

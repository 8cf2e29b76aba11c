import json
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from tests.commands import CONF

MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
LARGE = ["transformer"]  # one step takes as long as an epoch of the others; transformer_tiny has the same code
SMALL = [model for model in MODELS if model not in LARGE]
SAME = ("data=sample", "split.seed=2", "threads=1", "evaluation.resamples=100", "split.val=0.05", "split.test=0.05")
FEW_BATCHES = ("trainer.limit_train_batches=1", "trainer.limit_val_batches=1")  # models without batches ignore this
ONE_BATCH = ("trainer.fast_dev_run=true",)

Command = Callable[..., "CompletedProcess[str]"]


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_results(run: Path) -> dict[str, bytes]:
    """Return the results of a run by file, without files that differ between equal runs: record, config, cost."""
    assert read_json(run / "record.json")["status"] == "finished"
    paths = [run / name for name in ("metrics.json", "thresholds.json", "split.json", "labels.json")]
    paths += [path for part in ("predictions", "model") for path in (run / part).rglob("*") if path.is_file()]
    contents = {path.relative_to(run).as_posix(): path.read_bytes() for path in paths}
    assert {"predictions/val.parquet", "predictions/test.parquet"} <= set(contents)
    assert any(name.startswith("model/") for name in contents)
    return contents


def list_different_files(first: dict[str, bytes], second: dict[str, bytes]) -> list[str]:
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def check_success(done: "CompletedProcess[str]") -> None:
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("models", "quick", "seeds"),
    [
        pytest.param(SMALL, FEW_BATCHES, "3", id="small"),
        pytest.param(SMALL, FEW_BATCHES, "9,3", id="small_after_another_seed", marks=pytest.mark.thorough),
        pytest.param(LARGE, ONE_BATCH, "3", id="large", marks=pytest.mark.thorough),
    ],
)
def test_equal_runs_are_identical_alone_and_in_a_grid(
    models: list[str], quick: Sequence[str], seeds: str, train: Command, tmp_path: Path
) -> None:
    """The two runs have separate processes and hash seeds; the one in the grid runs after other models."""
    grid = f"model={','.join(dict.fromkeys(['rule', *reversed(models)]))}"
    check_success(train("-m", grid, *SAME, *quick, f"seed={seeds}", "runs_dir=grid", PYTHONHASHSEED="1"))
    for model in models:
        check_success(train(f"model={model}", *SAME, *quick, "seed=3", f"run_dir=alone-{model}", PYTHONHASHSEED="2"))
        in_grid = {read_json(run / "record.json")["seed"]: run for run in (tmp_path / "grid/sample").glob(f"{model}/*")}
        assert in_grid.keys() == set(map(int, seeds.split(",")))
        assert list_different_files(read_results(tmp_path / f"alone-{model}"), read_results(in_grid[3])) == []


def test_only_the_split_seed_changes_the_split(train: Command, tmp_path: Path) -> None:
    check_success(train("-m", "model=rule", "split.seed=0,1", "seed=0,1", "evaluation.resamples=100"))
    splits = {}
    for run in (tmp_path / "runs" / "sample" / "rule").iterdir():
        record, split = read_json(run / "record.json"), read_json(run / "split.json")
        assert split["hash"] == record["split_hash"]
        splits[record["split_seed"], record["seed"]] = split
    assert splits[0, 0] == splits[0, 1]
    assert splits[1, 0] == splits[1, 1]
    assert splits[0, 0]["hash"] != splits[1, 0]["hash"]
    assert set(splits[0, 0]["test"]) != set(splits[1, 0]["test"])

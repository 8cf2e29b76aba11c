"""Train runs on the sample, find them, and change copies of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ratchet.config import compose
from ratchet.runs import StoredRun, find_runs
from ratchet.runs.predictions import Predictions, read_predictions, write_predictions
from ratchet.runs.stored import read_run
from ratchet.training import train

Change = Callable[[Predictions], Predictions]
SEEDS = (0, 1, 2)
# (fit in s, p50 and p95 of the latency in ms) on idle cores; on a busy machine the measured latency fails the gate
COSTS = {"rule": (0.01, 0.03, 0.04), "regression": (0.5, 0.3, 0.4)}


def train_on_the_sample(directory: Path) -> Path:
    """Train rule and regression on three splits, with the costs of `COSTS`; return the directory of the runs."""
    locations = [f"{name}_dir={(directory / name).as_posix()}" for name in ("runs", "promotions")]
    for model, (fit_seconds, p50, p95) in COSTS.items():
        for seed in SEEDS:
            run = train(compose([f"model={model}", f"split.seed={seed}", "evaluation.resamples=100", *locations])).path
            costs = json.loads((run / "cost.json").read_text())
            costs |= {"cost/fit_seconds": fit_seconds, "cost/latency_ms_p50": p50, "cost/latency_ms_p95": p95}
            costs |= {"cost/fit_waited": 0.0, "cost/latency_waited": 0.0}
            (run / "cost.json").write_text(json.dumps(costs))
    return directory / "runs"


def find_named_runs(runs_dir: Path, name: str) -> list[StoredRun]:
    """Return the runs of this name, in the order of their splits."""
    named = [run for run in find_runs(runs_dir) if run.record.name == name]
    return sorted(named, key=lambda run: run.record.split_seed)


def copy_run(run: StoredRun, name: str, /, change: Change | None = None, **fields: Any) -> StoredRun:
    """Copy a run as a run of another candidate; `change` its predictions and set `fields` of its record."""
    path = run.path.parents[1] / name / f"copy-{run.path.name}-{name}"
    shutil.copytree(run.path, path)
    rewrite_record(path, **{"id": path.name, "name": name, "config_hash": f"hash of {name}", **fields})
    if change is not None:
        change_predictions(path, change)
    return read_run(path)


def rewrite_record(path: Path, **fields: Any) -> None:
    """Set `fields` in the record of the run at `path`."""
    record = json.loads((path / "record.json").read_text())
    (path / "record.json").write_text(json.dumps({**record, **fields}))


def change_predictions(path: Path, change: Change, part: str = "test") -> None:
    """Replace the predictions of one part."""
    file = path / "predictions" / f"{part}.parquet"
    write_predictions(file, change(read_predictions(file)))

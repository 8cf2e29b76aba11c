"""A run directory as a tracker is told of it: all from what was written down."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratchet.config import Config, plain
from ratchet.evaluation.thresholds import Thresholds
from ratchet.runs import RunRecord, StoredRun
from ratchet.runs.predictions import read_predictions
from ratchet.runs.selection import Candidate, Selection
from ratchet.tracking.base import Description, Files, Report
from ratchet.tracking.baseline import PRIMARY, against_baseline
from ratchet.tracking.tables import label_table, prediction_sample

_TO_DECIDE = ("labels.json", "thresholds.json", "calibration.json")  # without them scores are no answer


def describe_run(config: Config, record: RunRecord, directory: Path) -> Description:
    """How a run is listed. A run that is gone on with is another one there, beside its first part."""
    group = config.tracker.group or record.sweep_id or record.data
    identifier = "-".join([record.id, *([f"resumed{len(record.resumes)}"] if record.resumes else [])])
    known = {
        "group": group,
        "job_type": "train",
        "run_id": record.id,
        "run_directory": directory.as_posix(),
        "config_hash": record.config_hash,
        "git_commit": record.git.get("commit"),
        "git_dirty": record.git.get("dirty"),
        "lock_hash": record.lock_hash,
    }
    name = f"{record.name}-{record.id[-6:]}"
    return Description(identifier, name, group, "train", record.tags, {**plain(config), **known})


def report_run(run: StoredRun, texts: Mapping[str, str], *, runs_dir: Path, baseline: str) -> Report:
    """Figures, how they differ from the baseline's, tables, charts, and the model with what it was made from.

    `texts` are those of all records by id; some of the reported part are shown.
    """
    from ratchet.charts.pictures import pictures_of_runs
    from ratchet.charts.theme import to_png

    record = run.record
    alone = Selection(record.data, record.evaluate, str(record.dataset_version), (Candidate(record.name, (run,)),), ())
    labels: list[str] = run.read_json("labels.json")
    predictions = read_predictions(run.path / "predictions" / f"{record.evaluate}.parquet")
    decisions = Thresholds.from_json(run.read_json("thresholds.json"), labels).decide(predictions.scores)
    return Report(
        summary={**run.figures(), **against_baseline(run, runs_dir, baseline)},
        tables=[
            label_table(labels, record.train_label_counts, predictions, decisions),
            prediction_sample(labels, texts, predictions, decisions),
        ],
        pictures={name: to_png(chart) for name, chart in pictures_of_runs(alone, PRIMARY).items()},
        used=[_dataset(run)],
        made=[_model(run)],
    )


def _dataset(run: StoredRun) -> Files:
    """What the data were, without a copy of them."""
    record = run.record
    metadata: dict[str, Any] = {
        "dataset_version": record.dataset_version,
        "split_hash": record.split_hash,
        "split_seed": record.split_seed,
        "records": record.records,
        "task": record.task,
    }
    files = {name: run.path / name for name in ("labels.json", "split.json")}
    return Files(_named(f"{record.data}-data"), "dataset", files, metadata)


def _model(run: StoredRun) -> Files:
    record = run.record
    metadata = {"run_id": record.id, "config_hash": record.config_hash, "dataset_version": record.dataset_version}
    saved = [path for path in sorted((run.path / "model").rglob("*")) if path.is_file()]
    files = {path.relative_to(run.path).as_posix(): path for path in saved}
    files |= {name: run.path / name for name in _TO_DECIDE}
    return Files(_named(f"{record.data}-{record.name}"), "model", files, metadata)


def _named(name: str) -> str:
    """Letters that W&B takes in the name of an artifact."""
    return re.sub(r"[^a-zA-Z0-9_.-]", "-", name)[:128]

"""Prepare what a tracker shows of a run or a comparison: tables, baseline differences, charts."""

import hashlib
import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.comparison.differences import compare_pair
from ratchet.comparison.evidence import gather_evidence
from ratchet.comparison.results import CandidateResult, Comparison
from ratchet.config import Config, plain
from ratchet.evaluation.metrics import Binary, Counts, f1, precision, recall
from ratchet.evaluation.thresholds import Thresholds
from ratchet.runs import RunRecord, StoredRun, find_runs
from ratchet.runs.predictions import Predictions, read_predictions
from ratchet.runs.selection import Candidate, Selection
from ratchet.tracking.tracker import Description, Files, Report, Table

SAMPLE = 50
_MAX_TEXT = 2_000  # characters
log = logging.getLogger(__name__)
PRIMARY = "f1_weighted"
SHOWN = (PRIMARY, "f1_macro", "f1_micro", "f1_samples", "precision_weighted", "recall_weighted")
_DECISION_FILES = ("labels.json", "thresholds.json", "calibration.json")  # needed to turn scores into labels
_COLUMNS = (
    "model", "complexity", "runs", "value", "low", "high", "delta", "delta_low", "delta_high", "p", "verdict",
)  # fmt: skip
_KEYS = ("value", "low", "high", "delta", "delta_low", "delta_high", "p", "verdict")


def build_label_table(
    labels: Sequence[str], train_counts: Mapping[str, int], predictions: Predictions, decisions: Binary
) -> Table:
    """Return a table of the metrics of each label and its number of train records."""
    counts = Counts.of(predictions.targets, decisions)
    metrics = [values.tolist() for values in (precision(counts), recall(counts), f1(counts))]
    supports = counts.actual.astype(int).tolist()
    rows = [
        [label, train_counts.get(label, 0), support, *(_round(value) for value in values)]
        for label, support, *values in zip(labels, supports, *metrics, strict=True)
    ]
    return Table("labels", ["label", "train", "positives", "precision", "recall", "f1"], rows)


def build_prediction_table(
    labels: Sequence[str], texts: Mapping[str, str], predictions: Predictions, decisions: Binary
) -> Table:
    """Return a table of a sample of records with their predictions, the wrong ones first.

    All runs on the same records have the same sample.
    """
    rows = sorted(range(len(predictions.ids)), key=lambda row: _hash_id(predictions.ids[row]))[:SAMPLE]
    right = {row: bool((predictions.targets[row] == decisions[row]).all()) for row in rows}
    shown = [
        [
            predictions.ids[row],
            texts[predictions.ids[row]][:_MAX_TEXT],
            ", ".join(labels[index] for index in np.flatnonzero(predictions.targets[row]).tolist()),
            _format_scores(labels, predictions.scores[row], decisions[row]),
            right[row],
        ]
        for row in sorted(rows, key=lambda row: right[row])
    ]
    return Table("predictions", ["id", "text", "true", "predicted", "right"], shown)


def _format_scores(labels: Sequence[str], scores: npt.NDArray[Any], decisions: Binary) -> str:
    """Return the predicted labels with their scores, the highest score first."""
    chosen = [index for index in np.argsort(-scores, kind="stable").tolist() if decisions[index]]
    return ", ".join(f"{labels[index]} {scores[index]:.2f}" for index in chosen)


def _hash_id(identifier: str) -> bytes:
    """Return a sort key that is unrelated to the order of the ids, and equal in all runs."""
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).digest()


def _round(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)


def compare_with_baseline(run: StoredRun, runs_dir: Path, baseline: str) -> dict[str, float]:
    """Return `baseline/<metric>`, `delta/<metric>` with `_low` and `_high`, and `delta/p` of the weighted F1.

    All are measured on the part that the run reports. For the baseline itself, return only its metrics. If no run of
    the baseline finished on the same data and split, return nothing.
    """
    part = run.record.evaluate
    if run.record.name == baseline:
        return _read_baseline_metrics(run, part)
    other = _find_newest(run, runs_dir, baseline)
    if other is None:
        log.info("tracker: no finished run of the baseline %s on this data and split: no comparison", baseline)
        return {}
    candidates = tuple(Candidate(stored.record.name, (stored,)) for stored in (run, other))
    evidence = gather_evidence(Selection(run.record.data, part, str(run.record.dataset_version), candidates, ()))
    ours, theirs = evidence.candidates
    difference, _ = compare_pair(ours, theirs, evidence, PRIMARY, lambda done: None)
    deltas: dict[str, float] = {}
    for name in SHOWN:
        interval = difference.metrics[name]
        deltas |= {f"delta/{name}": interval.value}
        deltas |= {f"delta/{name}_low": interval.low, f"delta/{name}_high": interval.high}
    return {**_read_baseline_metrics(other, part), **deltas, "delta/p": difference.p}


def _find_newest(run: StoredRun, runs_dir: Path, name: str) -> StoredRun | None:
    """Return the newest finished run of `name` with predictions of the same part of the same split, no debug run."""
    record = run.record
    runs = [
        other
        for other in find_runs(runs_dir)
        if (other.record.name, other.status) == (name, "finished")
        and (other.record.data, other.record.dataset_version) == (record.data, record.dataset_version)
        and other.record.split_hash == record.split_hash
        and other.record.evaluate in (record.evaluate, "test")
        and "debug" not in other.record.tags
    ]
    return runs[-1] if runs else None


def _read_baseline_metrics(run: StoredRun, part: str) -> dict[str, float]:
    metrics = run.read_metrics()
    return {f"baseline/{name}": metrics[f"{part}/{name}"] for name in SHOWN}


def describe_run(config: Config, record: RunRecord, directory: Path) -> Description:
    """Describe a run for the tracker's list. A resumed run is listed as another run with its own id."""
    group = config.tracker.group or record.sweep_id or record.data
    identifier = "-".join([record.id, *([f"resumed{len(record.resumes)}"] if record.resumes else [])])
    provenance = {
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
    values = {**plain(config), **provenance}
    return Description(identifier, name, group, "train", record.tags, values, record.hypothesis)


def report_run(run: StoredRun, texts: Mapping[str, str], *, runs_dir: Path, baseline: str) -> Report:
    """Return the metrics of a run, the differences from the baseline, tables, charts, its data and its model.

    `texts` are the texts of all records by id; a sample of the reported part is shown.
    """
    from ratchet.charts.pictures import pictures_of_runs
    from ratchet.charts.theme import to_png

    record = run.record
    selection = Selection(
        record.data, record.evaluate, str(record.dataset_version), (Candidate(record.name, (run,)),), ()
    )
    labels: list[str] = run.read_json("labels.json")
    predictions = read_predictions(run.path / "predictions" / f"{record.evaluate}.parquet")
    thresholds = Thresholds.from_json(run.read_json("thresholds.json"), labels)
    decisions = predictions.hide_unknown(thresholds.decide(predictions.scores))
    return Report(
        summary={**run.read_metrics(), **compare_with_baseline(run, runs_dir, baseline)},
        tables=[
            build_label_table(labels, record.train_label_counts, predictions, decisions),
            build_prediction_table(labels, texts, predictions, decisions),
        ],
        pictures={name: to_png(chart) for name, chart in pictures_of_runs(selection, PRIMARY).items()},
        inputs=[_describe_dataset(run)],
        outputs=[_list_model_files(run)],
    )


def _describe_dataset(run: StoredRun) -> Files:
    """Return the labels, the split and the version of the data set, without its texts."""
    record = run.record
    metadata: dict[str, Any] = {
        "dataset_version": record.dataset_version,
        "split_hash": record.split_hash,
        "split_seed": record.split_seed,
        "records": record.records,
        "task": record.task,
    }
    files = {name: run.path / name for name in ("labels.json", "split.json")}
    return Files(_clean_name(f"{record.data}-data"), "dataset", files, metadata)


def _list_model_files(run: StoredRun) -> Files:
    record = run.record
    metadata = {"run_id": record.id, "config_hash": record.config_hash, "dataset_version": record.dataset_version}
    saved = [path for path in sorted((run.path / "model").rglob("*")) if path.is_file()]
    files = {path.relative_to(run.path).as_posix(): path for path in saved}
    files |= {name: run.path / name for name in _DECISION_FILES}
    return Files(_clean_name(f"{record.data}-{record.name}"), "model", files, metadata)


def _clean_name(name: str) -> str:
    """Return `name` with only the characters and the length that W&B permits in the name of an artifact."""
    return re.sub(r"[^a-zA-Z0-9_.-]", "-", name)[:128]


def describe_comparison(comparison: Comparison, group: str) -> Description:
    """Describe a comparison for the tracker's list, in the group of the runs that it compares."""
    identifier = f"compare-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    config = {
        "group": group,
        "job_type": "compare",
        "data": {"name": comparison.data},
        "part": comparison.part,
        "dataset_version": comparison.dataset_version,
        "metric": comparison.metric,
        "baseline": comparison.baseline,
        "resamples": comparison.resamples,
        "records": comparison.records,
        "split_hashes": [split.split_hash for split in comparison.splits],
        "candidates": {candidate.name: candidate.runs for candidate in comparison.candidates},
    }
    return Description(identifier, f"compare {comparison.data}", group, "compare", (), config)


def report_comparison(comparison: Comparison, selection: Selection) -> Report:
    """Return the table `leaderboard`, the charts, and a summary of `<candidate>/<metric>`, `<candidate>/delta` etc."""
    from ratchet.charts.pictures import pictures_of
    from ratchet.charts.theme import to_png

    rows = [_build_row(candidate, comparison.metric) for candidate in comparison.candidates]
    summary = {
        f"{row['model']}/{comparison.metric if key == 'value' else key}": row[key] for row in rows for key in _KEYS
    }  # the delta of the baseline itself is null
    columns = [*_COLUMNS, *comparison.candidates[0].costs]
    table = Table("leaderboard", columns, [[row[name] for name in columns] for row in rows])
    pictures = {name: to_png(chart) for name, chart in pictures_of(comparison, selection).items()}
    return Report(summary, tables=[table], pictures=pictures)


def _build_row(candidate: CandidateResult, metric: str) -> dict[str, Any]:
    interval, difference = candidate.metrics[metric], candidate.baseline
    row: dict[str, Any] = {
        "model": candidate.name,
        "complexity": candidate.complexity,
        "runs": len(candidate.runs),
    }
    row |= {"value": interval.value, "low": interval.low, "high": interval.high}
    if difference is None:
        row |= dict.fromkeys(("delta", "delta_low", "delta_high", "p")) | {"verdict": "the baseline"}
    else:
        p = difference.p if difference.p_adjusted is None else difference.p_adjusted
        row |= {"delta": difference.value, "delta_low": difference.low, "delta_high": difference.high, "p": p}
        row |= {"verdict": difference.in_words}
    return row | candidate.costs

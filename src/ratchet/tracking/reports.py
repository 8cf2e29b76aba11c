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
_TEXT = 2_000  # characters of a text that are shown
log = logging.getLogger(__name__)
PRIMARY = "f1_weighted"
SHOWN = (PRIMARY, "f1_macro", "f1_micro", "f1_samples", "precision_weighted", "recall_weighted")
_TO_DECIDE = ("labels.json", "thresholds.json", "calibration.json")  # without them scores are no answer
_COLUMNS = (
    "model", "complexity", "runs", "value", "low", "high", "delta", "delta_low", "delta_high", "p", "verdict",
)  # fmt: skip
_KEYS = ("value", "low", "high", "delta", "delta_low", "delta_high", "p", "verdict")


def label_table(
    labels: Sequence[str], train_counts: Mapping[str, int], predictions: Predictions, decisions: Binary
) -> Table:
    """How well each label is found, beside how often it was seen."""
    counts = Counts.of(predictions.targets, decisions)
    measured = [values.tolist() for values in (precision(counts), recall(counts), f1(counts))]
    supports = counts.actual.astype(int).tolist()
    rows = [
        [label, train_counts.get(label, 0), support, *(_rounded(value) for value in values)]
        for label, support, *values in zip(labels, supports, *measured, strict=True)
    ]
    return Table("labels", ["label", "train", "positives", "precision", "recall", "f1"], rows)


def prediction_sample(
    labels: Sequence[str], texts: Mapping[str, str], predictions: Predictions, decisions: Binary
) -> Table:
    """Records with what was predicted, the wrong ones first; every run on the same records shows the same ones."""
    rows = sorted(range(len(predictions.ids)), key=lambda row: _draw(predictions.ids[row]))[:SAMPLE]
    right = {row: bool((predictions.targets[row] == decisions[row]).all()) for row in rows}
    shown = [
        [
            predictions.ids[row],
            texts[predictions.ids[row]][:_TEXT],
            ", ".join(labels[index] for index in np.flatnonzero(predictions.targets[row]).tolist()),
            _with_scores(labels, predictions.scores[row], decisions[row]),
            right[row],
        ]
        for row in sorted(rows, key=lambda row: right[row])
    ]
    return Table("predictions", ["id", "text", "true", "predicted", "right"], shown)


def _with_scores(labels: Sequence[str], scores: npt.NDArray[Any], decisions: Binary) -> str:
    """The labels that were decided for, the surest first."""
    chosen = [index for index in np.argsort(-scores, kind="stable").tolist() if decisions[index]]
    return ", ".join(f"{labels[index]} {scores[index]:.2f}" for index in chosen)


def _draw(identifier: str) -> bytes:
    """An order that has nothing to do with the ids' own, and is the same for every run."""
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).digest()


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)


def against_baseline(run: StoredRun, runs_dir: Path, baseline: str) -> dict[str, float]:
    """`baseline/<metric>`, `delta/<metric>` with `_low` and `_high`, and `delta/p` of the weighted F1.

    Measured on the part that the run reports. The baseline itself has its own figures and no delta; without a finished
    run of that name on the same data and split there is nothing.
    """
    part = run.record.evaluate
    if run.record.name == baseline:
        return _figures(run, part)
    other = _newest(run, runs_dir, baseline)
    if other is None:
        log.info("tracker: no finished run of %s on this split of these data: nothing to be compared with", baseline)
        return {}
    candidates = tuple(Candidate(each.record.name, (each,)) for each in (run, other))
    evidence = gather_evidence(Selection(run.record.data, part, str(run.record.dataset_version), candidates, ()))
    ours, theirs = evidence.candidates
    found, _ = compare_pair(ours, theirs, evidence, PRIMARY, lambda done: None)
    deltas: dict[str, float] = {}
    for name in SHOWN:
        interval = found.metrics[name]
        deltas |= {f"delta/{name}": interval.value}
        deltas |= {f"delta/{name}_low": interval.low, f"delta/{name}_high": interval.high}
    return {**_figures(other, part), **deltas, "delta/p": found.p}


def _newest(run: StoredRun, runs_dir: Path, name: str) -> StoredRun | None:
    """Of the finished runs that predicted the same part of the same split; debug runs do not count."""
    mine = run.record
    found = [
        each
        for each in find_runs(runs_dir)
        if (each.record.name, each.status) == (name, "finished")
        and (each.record.data, each.record.dataset_version) == (mine.data, mine.dataset_version)
        and each.record.split_hash == mine.split_hash
        and each.record.evaluate in (mine.evaluate, "test")
        and "debug" not in each.record.tags
    ]
    return found[-1] if found else None


def _figures(run: StoredRun, part: str) -> dict[str, float]:
    figures = run.figures()
    return {f"baseline/{name}": figures[f"{part}/{name}"] for name in SHOWN}


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


def describe_comparison(comparison: Comparison, group: str) -> Description:
    """Return how a tracker lists a comparison: in the group of the runs that it compares."""
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
    """Return the table `leaderboard`, a summary (`<candidate>/<metric>`, `<candidate>/delta`, ...), and the charts."""
    from ratchet.charts.pictures import pictures_of
    from ratchet.charts.theme import to_png

    rows = [_row(candidate, comparison.metric) for candidate in comparison.candidates]
    summary = {
        f"{row['model']}/{comparison.metric if key == 'value' else key}": row[key] for row in rows for key in _KEYS
    }  # the delta of the baseline is null
    columns = [*_COLUMNS, *comparison.candidates[0].costs]
    table = Table("leaderboard", columns, [[row[name] for name in columns] for row in rows])
    pictures = {name: to_png(chart) for name, chart in pictures_of(comparison, selection).items()}
    return Report(summary, tables=[table], pictures=pictures)


def _row(candidate: CandidateResult, metric: str) -> dict[str, Any]:
    own, against = candidate.metrics[metric], candidate.baseline
    row: dict[str, Any] = {"model": candidate.name, "complexity": candidate.complexity, "runs": len(candidate.runs)}
    row |= {"value": own.value, "low": own.low, "high": own.high}
    if against is None:
        row |= dict.fromkeys(("delta", "delta_low", "delta_high", "p")) | {"verdict": "the baseline"}
    else:
        p = against.p if against.p_adjusted is None else against.p_adjusted
        row |= {"delta": against.value, "delta_low": against.low, "delta_high": against.high, "p": p}
        row |= {"verdict": against.in_words}
    return row | candidate.costs

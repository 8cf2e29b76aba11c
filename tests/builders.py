"""Build runs and comparisons without training anything."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.comparison.results import (
    CandidateResult,
    Comparison,
    Difference,
    GroupDifference,
    Interval,
    SplitRead,
    Verdict,
)
from ratchet.evaluation.metrics import compute_averages
from ratchet.evaluation.thresholds import Thresholds
from ratchet.runs import StoredRun
from ratchet.runs.predictions import Predictions, write_predictions
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import RunRecord

LABELS = ("audio", "graphs", "vision")
YES, NO = 0.9, 0.1  # scores on either side of the threshold of made-up runs
Judged = Mapping[str, tuple[str, str]]  # id of a record -> its true and its predicted labels, as "audio graphs"
JUDGED_TWICE: tuple[Judged, Judged] = (  # on two splits
    {"a": ("audio", "vision"), "b": ("graphs vision", "graphs"), "c": ("vision", "vision")},
    {"b": ("graphs vision", "vision"), "a": ("audio", "audio"), "c": ("vision", "")},
)


def predictions(judged: Mapping[str, tuple[Sequence[str], Sequence[str]]], labels: Sequence[str]) -> Predictions:
    """Return the predictions of a run that made these decisions at a threshold between YES and NO."""
    true, decided = (
        np.array([[label in pair[side] for label in labels] for pair in judged.values()], dtype=np.uint8)
        for side in (0, 1)
    )
    scores = np.where(decided, np.float32(YES), np.float32(NO))
    return Predictions(list(judged), true, scores, [[] for _ in judged])


def in_words(judged: Judged) -> dict[str, tuple[list[str], list[str]]]:
    return {key: (true.split(), predicted.split()) for key, (true, predicted) in judged.items()}


def made_run(
    directory: Path,
    measured: Predictions | Judged,
    *,
    labels: Sequence[str] = LABELS,
    thresholds: float | Sequence[float] | None = 0.5,
    val: Predictions | None = None,
    split: int = 0,
    seed: int = 0,
    history: Sequence[tuple[int, str, float]] = (),
    reliability: Sequence[Mapping[str, Any]] = (),
    costs: Mapping[str, float | None] | None = None,
    **fields: Any,
) -> StoredRun:
    """Write a run directory with these test predictions and return the run. `thresholds` None: the argmax decides."""
    name = str(fields.get("name", "made"))
    identifier = f"run-{len(list(directory.glob('run-*')))}"
    path = directory / identifier
    if not isinstance(measured, Predictions):
        measured = predictions(in_words(measured), labels)
    for part, content in (("test", measured), ("val", val or measured)):
        write_predictions(path / "predictions" / f"{part}.parquet", content)
    values = None if thresholds is None else np.full(len(labels), thresholds)
    decided = Thresholds("", values)
    metrics = {
        f"{part}/{key}": float(value)
        for part, content in (("test", measured), ("val", val or measured))
        for key, value in compute_averages(content.targets, decided.decide(content.scores)).items()
    }
    rows = "".join(f"{epoch},0,{key},{value}\n" for epoch, key, value in history)
    (path / "history.csv").write_text(f"epoch,step,key,value\n{rows}")
    (path / "reliability").mkdir()
    for file, document in {
        "labels.json": list(labels),
        "thresholds.json": decided.to_json(list(labels)),
        "metrics.json": metrics,
        "cost.json": {f"cost/{key}": value for key, value in (costs or {}).items()},
        "reliability/test.json": list(reliability),
    }.items():
        (path / file).write_text(json.dumps(document))
    defaults = {"started_at": "2026-01-01T00:00:00+00:00", "pid": 1, "process_started": 0.0, "host": "", "argv": []}
    defaults |= {"status": "finished", "overrides": [], "data": "made", "evaluate": "test", "threads": 1, "task": "any"}
    identity = {"id": identifier, "model": name, "complexity": 0, "config_hash": f"hash of {name}", "name": name}
    location = {
        "seed": seed,
        "split_seed": split,
        "split_hash": f"split {split}",
        "records": {"test": len(measured.ids)},
    }
    record = RunRecord.from_json({**defaults, **identity, **location, "dataset_version": "1a", **fields})
    return StoredRun(path, record)


def made_candidate(directory: Path, name: str, *runs: Predictions | Judged, **options: Any) -> Candidate:
    """Return a candidate with one run per split."""
    stored = [made_run(directory, run, split=split, name=name, **options) for split, run in enumerate(runs)]
    return Candidate(name, tuple(stored))


def selected(*candidates: Candidate) -> Selection:
    return Selection("made", "test", "1a", candidates, ())


def interval(value: float, width: float = 0.1) -> Interval:
    return Interval(value, value - width, value + width)


def difference(to: str, value: float, verdict: Verdict = "not distinguishable", **fields: Any) -> Difference:
    low, high = value - 0.05, value + 0.06
    errors = {"standard_error": 0.02, "error_from_records": 0.01, "error_from_training": 0.015, "detectable": 0.07}
    rest = {"p": 0.2, "p_adjusted": 0.4, "in_words": f"{verdict} than {to}", "more_records": None, "splits": 3}
    return Difference(
        **{"to": to, "value": value, "low": low, "high": high, "verdict": verdict, "metrics": {}}
        | errors
        | rest
        | fields
    )


def group(name: str, gained: float, kind: str = "label", **fields: Any) -> GroupDifference:
    rest = {"positives": 20, "value": 0.7, "baseline": 0.7 - gained, "p_adjusted": 0.3}
    values: dict[str, Any] = {"kind": kind, "name": name, "difference": interval(gained), **rest}
    return GroupDifference(**{**values, "verdict": "not distinguishable", **fields})


def result(name: str, value: float = 0.5, **fields: Any) -> CandidateResult:
    metrics = {"f1_weighted": interval(value), "precision_macro": interval(value / 2)}
    shown: dict[str, Any] = {"model": name, "complexity": 0, "config_hash": f"hash of {name}", "runs": [f"{name}-0"]}
    shown |= {"splits": 3, "metrics": metrics, "error_from_records": 0.01, "costs": {}, "behaviour": {}}
    unknown = ("average_precision_macro", "spread_between_splits", "spread_between_seeds", "promoted", "baseline")
    unknown += ("predecessor", "best_simpler", "changes")
    return CandidateResult(name, **{**dict.fromkeys(unknown), **shown, **fields})


def comparison(*candidates: CandidateResult, **fields: Any) -> Comparison:
    """Return a comparison on the made-up data; the first candidate is the baseline."""
    splits = [SplitRead(seed, f"split {seed}", 10, 1) for seed in range(3)]
    values: dict[str, Any] = {"data": "made", "part": "test", "dataset_version": "1a", "metric": "f1_weighted"}
    values |= {"baseline": candidates[0].name, "resamples": 100, "records": 30, "splits": splits}
    return Comparison(**{**values, "candidates": list(candidates), "left_out": [], "notes": [], **fields})


def targets(*rows: Sequence[int]) -> npt.NDArray[np.uint8]:
    return np.array(rows, dtype=np.uint8)

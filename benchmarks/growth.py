"""Measure how evaluation, `compare`, `gate` and `report` grow with records, labels and candidates.

    python benchmarks/growth.py [records=1000,10000,100000] [labels=80,2000] [candidates=50,200] [only=compare,gate]

Makes stored runs with random predictions (about three labels per record, most labels rare) in a temporary directory:
up to 3 GB at 100,000 records and 2,000 labels. Every measurement is a process of its own; prints its seconds, those of
the processor and its peak memory. `evaluate` is what training does with the scores of a part: calibration, thresholds
(one, and one per label), reliability, predictions written and read, metrics with intervals.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.config import Average, CalibrationConfig, CalibrationMethod, ThresholdConfig, ThresholdMethod
from ratchet.data.dataset import Task
from ratchet.evaluation.calibration import compute_reliability, fit_calibration
from ratchet.evaluation.measures import compute_metrics
from ratchet.evaluation.metrics import compute_averages
from ratchet.evaluation.thresholds import Thresholds, choose_thresholds
from ratchet.runs.predictions import Predictions, read_predictions, write_predictions
from ratchet.runs.stored import RunRecord

LABELS_PER_RECORD = 3
CANDIDATES_ON = (200, 40, 3)  # records, labels and repeats of the runs of many candidates
NO_SCORE = 0.3  # a random score of a label that a record does not have is below


def main(*arguments: str) -> None:
    """Print one row for each measurement."""
    options = dict(argument.split("=") for argument in arguments)
    records, labels, candidates = (
        [int(number) for number in options.get(name, default).split(",")]
        for name, default in (("records", "1000,10000,100000"), ("labels", "80,2000"), ("candidates", "50,200"))
    )
    chosen = options.get("only", "evaluate,compare,gate,report").split(",")
    print(f"{'records':>8}{'labels':>8}{'candidates':>12}{'runs':>6}  {'step':<10}{'seconds':>8}{'CPU s':>8}{'MB':>8}")
    for num_records in records:
        for num_labels in labels:
            _measure_all(num_records, num_labels, 2, 1, chosen)
    for count in candidates:
        num_records, num_labels, repeats = CANDIDATES_ON
        _measure_all(num_records, num_labels, count, repeats, [step for step in chosen if step != "evaluate"])


def _measure_all(records: int, labels: int, candidates: int, repeats: int, steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        runs = Path(directory, "runs")
        subprocess.run([sys.executable, __file__, "make", runs, *map(str, (records, labels, candidates, repeats))])
        for step in steps:
            started = time.perf_counter()
            child = subprocess.run([sys.executable, __file__, step, runs], capture_output=True, text=True)
            seconds = time.perf_counter() - started
            row = f"{records:>8,}{labels:>8,}{candidates:>12}{candidates * repeats:>6}  {step:<10}{seconds:>8.1f}"
            used = child.stderr.splitlines()[-1] if child.returncode in (0, 3) else f"failed: {child.stderr[-500:]}"
            print(f"{row}{used}", flush=True)


def make_runs(directory: Path, records: int, labels: int, candidates: int, repeats: int) -> None:
    """Write runs of `candidates` models, of rising complexity and quality, on `repeats` splits."""
    shares = np.arange(1, labels + 1) ** -0.7
    for repeat in range(repeats):
        generator = np.random.default_rng(repeat)
        targets = np.zeros((records, labels), dtype=np.uint8)
        for _ in range(LABELS_PER_RECORD):
            targets[np.arange(records), generator.choice(labels, size=records, p=shares / shares.sum())] = 1
        for number in range(candidates):
            _write_run(directory, targets, number, candidates, repeat, generator)


def _write_run(
    directory: Path, targets: npt.NDArray[np.uint8], number: int, candidates: int, repeat: int, generator: Any
) -> None:
    records, labels = targets.shape
    name = "rule" if number == 0 else f"model{number:03}"
    path = directory / "growth" / name / f"run-{number}-{repeat}"
    path.mkdir(parents=True)
    scores = generator.random(targets.shape, dtype=np.float32)
    scores **= 40  # nearly all scores are near 0, as with many labels
    found = generator.random(targets.shape, dtype=np.float32) < 0.5 + 0.3 * number / candidates
    np.maximum(scores, NO_SCORE + 0.6 * generator.random(targets.shape, dtype=np.float32), out=scores,
               where=(targets > 0) & found)  # fmt: skip
    thresholds = Thresholds("tuned", np.full(labels, 0.6))
    names, slices = (
        [f"label {label}" for label in range(labels)],
        [["short"] if row % 3 else [] for row in range(records)],
    )
    for part in ("val", "test"):
        ids = [f"{repeat}-{part}-{row}" for row in range(records)]
        write_predictions(path / "predictions" / f"{part}.parquet", Predictions(ids, targets, scores, slices))
    metrics = {key: float(value) for key, value in compute_averages(targets, thresholds.decide(scores)).items()}
    reliability = compute_reliability(targets, scores, Task.multilabel)
    for file, content in {
        "record.json": vars(_make_record(path.name, name, number, repeat, records)),
        "labels.json": names,
        "thresholds.json": thresholds.to_json(names),
        "metrics.json": {f"{part}/{key}": value for key, value in metrics.items() for part in ("val", "test")},
        "cost.json": {"cost/fit_seconds": 1.0 + number, "cost/latency_ms_p95": 2.0, "cost/size_mb": 1.0},
        "reliability/test.json": reliability,
        "reliability/val.json": reliability,
    }.items():
        (path / file).parent.mkdir(exist_ok=True)
        (path / file).write_text(json.dumps(content))
    (path / "history.csv").write_text("epoch,step,key,value\n")


def _make_record(identifier: str, name: str, number: int, repeat: int, records: int) -> RunRecord:
    return RunRecord.from_json(
        {
            "id": identifier, "status": "finished", "started_at": "2026-01-01T00:00:00+00:00", "pid": 1,
            "process_started": 0.0, "host": "", "argv": [], "overrides": [], "name": name, "model": name,
            "complexity": number, "data": "growth", "config_hash": f"{number:012}", "seed": repeat,
            "split_seed": repeat, "evaluate": "test", "threads": 2, "task": "multilabel", "deterministic": False,
            "dataset_version": "0" * 64, "split_hash": f"{repeat:064}", "records": {"val": records, "test": records},
        }
    )  # fmt: skip


def evaluate(runs: Path) -> None:
    """Do what training does with the scores of val and test."""
    path = runs / "growth" / "rule" / "run-0-0"
    predictions = read_predictions(path / "predictions" / "test.parquet")
    targets, raw = predictions.targets, predictions.scores
    calibration = fit_calibration(targets, raw, CalibrationConfig(CalibrationMethod.temperature), Task.multilabel)
    scores = calibration.apply(raw)
    thresholds = [
        choose_thresholds(targets, scores, ThresholdConfig(method, Average.weighted), Task.multilabel)
        for method in (ThresholdMethod.per_label, ThresholdMethod.tuned)
    ]
    compute_reliability(targets, scores, Task.multilabel)
    write_predictions(path / "again.parquet", Predictions(predictions.ids, targets, scores, predictions.slices))
    labels = json.loads((path / "labels.json").read_text())
    compute_metrics("test", targets, scores, thresholds[1].decide(scores), labels, predictions.slices,
                    task=Task.multilabel, cutoffs=(1, 3, 5), resamples=1000)  # fmt: skip


def run_verb(verb: str) -> Callable[[Path], None]:
    """Return a function that runs a verb of the command line on the runs."""
    from ratchet.cli.main import main as run_command

    own = {"compare": ["format=json"], "gate": ["format=json"], "report": ["texts=false"]}[verb]

    def run(runs: Path) -> None:
        own_out = [f"out={runs.parent / 'report.html'}"] if verb == "report" else []
        sys.argv = ["ratchet", verb, "data=growth", f"runs_dir={runs}", *own, *own_out]
        raise SystemExit(run_command())

    return run


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make_runs(Path(sys.argv[2]), *map(int, sys.argv[3:]))
    elif sys.argv[1:2] and "=" not in sys.argv[1]:
        try:
            (evaluate if sys.argv[1] == "evaluate" else run_verb(sys.argv[1]))(Path(sys.argv[2]))
        finally:
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(f"\n{used.ru_utime + used.ru_stime:>8.1f}{used.ru_maxrss / 1024:>8.0f}", file=sys.stderr)
    else:
        main(*sys.argv[1:])

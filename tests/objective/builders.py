"""Build the evidence and the objective that a gate decides on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ratchet.comparison.evidence import COSTS, CandidateEvidence, Evidence
from ratchet.config import ObjectiveConfig
from ratchet.config.objective_schema import MinimumEvidence
from ratchet.objective.criteria import Criterion, check_own_criteria
from ratchet.runs import StoredRun
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import RunRecord
from ratchet.statistics.bootstrap import RunDecisions, bootstrap_metrics

LABELS = ["audio", "graphs", "vision", "rare"]
RARE = 15  # records that are labelled so


def build_evidence(
    *accuracies: float,
    complexities: Sequence[int] = (0, 1, 2, 3, 4),
    records: int = 300,
    splits: int = 3,
    costs: Sequence[Mapping[str, float | None]] = (),
    behaviour: Sequence[Mapping[str, float]] = (),
) -> Evidence:
    """Return candidates a, b, ...: each gives that share of the records their one label, and the others a wrong one.

    Every split has test records of its own, which together are all of them; every other record is in slice `even`.
    """
    truth = np.arange(records) // splits % 3
    truth[:: records // RARE] = LABELS.index("rare")
    judged = [_judged(truth, accuracy, number, splits) for number, accuracy in enumerate(accuracies)]
    measured = []
    for number, (runs, drawn) in enumerate(zip(judged, bootstrap_metrics(judged, records, 200), strict=True)):
        told = {**dict.fromkeys(COSTS, 1.0), **(costs[number] if number < len(costs) else {})}
        candidate = _candidate("abcde"[number], complexities[number], splits)
        shares = dict(behaviour[number]) if number < len(behaviour) else {}
        measured.append(CandidateEvidence(candidate, runs, drawn, told, shares))
    positives = {label: int((truth == index).sum()) for index, label in enumerate(LABELS)}
    positives |= {"slices/even": records // 2, "slices/tiny": 19}
    selection = Selection("toy", "test", "version", tuple(each.candidate for each in measured), ())
    return Evidence(selection, LABELS, records, measured, [], positives, 200)


def _judged(truth: Any, accuracy: float, number: int, splits: int) -> list[RunDecisions]:
    generator, unit = np.random.default_rng(number), np.eye(len(LABELS), dtype=np.uint8)
    runs = []
    for split in range(splits):
        rows = np.arange(split, len(truth), splits)
        right = generator.permutation(len(rows)) < accuracy * len(rows)
        said = np.where(right, truth[rows], (truth[rows] + 1) % len(LABELS))
        slices = {"even": np.flatnonzero(rows % 2 == 0), "tiny": np.flatnonzero(rows < 19)}
        runs.append(RunDecisions(f"s{split}", rows, unit[truth[rows]], unit[said], slices))
    return runs


def _candidate(name: str, complexity: int, splits: int) -> Candidate:
    empty = {"started_at": "2026-01-01T00:00:00+00:00", "pid": 1, "process_started": 0.0, "host": "", "argv": []}
    empty |= {"overrides": [], "data": "toy", "seed": 0, "evaluate": "test", "threads": 1, "status": "finished"}
    whose: dict[str, Any] = {"name": name, "model": name, "complexity": complexity, "config_hash": f"hash-{name}"}
    records = [
        RunRecord.from_json({**empty, **whose, "id": f"{name}-{split}", "split_seed": split, "split_hash": f"s{split}"})
        for split in range(splits)
    ]
    return Candidate(name, tuple(StoredRun(Path("nowhere"), record) for record in records))


def build_objective(**changes: Any) -> ObjectiveConfig:
    """Return an objective without requirements except `changes`; criteria that cannot be omitted pass."""
    return replace(ObjectiveConfig(floor=0.0, evidence=MinimumEvidence(repeats=1, test_records=1)), **changes)


def find_clause(evidence: Evidence, objective: ObjectiveConfig, name: str, candidate: str = "a") -> Criterion:
    """Return the criterion whose name starts with `name`."""
    [found] = [
        each for each in check_own_criteria(evidence.of(candidate), evidence, objective) if each.name.startswith(name)
    ]
    return found

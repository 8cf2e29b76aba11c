"""Build the evidence and the objective that a gate decides on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ratchet.comparison.evidence import COSTS, CandidateEvidence, Doubt, Evidence, ShortEvidence
from ratchet.config import ObjectiveConfig
from ratchet.config.objective_schema import MinimumEvidence
from ratchet.objective.criteria import Criterion, check_own_criteria
from ratchet.runs import StoredRun
from ratchet.runs.selection import Candidate, Selection, SetAside
from ratchet.runs.stored import RunRecord
from ratchet.statistics.bootstrap import RunDecisions, bootstrap_metrics

LABELS = ["audio", "graphs", "vision", "rare"]
RARE = 15  # records with the label rare


def build_evidence(
    *accuracies: float,
    complexities: Sequence[int] = (0, 1, 2, 3, 4),
    records: int = 300,
    splits: int = 3,
    costs: Sequence[Mapping[str, float | None]] = (),
    behaviour: Sequence[Mapping[str, float]] = (),
    doubts: Sequence[Mapping[str, Doubt]] = (),
) -> Evidence:
    """Return candidates a, b, ..., which give these shares of the records the right label and the rest a wrong one.

    Each split has its own test records; together the splits cover all records. Every other record is in slice `even`.
    """
    targets = np.arange(records) // splits % 3
    targets[:: records // RARE] = LABELS.index("rare")
    runs_by_candidate = [_make_runs(targets, accuracy, number, splits) for number, accuracy in enumerate(accuracies)]
    candidates = []
    for number, (runs, metrics) in enumerate(
        zip(runs_by_candidate, bootstrap_metrics(runs_by_candidate, records, 200), strict=True)
    ):
        candidate_costs = {**dict.fromkeys(COSTS, 1.0), **(costs[number] if number < len(costs) else {})}
        candidate = _make_candidate("abcde"[number], complexities[number], splits)
        case_shares = dict(behaviour[number]) if number < len(behaviour) else {}
        in_doubt = dict(doubts[number]) if number < len(doubts) else {}
        candidates.append(CandidateEvidence(candidate, runs, metrics, candidate_costs, case_shares, in_doubt))
    positives = {label: int((targets == index).sum()) for index, label in enumerate(LABELS)}
    positives |= {"slices/even": records // 2, "slices/tiny": 19}
    selection = Selection("toy", "test", "version", tuple(entry.candidate for entry in candidates), ())
    return Evidence(selection, LABELS, records, candidates, [], positives, 200)


def set_aside(evidence: Evidence, name: str, metrics: Mapping[str, float], **costs: float | None) -> Evidence:
    """Return the evidence with one more candidate, set aside: its weighted F1 by split, and its costs."""
    candidate = _make_candidate(name, 0, len(metrics))
    aside = SetAside(candidate, f"measured on {len(metrics)} only", f"ratchet train name={name}")
    by_split = {split: {"f1_weighted": value} for split, value in metrics.items()}
    short = ShortEvidence(aside, by_split, {**dict.fromkeys(COSTS, 1.0), **costs}, {})
    selection = replace(evidence.selection, set_aside=(aside,))
    return replace(evidence, selection=selection, set_aside=[short])


def _make_runs(targets: Any, accuracy: float, number: int, splits: int) -> list[RunDecisions]:
    generator, unit = np.random.default_rng(number), np.eye(len(LABELS), dtype=np.uint8)
    runs = []
    for split in range(splits):
        rows = np.arange(split, len(targets), splits)
        correct = generator.permutation(len(rows)) < accuracy * len(rows)
        predicted = np.where(correct, targets[rows], (targets[rows] + 1) % len(LABELS))
        slices = {"even": np.flatnonzero(rows % 2 == 0), "tiny": np.flatnonzero(rows < 19)}
        runs.append(RunDecisions.of(f"s{split}", rows, unit[targets[rows]], unit[predicted], slices))
    return runs


def _make_candidate(name: str, complexity: int, splits: int) -> Candidate:
    fields = {"started_at": "2026-01-01T00:00:00+00:00", "pid": 1, "process_started": 0.0, "host": "", "argv": []}
    fields |= {"overrides": [], "data": "toy", "seed": 0, "evaluate": "test", "threads": 1, "status": "finished"}
    identity: dict[str, Any] = {"name": name, "model": name, "complexity": complexity, "config_hash": f"hash-{name}"}
    records = [
        RunRecord.from_json(
            {**fields, **identity, "id": f"{name}-{split}", "split_seed": split, "split_hash": f"s{split}"}
        )
        for split in range(splits)
    ]
    return Candidate(name, tuple(StoredRun(Path("nowhere"), record) for record in records))


def build_objective(**changes: Any) -> ObjectiveConfig:
    """Return an objective without requirements except `changes`; criteria that cannot be omitted pass."""
    return replace(ObjectiveConfig(floor=0.0, evidence=MinimumEvidence(repeats=1, test_records=1)), **changes)


def find_clause(evidence: Evidence, objective: ObjectiveConfig, name: str, candidate: str = "a") -> Criterion:
    """Return the criterion whose name starts with `name`."""
    [criterion] = [
        item for item in check_own_criteria(evidence.of(candidate), evidence, objective) if item.name.startswith(name)
    ]
    return criterion

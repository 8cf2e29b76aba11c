"""Compute every metric of a part: overall, ranking, per label and per slice."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.data.dataset import Task
from ratchet.evaluation.calibration import calibration_figures
from ratchet.evaluation.metrics import (
    Binary,
    Counts,
    at_k,
    average_precision,
    averaged,
    f1,
    intervals,
    precision,
    recall,
)

Figures = dict[str, float | int | None]


def figures(
    part: str,
    targets: Binary,
    scores: npt.NDArray[Any],
    decisions: Binary,
    labels: Sequence[str],
    slices: Sequence[Sequence[str]],
    *,
    task: Task,
    cutoffs: Sequence[int],
    resamples: int,
) -> Figures:
    """Keys `<part>/f1_weighted`, `<part>/labels/<label>/f1`, `<part>/slices/<slice>/f1_weighted` and so on.

    Headline metrics have `_ci_low` and `_ci_high`. Ranking metrics are None where scores are only 0 and 1, a metric
    without anything to measure is None too. A label's or slice's "/" is written as %2F (and "%" as %25).
    """
    ranking = None if np.isin(scores, (0, 1)).all() else scores
    found: dict[str, float | int] = {"records": len(targets)}
    found |= {name: float(value) for name, value in averaged(targets, decisions).items()}
    ranked, by_label = _ranking(targets, ranking, cutoffs)
    found |= ranked
    found |= calibration_figures(targets, scores, task)
    for name, (low, high) in intervals(targets, decisions, ranking, resamples).items():
        measured = np.isfinite(found[name])
        found[f"{name}_ci_low"], found[f"{name}_ci_high"] = (low, high) if measured else (np.nan, np.nan)
    found |= _labels_per_record(targets, decisions)
    found |= _label_table(targets, decisions, by_label, labels)
    found |= _slice_table(targets, decisions, slices)
    return {f"{part}/{key}": _number(value) for key, value in found.items()}


def _ranking(
    targets: Binary, scores: npt.NDArray[Any] | None, cutoffs: Sequence[int]
) -> tuple[dict[str, float], npt.NDArray[np.float64]]:
    nothing = np.full(targets.shape[1], np.nan)
    by_label = nothing if scores is None else average_precision(targets, scores)
    supported = by_label[~np.isnan(by_label)]
    found = {"average_precision_macro": float(supported.mean()) if supported.size else np.nan}
    for k in cutoffs:
        pair = (np.nan, np.nan) if scores is None else at_k(targets, scores, k)
        found[f"precision_at_{k}"], found[f"recall_at_{k}"] = pair
    return found, by_label


def _labels_per_record(targets: Binary, decisions: Binary) -> Mapping[str, float]:
    return {
        "labels_per_record_true": float(targets.sum(axis=1).mean()),
        "labels_per_record_predicted": float(decisions.sum(axis=1).mean()),
        "share_without_label_true": float((~targets.any(axis=1)).mean()),
        "share_without_label_predicted": float((~decisions.any(axis=1)).mean()),
        "labels_without_support": int((~targets.any(axis=0)).sum()),
    }


def _label_table(
    targets: Binary, decisions: Binary, by_label: npt.NDArray[np.float64], labels: Sequence[str]
) -> dict[str, float | int]:
    counts = Counts.of(targets, decisions)
    columns = {
        "precision": precision(counts),
        "recall": recall(counts),
        "f1": f1(counts),
        "average_precision": by_label,
        "support": counts.actual.astype(int),
        "predicted": counts.predicted.astype(int),
    }
    return {
        f"labels/{_escaped(label)}/{name}": values[index].item()
        for index, label in enumerate(labels)
        for name, values in columns.items()
    }


def _slice_table(targets: Binary, decisions: Binary, slices: Sequence[Sequence[str]]) -> dict[str, float | int]:
    rows_of: dict[str, list[int]] = {}
    for row, names in enumerate(slices):
        for name in names:
            rows_of.setdefault(name, []).append(row)
    found: dict[str, float | int] = {}
    for name, rows in sorted(rows_of.items()):
        values = averaged(targets[rows], decisions[rows])
        key = f"slices/{_escaped(name)}"
        found[f"{key}/records"] = len(rows)
        found |= {
            f"{key}/{metric}": float(values[metric])
            for metric in ("f1_weighted", "precision_weighted", "recall_weighted")
        }
    return found


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


def _number(value: float | int) -> float | int | None:
    return None if isinstance(value, float) and not np.isfinite(value) else value

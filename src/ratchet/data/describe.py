"""Summarise a data set and its split for `ratchet data describe`."""

from collections import Counter
from typing import Any

import numpy as np

from ratchet.data.prepared import Prepared
from ratchet.data.splits import PARTS, Split
from ratchet.data.taxonomy import words


def describe(prepared: Prepared, split: Split) -> dict[str, Any]:
    """Return a summary of the data set as plain values: its content, and what was left out and why.

    Text lengths (`words`) are numbers of words.
    """
    report = prepared.report
    lengths = np.array([len(words(record.text)) for record in prepared.records])
    dates = sorted(record.created_at for record in prepared.records if record.created_at is not None)
    per_record = prepared.targets.sum(axis=1)
    part_of = {identifier: part for part in PARTS for identifier in getattr(split, part)}
    by_part = {
        part: prepared.targets[[part_of[record.id] == part for record in prepared.records]].sum(axis=0, dtype=int)
        for part in PARTS
    }
    return {
        "name": prepared.name,
        "files": report.files,
        "task": prepared.task.value,
        "rows_read": report.rows_read,
        "records": len(prepared.records),
        "labels": len(prepared.labels),
        "labels_per_record": dict(sorted(Counter(per_record.tolist()).items())),
        "labels_per_record_mean": float(per_record.mean()),
        "words": dict(
            zip(("min", "median", "p95", "max"), np.quantile(lengths, [0, 0.5, 0.95, 1]).tolist(), strict=True)
        ),
        "dates": {
            "first": dates[0].isoformat() if dates else None,
            "last": dates[-1].isoformat() if dates else None,
            "without": len(prepared.records) - len(dates),
        },
        "problems": [
            {"kind": kind, "outcome": outcome, "count": count, "first": _format_first_problem(prepared, kind)}
            for (kind, outcome), count in report.count_problems().items()
        ],
        "left_out": {
            "records": report.filtered,
            "labels": dict(Counter(report.labels_left_out.values()).most_common()),
        },
        "parts": {part: len(getattr(split, part)) for part in PARTS},
        "label_counts": {
            label: {part: int(by_part[part][column]) for part in PARTS} for column, label in enumerate(prepared.labels)
        },
        "dataset_version": prepared.version,
        "split_hash": split.hash,
    }


def _format_first_problem(prepared: Prepared, kind: str) -> str:
    problem = next(problem for problem in prepared.report.problems if problem.kind == kind)
    return f"{problem.place}: {problem.message}"

"""A comparison as a tracker is told of it: the ladder, a row a candidate."""

import secrets
from datetime import UTC, datetime
from typing import Any

from ratchet.comparison.results import CandidateResult, Comparison
from ratchet.runs.selection import Selection
from ratchet.tracking.base import Description, Report, Table

_COLUMNS = (
    "model", "complexity", "runs", "value", "low", "high", "delta", "delta_low", "delta_high", "p", "verdict",
)  # fmt: skip
_KEYS = ("value", "low", "high", "delta", "delta_low", "delta_high", "p", "verdict")


def describe_comparison(found: Comparison, group: str) -> Description:
    """How a comparison is listed: beside the runs that it compares."""
    identifier = f"compare-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    config = {
        "group": group,
        "job_type": "compare",
        "data": {"name": found.data},
        "part": found.part,
        "dataset_version": found.dataset_version,
        "metric": found.metric,
        "baseline": found.baseline,
        "resamples": found.resamples,
        "records": found.records,
        "split_hashes": [split.split_hash for split in found.splits],
        "candidates": {each.name: each.runs for each in found.candidates},
    }
    return Description(identifier, f"compare {found.data}", group, "compare", (), config)


def report_comparison(found: Comparison, selection: Selection) -> Report:
    """The table `leaderboard`, `<candidate>/<metric>`, `<candidate>/delta`, ... in the summary, the report's charts."""
    from ratchet.charts.pictures import pictures_of
    from ratchet.charts.theme import to_png

    rows = [_row(each, found.metric) for each in found.candidates]
    summary = {
        f"{row['model']}/{found.metric if key == 'value' else key}": row[key] for row in rows for key in _KEYS
    }  # the baseline's own delta is null
    columns = [*_COLUMNS, *found.candidates[0].costs]
    table = Table("leaderboard", columns, [[row[name] for name in columns] for row in rows])
    pictures = {name: to_png(chart) for name, chart in pictures_of(found, selection).items()}
    return Report(summary, tables=[table], pictures=pictures)


def _row(each: CandidateResult, metric: str) -> dict[str, Any]:
    own, against = each.metrics[metric], each.baseline
    row: dict[str, Any] = {"model": each.name, "complexity": each.complexity, "runs": len(each.runs)}
    row |= {"value": own.value, "low": own.low, "high": own.high}
    if against is None:
        row |= dict.fromkeys(("delta", "delta_low", "delta_high", "p")) | {"verdict": "the baseline"}
    else:
        p = against.p if against.p_adjusted is None else against.p_adjusted
        row |= {"delta": against.value, "delta_low": against.low, "delta_high": against.high, "p": p}
        row |= {"verdict": against.in_words}
    return row | each.costs

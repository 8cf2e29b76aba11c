"""Summarise a data set and its split for `ratchet data describe`."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ratchet.data.findings import count_labels_by_part, find_label_problems, summarise_problems
from ratchet.data.label_findings import format_list, name_left_out
from ratchet.data.prepared import Prepared
from ratchet.data.problems import Problem
from ratchet.data.splits import PARTS, Split
from ratchet.data.taxonomy import find_texts_without_rule, words
from ratchet.data.values import is_plain, to_string

_FIRST_ROWS = 1000  # of a file that are read to learn what its columns hold
_REVIEWED = {"accept", "accepted", "approved", "submitted", "reject", "rejected", "ignore", "ignored", "discarded"}
_LEFT_OUT = {"reject", "rejected", "ignore", "ignored", "discarded"}
_FLAGS = {"cancelled", "canceled", "deleted", "rejected", "discarded", "ignored", "skipped"}
_APPROVALS = {"approved", "accepted", "validated", "verified"}
_TRUE, _FALSE = {"true", "1", "yes", "t", "1.0"}, {"false", "0", "no", "f", "0.0"}


def describe(prepared: Prepared, split: Split, more: Sequence[Problem] = ()) -> dict[str, Any]:
    """Return a summary of the data set as plain values: its content, what was left out and why, and what is odd.

    Text lengths (`words`) are numbers of words. `more` are problems that were found elsewhere, as in columns that the
    records do not have.
    """
    report = prepared.report
    lengths = np.array([len(words(record.text)) for record in prepared.records])
    dates = sorted(record.created_at for record in prepared.records if record.created_at is not None)
    per_record = prepared.targets.sum(axis=1)
    counts = count_labels_by_part(prepared, split)
    problems = [*report.problems, *split.problems, *find_label_problems(prepared, split), *more]
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
        "problems": sorted(summarise_problems(problems), key=lambda problem: (-problem["count"], problem["kind"])),
        "left_out": {
            "records": report.filtered,
            "labels": dict(Counter(report.labels_left_out.values()).most_common()),
        },
        "labels_left_out": name_left_out(report.labels_left_out),
        "without_rule": int(
            find_texts_without_rule(
                (record.text for record in prepared.records), prepared.labels, prepared.taxonomy
            ).sum()
        ),
        "parts": {part: len(getattr(split, part)) for part in PARTS},
        "split_dropped": len(split.dropped),
        "split_leaked": len(split.leaked),
        "label_counts": {label: {part: counts[part][label] for part in PARTS} for label in prepared.labels},
        **_describe_unknown(prepared),
        "dataset_version": prepared.version,
        "split_hash": split.hash,
    }


def _describe_unknown(prepared: Prepared) -> dict[str, Mapping[str, float]]:
    """Return the share of unknown targets by label; nothing if all are known."""
    if prepared.known is None:
        return {}
    shares = 1 - prepared.known.mean(axis=0)
    return {"unknown": dict(zip(prepared.labels, shares.tolist(), strict=True))}


def find_status_columns(rows: Iterable[Mapping[str, Any]], used: Collection[str]) -> list[Problem]:
    """Return the columns by which rows that are no records can be left out (data.filter.where), from the first rows.

    `used` are the columns that the configuration reads.
    """
    counts: dict[str, Counter[str]] = {}
    for row in islice(rows, _FIRST_ROWS):
        for column, value in row.items():
            if column not in used and is_plain(value):
                counts.setdefault(column, Counter())[to_string(value).strip()] += 1
    problems = []
    for column, values in counts.items():
        name = column.casefold().replace(" ", "_").removeprefix("is_").removeprefix("was_")
        wanted, unwanted = _tell_apart(name, values)
        if unwanted:
            count = sum(values[value] for value in unwanted)
            message = (
                f"{' or '.join(sorted(unwanted))} in {count} of the first {sum(values.values())} rows: if they are no "
                f"records, set data.filter.where={{{column}: {format_list(sorted(wanted))}}}"
            )
            problems.append(Problem("column that marks rows to leave out", f"column {column!r}", message, "kept"))
    return problems


def _tell_apart(name: str, values: Collection[str]) -> tuple[set[str], set[str]]:
    """Return the values of rows to keep and of rows to leave out; no values if the column is something else."""
    folded = {value.casefold() for value in values} - {""}
    if folded <= _REVIEWED:
        unwanted = _LEFT_OUT
    elif folded <= _TRUE | _FALSE and name in _FLAGS | _APPROVALS:
        unwanted = _TRUE if name in _FLAGS else _FALSE
    else:
        return set(), set()
    left_out = {value for value in values if value.casefold() in unwanted}
    return set(values) - left_out, left_out

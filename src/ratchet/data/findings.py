"""Find what is odd about the labels, texts and dates of a data set. Nothing is changed; each finding has a remedy."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet.config import DataConfig, LabelKind
from ratchet.data.label_findings import count_labels, find_rare_and_constant, format_list, is_missing_word
from ratchet.data.labels import is_multiclass
from ratchet.data.problems import Problem
from ratchet.data.records import Record
from ratchet.data.sentinel_dates import find_sentinel_dates

if TYPE_CHECKING:
    from ratchet.data.prepared import Prepared
    from ratchet.data.splits import Split

_MARKUP = re.compile(r"<[^<>]*>|&#?\w+;")
_WORD = re.compile(r"[^\W_]")
_FEWEST = 10  # records of a label from which "its name is in all of their texts" is no coincidence
_FEWEST_OF_MANY = 3  # the same, if it is so for half of the labels
_PATH = re.compile(r"(?=.*[^\s.])[^\n<>|?*\"]{1,240}\.\w{1,5}")
_LOOKED_AT = 50  # texts that are looked up as files
_PLACES = 4  # locations of a kind of problem in a summary


def find_problems(records: Sequence[Record], config: DataConfig) -> list[Problem]:
    """Return what is odd about `records`, which are in the order of the file, apart from the names of their labels.

    It takes a few seconds for 1,000,000 records.
    """
    return [
        *find_rare_and_constant(count_labels(records), len(records)),
        *_find_single_labels(records, config),
        *_find_odd_texts(records, config),
        *_find_names_in_texts(records),
        *_find_paths(records, config),
        *_find_placeholder_dates(records, config),
    ]


def _report(kind: str, place: str, message: str) -> Problem:
    return Problem(kind, place, message, "kept")


def _find_single_labels(records: Sequence[Record], config: DataConfig) -> Iterator[Problem]:
    """Yield that a class number is read as one of several labels, though every record has exactly one."""
    if config.labels.kind is not LabelKind.indices or is_multiclass(config.labels):
        return
    if len(records) >= _FEWEST and all(len(record.labels) == 1 for record in records):
        message = "every record has exactly one: if that is the rule, set data.labels.one=true"
        yield _report("labels that exclude each other", "data.labels", message)


# --- texts ------------------------------------------------------------------------------------------------------------


def has_words(text: str) -> bool:
    """Return whether a reader sees a word or number in `text`, apart from markup such as `<br/>` and `&nbsp;`."""
    if "<" in text or "&" in text:
        text = _MARKUP.sub(" ", text)
    return _WORD.search(text) is not None


@dataclass
class _Places:
    """Records with the same finding: their number and the location of the first."""

    count: int = 0
    first: str = ""

    def add(self, place: str) -> None:
        self.first = self.first or place
        self.count += 1


def _find_odd_texts(records: Sequence[Record], config: DataConfig) -> Iterator[Problem]:
    wordless, label_alone = _Places(), _Places()
    missing: dict[str, _Places] = {}
    first_with: dict[str, Record] = {}
    conflicts = []
    for record in records:
        text = record.text
        if len(text) <= 100:
            parts = text.split()
            if all(map(is_missing_word, parts)) and len(parts) <= len(config.text):
                missing.setdefault(parts[0], _Places()).add(record.place)
                continue
            if text.strip().casefold() in {label.casefold() for label in record.labels}:
                label_alone.add(record.place)
        if not has_words(text):
            wordless.add(record.place)
            continue
        first = first_with.setdefault(text, record)
        if first.labels != record.labels:
            conflicts.append((first, record))
    total = len(records)
    if wordless.count:
        message = f"{wordless.count} of {total} texts are signs or markup alone: leave these rows out of the file"
        yield _report("text without words", wordless.first, message)
    for text, places in missing.items():
        message = (
            f"{places.count} of {total} texts are {text!r}: if it means that there is no text, set "
            f"data.missing={format_list(list(missing))}"
        )
        yield _report("text that may be a missing value", places.first, message)
    if label_alone.count:
        message = f"{label_alone.count} of {total} texts are the name of their label and nothing else"
        yield _report("text that is its label", label_alone.first, message)
    for first, other in conflicts:
        labels = " and ".join(", ".join(map(repr, record.labels)) or "no label" for record in (first, other))
        message = f"the text of record {first.id!r}: {labels}"
        if len(conflicts) > total / 4:
            message += ": if each row has one label of a record, set data.labels.kind=rows"
        yield _report("one text with different labels", other.place, message)


def _find_names_in_texts(records: Sequence[Record]) -> Iterator[Problem]:
    """Yield the labels whose name is at the end (or the start) of every text that has them."""
    folded: dict[str, str] = {}
    sides: dict[str, list[str]] = {}  # where the name was in all texts so far
    uses: dict[str, _Places] = {}
    for record in records:
        text, length = record.text, 0
        for label in record.labels:
            if label not in folded:
                folded[label], sides[label], uses[label] = label.casefold(), ["end", "start"], _Places()
            length += len(label) + 2  # other labels of the record may stand between, with separators
        for label in record.labels:
            uses[label].add(record.place)
            if sides[label]:
                sides[label] = [
                    side
                    for side in sides[label]
                    if _stands_in(text[-length - 1 :] if side == "end" else text[: length + 1], folded[label])
                ]
    standing = [label for label, where in sorted(sides.items()) if where and uses[label].count >= _FEWEST_OF_MANY]
    fewest = _FEWEST_OF_MANY if len(standing) >= max(2, len(sides) / 2) else _FEWEST
    for label in standing:
        if uses[label].count >= fewest:
            message = (
                f"its name is at the {sides[label][0]} of all {uses[label].count} texts that have it, first "
                f"{uses[label].first}: is the answer among the columns of data.text?"
            )
            yield _report("label whose name is in its texts", f"label {label!r}", message)


def _stands_in(text: str, name: str) -> bool:
    """Return whether `name` is in `text` as complete words, whatever its case."""
    text = text.casefold()
    at = text.find(name)
    while at >= 0:
        before, after = text[max(at - 1, 0) : at], text[at + len(name) : at + len(name) + 1]
        if not before.isalnum() and not after.isalnum():
            return True
        at = text.find(name, at + 1)
    return False


def _find_paths(records: Sequence[Record], config: DataConfig) -> Iterator[Problem]:
    """Yield a finding if the texts are names of files that exist."""
    if config.text_files:
        return
    shown = records[:_LOOKED_AT]
    path = config.records.path or config.records.train
    directories = [Path(), *([Path(path).parent] if path else [])]
    files = [record for record in shown if _PATH.fullmatch(record.text) and _is_file(record.text, directories)]
    if files and len(files) > len(shown) / 2:
        message = f"{len(files)} of the first {len(shown)} texts are names of files: set data.text_files to read them"
        yield _report("text that names a file", files[0].place, message)


def _is_file(name: str, directories: Iterable[Path]) -> bool:
    try:
        return any((directory / name.strip()).is_file() for directory in directories)
    except (OSError, ValueError):  # too long for a name, or with a null character
        return False


# --- dates ------------------------------------------------------------------------------------------------------------


def find_placeholder_dates(records: Sequence[Record]) -> dict[datetime, int]:
    """Return the dates that probably mean "no date", with their number of records.

    They are far from the others, in the year 1 or 9999, or in the future and frequent.
    """
    counts = Counter(record.created_at for record in records if record.created_at is not None)
    if len(counts) < 2:
        return {}
    usual = float(np.median(list(counts.values())))
    future = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
    placeholders = {
        date
        for date, count in counts.items()
        if date.year in (1, 9999) or (date > future and count >= 3 and count >= 3 * usual)
    }
    placeholders |= set(find_sentinel_dates(record.created_at for record in records))
    return {date: counts[date] for date in sorted(placeholders)}


def _find_placeholder_dates(records: Sequence[Record], config: DataConfig) -> Iterator[Problem]:
    placeholders = find_placeholder_dates(records)
    if not placeholders:
        return
    first: dict[datetime | None, str] = {}
    for record in records:
        if record.created_at in placeholders:
            first.setdefault(record.created_at, record.place)
    for date, count in placeholders.items():
        day = date.isoformat() if (date.hour, date.minute, date.second) != (0, 0, 0) else f"{date:%Y-%m-%d}"
        message = (
            f"{count} of {len(records)} records have the {config.created_at} {day.zfill(10)}: if it means that there "
            "is no date, add its text to data.missing"
        )
        yield _report("date that may mean no date", first[date], message)


# --- the split --------------------------------------------------------------------------------------------------------


def count_labels_by_part(prepared: "Prepared", split: "Split") -> dict[str, Counter[str]]:
    """Return the number of records with each label in train, val and test."""
    labels_of = {record.id: record.labels for record in prepared.records}
    return {
        part: Counter(label for identifier in getattr(split, part) for label in labels_of[identifier])
        for part in ("train", "val", "test")
    }


def find_label_problems(prepared: "Prepared", split: "Split") -> list[Problem]:
    """Return the labels that cannot be learned or measured with this split."""
    counts = count_labels_by_part(prepared, split)
    if not counts["test"]:
        message = f"none of its {len(split.test)} records has a label: nothing can be measured"
        return [_report("test without labels", "test", message)]
    problems = []
    for label in prepared.labels:
        place, in_train, in_test = f"label {label!r}", counts["train"][label], counts["test"][label]
        if in_train == 0 and in_test > 0:
            message = f"on no record of train, on {in_test} of test: no model can find it"
            first = _find_first(prepared, set(split.test), label)
            problems.append(_report("label that train lacks", place, f"{message} (first {first})"))
        elif in_test == 0:
            message = f"on no record of test, on {in_train} of train: its F1 cannot be measured"
            problems.append(_report("label that test lacks", place, message))
    return problems


def _find_first(prepared: "Prepared", ids: Collection[str], label: str) -> str:
    """Return the location of the first of the records `ids` that has `label`."""
    return next(record.place for record in prepared.records if label in record.labels and record.id in ids)


# --- summaries --------------------------------------------------------------------------------------------------------


def summarise_problems(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return each kind of problem with its number and its first locations, in the order of their first ones."""
    groups: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.kind, problem.outcome), []).append(problem)
    return [
        {
            "kind": kind,
            "outcome": outcome,
            "count": len(group),
            "first": f"{group[0].place}: {group[0].message}",
            "places": [problem.place for problem in group[:_PLACES]],
        }
        for (kind, outcome), group in groups.items()
    ]


def format_problem(summary: Mapping[str, Any]) -> tuple[str, str]:
    """Return the fact of one kind of problem: what happened to the records, and the first problem.

    One that keeps its records is a finding.
    """
    shown = f"{summary['count']:,} x {summary['kind']}, as {summary['first']}"
    if summary["outcome"] != "kept":
        return summary["outcome"], shown
    others = [place for place in summary["places"][1:] if place.startswith(("label", "column"))]
    left = summary["count"] - 1 - len(others)
    also = f" (also {', '.join(others)}{f' and {left:,} more' if left else ''})" if others else ""
    return "finding", f"{shown}{also}"

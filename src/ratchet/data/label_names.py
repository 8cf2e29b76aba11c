"""Read the label file: the names of labels that numbers or vectors refer to, and the labels that are valid."""

import csv
import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from ratchet.config import DataConfig, LabelKind
from ratchet.data.labels import normalise_label
from ratchet.data.opening import decode, parse_json
from ratchet.data.problems import Report
from ratchet.data.sources import read_file
from ratchet.errors import UserError

_NUMBERED = re.compile(r"\s*(\d+)\t\s*(.*\S)\s*")
_LOOKS_NUMBERED = re.compile(r"\s*(\d+)[\s,;:.)|=-]+\S.*")
_HEADERS = ("label", "labels", "name", "names", "class", "classes", "category", "categories", "tag", "tags")
_NUMBERED_KINDS = (LabelKind.indices, LabelKind.binary)


def read_label_names(config: DataConfig, report: Report, *, packaged: bool = True) -> list[str] | None:
    """Read the label file, and add it to the report. Return None if none is configured.

    It is a JSON list, a JSON object of numbers and names (also as `id2label` of a config.json), or has a
    name on each line, or a number and a name (separated by a tab; in CSV by a comma).

    Raises:
        UserError: it has another form, a name occurs twice, or its numbers have gaps or begin at another number.
    """
    labels = config.labels
    if labels.names is None or labels.names.path is None:
        if labels.kind in _NUMBERED_KINDS:
            raise UserError(f"data.labels.kind={labels.kind.name} needs a label file: set data.labels.names.path")
        return None
    content = read_file(labels.names, "label file", packaged=packaged)
    report.files.append(content.name)
    text = decode(content, config.encoding)
    suffix = PurePath(content.name).suffix.lower()
    if suffix == ".json":
        names = _read_json(content.name, parse_json(content.name, text), config)
    elif suffix in (".csv", ".tsv"):
        names = _read_table(content.name, text, "," if suffix == ".csv" else "\t", config)
    else:
        names = _read_lines(content.name, text, config)
    names = [normalise_label(name) for name in names]
    if not names or "" in names:
        raise UserError(f"{content.name}: {'a name is empty' if names else 'the label file has no names'}")
    first_of: dict[str, int] = {}
    for position, name in enumerate(names):
        if name in first_of:
            raise UserError(
                f"{content.name}: the name {name!r} occurs twice, as number {first_of[name] + labels.first} and "
                f"{position + labels.first}: two labels would become one; give each its own name"
            )
        first_of[name] = position
    return names


def _read_json(name: str, content: Any, config: DataConfig) -> list[str]:
    if isinstance(content, dict):
        content = content.get("id2label", content)  # of the config.json of a model
    if isinstance(content, list) and all(isinstance(item, str) for item in content):
        return content
    pairs = list(content.items()) if isinstance(content, dict) else []
    if pairs and all(isinstance(label, str) and number.strip().isdecimal() for number, label in pairs):
        return _order(name, ((int(number), label) for number, label in pairs), config)
    raise UserError(
        f"{name}: a label file in JSON must be a list of strings, or an object of numbers and names, as "
        '{"0": "bug", "1": "slow"}'
    )


def _read_lines(name: str, text: str, config: DataConfig) -> list[str]:
    lines = text.rstrip().splitlines()
    numbered = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    if lines and len(numbered) == len(lines):
        return _order(name, ((int(match[1]), match[2]) for match in numbered), config)
    blank = next((number for number, line in enumerate(lines, start=1) if not line.strip()), None)
    if blank is not None:
        raise UserError(
            f"{name}, line {blank}: the line is empty, but an index is a line number (from {config.labels.first}): "
            "write a label name on every line"
        )
    numbers = [int(match[1]) for line in lines if (match := _LOOKS_NUMBERED.fullmatch(line))]
    if len(lines) > 1 and numbers in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        raise UserError(f"{name}: every line begins with its number: put a tab between number and name")
    return lines


def _read_table(name: str, text: str, separator: str, config: DataConfig) -> list[str]:
    """Return the names of a table with one column (names), or two: a number and a name, in this order or the other."""
    try:
        rows = [row for row in csv.reader(text.splitlines(), delimiter=separator, strict=True) if any(row)]
    except csv.Error as error:
        raise UserError(f"{name}: not valid CSV: {error}") from error
    width = len(rows[0]) if rows else 0
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != width), None)
    if wrong is not None or width > 2:
        raise UserError(f"{name}: a label file in CSV has one column (names) or two (number and name) on each row")
    if width < 2:
        if len(rows) > 1 and rows[0][0].strip().casefold() in _HEADERS:
            raise UserError(
                f"{name}: the first row, {rows[0][0]!r}, looks like a header, but would be the name of a label: remove "
                "it, or, if it is a label, save the file as .txt"
            )
        return [row[0] for row in rows]
    for number, label in ((0, 1), (1, 0)):
        body = rows if rows[0][number].strip().isdecimal() else rows[1:]  # without the header
        if body and all(row[number].strip().isdecimal() for row in body):
            return _order(name, ((int(row[number]), row[label]) for row in body), config)
    raise UserError(f"{name}: no column of the label file holds the numbers of the labels")


def _order(name: str, numbered: Iterable[tuple[int, str]], config: DataConfig) -> list[str]:
    """Return names in the order of their numbers, which must begin at data.labels.first and have no gap."""
    pairs = sorted(numbered, key=lambda pair: pair[0])
    start = pairs[0][0]
    for expected, (number, label) in enumerate(pairs, start=start):
        if number != expected:
            reason = f"the number {number} occurs twice" if number < expected else f"the number {expected} is missing"
            raise UserError(f"{name}: {reason} (at the name {label!r}): number the names without a gap")
    if config.labels.kind is LabelKind.indices and start != config.labels.first:
        raise UserError(f"{name}: the numbers begin at {start}: set data.labels.first={start}")
    return [label for _, label in pairs]

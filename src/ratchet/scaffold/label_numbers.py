"""Find the names of labels that are written as numbers, or as vectors of 1 and 0: in a label file next to the data."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ratchet.config import DataConfig, FileConfig, LabelKind, LabelsConfig
from ratchet.data.label_cells import fold
from ratchet.data.label_names import read_label_names
from ratchet.data.problems import Report
from ratchet.data.values import is_plain, to_string
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import Column
from ratchet.scaffold.label_layouts import Layout, explain_unknown, make_exclusive

_STEMS = (
    *("labels", "label_names", "label-names", "labelnames", "label", "classes", "class_names", "names", "id2label"),
    *("label_map", "categories", "topics", "tags", "targets", "intents"),
)
_SUFFIXES = (".txt", ".json", ".tsv", ".csv")
_LARGEST = 1 << 20  # bytes; larger files are not lists of names
_NUMBER = re.compile(r"-?\d+(\.0+)?")


def is_number(item: Any) -> bool:
    """Return whether a value is an integer, perhaps written as text or as a decimal."""
    return not isinstance(item, bool) and is_plain(item) and bool(_NUMBER.fullmatch(to_string(item).strip()))


def detect_numbers(plain: LabelsConfig, items: Sequence[Any], seen: str, path: Path | None) -> Layout:
    """Return the layout of labels that are numbers: of names in a label file if one fits, otherwise names themselves.

    `plain` is the configuration without names, `seen` the evidence for it, `path` the data file.
    """
    numbers = {int(float(to_string(item))) for item in items}
    numbers, is_unknown = numbers - {-1}, -1 in numbers
    plain = replace(plain, unknown=["-1"]) if is_unknown and plain.kind is not LabelKind.single else plain
    too_short = ""
    for file in _find_label_files(path):
        first = file.first if file.first is not None else int(bool(numbers) and max(numbers) >= len(file.names))
        if numbers and first <= min(numbers) and max(numbers) < first + len(file.names):
            one = True if plain.kind is LabelKind.single and not is_unknown else None
            config = replace(
                plain,
                kind=LabelKind.indices,
                one=one,
                first=first,
                unknown=["-1"] if is_unknown else [],
                names=FileConfig(path=str(file.path)),
            )
            comment = f"; they are numbers from {first} of the names in {file.path.name}"
            alternatives = [(plain, "if the numbers are the names of the labels")]
            return Layout(config, f"{seen}{comment}{explain_unknown(config.unknown)}", alternatives, file.names)
        too_short = f" ({file.path.name} has {len(file.names)} names, which do not fit)"
    seen += f"; the labels are numbers: to name them, set kind: indices and names: {{path: FILE}}{too_short}"
    return Layout(plain, f"{seen}{explain_unknown(plain.unknown)}")


def are_vectors(lists: Sequence[Sequence[Any]]) -> bool:
    """Return whether lists are vectors of 1, 0 and -1: of one length, and with repeated values, unlike indices."""
    width = len(lists[0])
    if width < 2 or any(len(cell) != width for cell in lists):
        return False
    values = [[_truth(item) for item in cell] for cell in lists]
    known = {"0", "1", "-1", "true", "false"}
    return all(known.issuperset(cell) for cell in values) and any(len(set(cell)) < len(cell) for cell in values)


def detect_vectors(where: str, column: Column, lists: Sequence[Sequence[Any]], path: Path | None) -> Layout:
    """Return the layout of vectors, whose labels are named by a label file next to `path`, the data file.

    Raises:
        UserError: there is no label file with as many names.
    """
    width = len(lists[0])
    file = next((file for file in _find_label_files(path) if len(file.names) == width), None)
    if file is None:
        raise UserError(
            f"{where} has vectors of {width} values, 1 or 0 for each label: data.labels.kind=binary reads them, and "
            f"data.labels.names.path names the labels. Put labels.txt next to the file, with {width} names, one on "
            "each line, in the order of the vectors"
        )
    unknown = ["-1"] if any(_truth(item) == "-1" for cell in lists for item in cell) else []
    config = LabelsConfig(
        column=column.name, kind=LabelKind.binary, unknown=unknown, names=FileConfig(path=str(file.path))
    )
    seen = f"vectors of {width} values, 1 or 0 for each of the names in {file.path.name}"
    layout = Layout(config, f"{seen}{explain_unknown(unknown)}", names=file.names)
    return make_exclusive(layout, [sum(_truth(item) in ("1", "true") for item in cell) for cell in lists])


def _truth(item: Any) -> str:
    return fold(to_string(item)) if is_plain(item) else "?"


# --- label files ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _LabelFile:
    """A label file: its names, and the number of the first one, if the file states it."""

    path: Path
    names: list[str]
    first: int | None


def _find_label_files(data: Path | None) -> Iterator[_LabelFile]:
    """Yield the label files next to a data file, the most likely first. Files that cannot be read are skipped."""
    if data is None:
        return
    for path in _list_candidates(data):
        names = {first: read for first in (0, 1) if (read := _read_names(path, first)) is not None}
        if names:
            yield _LabelFile(path, next(iter(names.values())), None if len(names) > 1 else next(iter(names)))


def _list_candidates(data: Path) -> list[Path]:
    """Return the files that are named like label files, perhaps after a prefix, as in tickets_labels.txt."""
    paths = [path for path in sorted(data.parent.iterdir()) if path.suffix.lower() in _SUFFIXES and path != data]
    ranks = {}
    for path in paths:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        stem = path.stem.lower()
        if stem in _STEMS or path.name == "config.json":
            ranks[path] = 0
        elif stem.endswith(tuple(f"{mark}{end}" for mark in "_-." for end in _STEMS)):
            ranks[path] = 1
    return sorted(ranks, key=lambda path: ranks[path])


def _read_names(path: Path, first: int) -> list[str] | None:
    labels = LabelsConfig(column="label", kind=LabelKind.indices, first=first, names=FileConfig(path=str(path)))
    try:
        return read_label_names(DataConfig(name="", text=[], labels=labels), Report(), packaged=False)
    except UserError:
        return None

"""Find the labels in a table: in one column, in a column for each label, or in several columns of names."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ratchet.config import LabelKind, LabelsConfig
from ratchet.data.label_cells import fold, parse_cell
from ratchet.data.labels import LabelParser, list_label_columns
from ratchet.data.values import BadValue, is_plain, to_string
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import ID_NAME, Column
from ratchet.scaffold.label_layouts import Layout, explain_unknown, make_exclusive
from ratchet.scaffold.label_lists import detect_in_lists
from ratchet.scaffold.label_texts import detect_in_texts, find_separators

_LABEL_NAME = re.compile(
    r"(.*[_ .-])?(labels?|tags?|topics?|class(es)?|categor(y|ies)|targets?|intents?|genres?|themes?|subjects_?tags?|"
    r"kategorien?|themen?|schlagw(ort|orte|örter)|klassen?)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(.*?)[ _.-]?\d+")
_NAME_PREFIX = re.compile(r"(labels?|tags?|topics?|class|category|target|intent)[_ .:-]+", re.IGNORECASE)
_TRUE = {"1", "true", "yes", "t", "y"}
_FALSE = {"0", "false", "no", "f", "n"}
_UNKNOWN = {"-1", "", "?", "nan", "na", "n/a", "null", "none", "unknown"}  # where other cells are 1 or 0


def detect_layout(file: str, column: Column, path: Path | None = None) -> Layout:
    """Return how the labels of a column are written. A label file is looked for next to `path`, the data file.

    Raises:
        UserError: the column is empty, holds ids or free text, or has a layout that Ratchet does not read.
    """
    where = f"{file}: column {column.name!r}"
    if not column.sample:
        raise UserError(f"{where} has no value, so it cannot hold the labels: choose another with labels=NAME")
    layout = _detect(where, column, path)
    labels = _read_labels(column, layout)
    if len(labels) >= 10 and len(set(labels)) > 0.9 * len(labels):
        raise UserError(
            f"{where} does not look like labels: {len(set(labels)):,} different values in {len(labels):,}. "
            "Labels occur several times: choose another column with labels=NAME"
        )
    return layout


def _detect(where: str, column: Column, path: Path | None) -> Layout:
    if column.is_repeated:
        config = LabelsConfig(column=column.name, kind=LabelKind.names)
        return Layout(config, f"several columns are called {column.name}, each with a label or nothing")
    cells = [_open_cell(value) for value in column.sample]
    num_open = sum(isinstance(cell, (list, dict)) for cell in cells)
    if num_open and (num_open > len(cells) / 2 or not column.is_plain):
        return detect_in_lists(where, column, cells, path)
    return detect_in_texts(where, column, path)


def _open_cell(value: Any) -> Any:
    """Return the list or object that is written as a text; other values unchanged."""
    parsed = parse_cell(value.strip()) if isinstance(value, str) else None
    return value if parsed is None else parsed


def _read_labels(column: Column, layout: Layout) -> list[str]:
    """Return the labels of the sampled values, as training reads them."""
    parse = LabelParser(layout.config, layout.names)
    labels: list[str] = []
    for value in column.sample:
        try:
            labels += parse({column.name: value}).positive
        except BadValue:
            continue
    return labels


def detect_columns(file: str, columns: Sequence[Column]) -> Layout:
    """Return the layout of labels in several columns: 1 or 0 in each, or a name or nothing in each.

    Raises:
        UserError: the columns are empty, or hold something else.
    """
    names = ", ".join(column.name for column in columns)
    if not any(column.sample for column in columns):
        raise UserError(f"{file}: columns {names} have no value, so they cannot hold the labels: choose others")
    if all(map(_is_switch, columns)):
        return _describe_switches(columns)
    mixed = next((column for column in columns if _is_switch(column) and column.sample), None)
    if mixed is not None and not all(column.is_numeric for column in columns):
        other = next(column for column in columns if not _is_switch(column))
        raise UserError(
            f"{file}: column {mixed.name!r} holds only 1 and 0, but column {other.name!r} holds {_shorten(other)!r}: "
            "name columns of one kind with labels=NAME,NAME"
        )
    strange = next((column for column in columns if column.sample and not column.is_plain), None)
    if strange is not None:
        raise UserError(f"{file}: column {strange.name!r} has lists or objects: name it alone with labels=NAME")
    divided = next((column for column in columns if {";", "|"} & set(find_separators(column))), None)
    if divided is not None:
        raise UserError(
            f"{file}: column {divided.name!r} has several labels in a cell: name it alone with labels={divided.name}"
        )
    config = LabelsConfig(columns=[column.name for column in columns], kind=LabelKind.names)
    return Layout(config, f"{len(columns)} columns, each with a label or nothing")


def _shorten(column: Column) -> str:
    return str(column.sample[0])[:40]


def _is_switch(column: Column) -> bool:
    """Return whether a column holds 1 and 0, true and false, or the like, perhaps with values that mean unknown."""
    values = {fold(text) for text in column.counts}
    return column.is_plain and bool(values & (_TRUE | _FALSE)) and values <= (_TRUE | _FALSE | _UNKNOWN)


def _describe_switches(columns: Sequence[Column]) -> Layout:
    texts = [text for column in columns for text in column.counts]
    unknown = sorted({text for text in texts if fold(text) in _UNKNOWN})
    if any(column.num_empty for column in columns):
        unknown.append("")
    config = LabelsConfig(columns=[column.name for column in columns], kind=LabelKind.columns, unknown=unknown)
    if all(_NAME_PREFIX.match(column.name) for column in columns):
        prefixes = {match[0] for column in columns if (match := _NAME_PREFIX.match(column.name))}
        config = replace(config, prefix=prefixes.pop()) if len(prefixes) == 1 else config
    pairs = {text for text in texts if fold(text) in _TRUE | _FALSE}
    seen = f"{len(columns)} columns, one for each label, with {' or '.join(sorted(pairs))}{explain_unknown(unknown)}"
    if unknown and not any(fold(text) in _FALSE for text in texts):
        seen += ". No cell marks that a record lacks a label: write 0 into such cells"
    return make_exclusive(Layout(config, seen), _count_true(columns))


def _count_true(columns: Sequence[Column]) -> list[int]:
    """Return the number of labels in each row."""
    rows = zip(*(column.values for column in columns), strict=True)
    return [sum(is_plain(value) and fold(to_string(value)) in _TRUE for value in row) for row in rows]


def guess_labels(file: str, columns: Sequence[Column], path: Path | None = None, existing: str = "") -> Layout:
    """Return the layout of the column, or columns, that hold the labels. `path` is the data file.

    `existing` lists all columns, for the message.

    Raises:
        UserError: no column looks like labels, or several do.
    """
    switches = _find_switches(columns)
    ranked, unreadable = _rank_layouts(file, columns, switches, path)
    best = max((rank for rank in ranked if rank > 0), default=0)
    if unreadable and best < 3:
        raise unreadable[0]
    if not best:
        raise UserError(f"{file}: no column looks like labels: name it with labels=NAME, or labels=NAME,NAME{existing}")
    candidates = _leave_out_paths(ranked[best])
    if len(candidates) > 1:
        names = ", ".join(f"labels={','.join(list_label_columns(layout.config))}" for layout in candidates)
        raise UserError(f"{file}: several columns may hold the labels: choose one of {names}")
    chosen = candidates[0]
    if switches and best == 3 and chosen.config.kind is not LabelKind.columns:
        other = detect_columns(file, switches)
        chosen = replace(chosen, alternatives=[*chosen.alternatives, (other.config, f"if {other.seen}")])
    return chosen


def _rank_layouts(
    file: str, columns: Sequence[Column], switches: Sequence[Column], path: Path | None
) -> tuple[dict[int, list[Layout]], list[UserError]]:
    """Return the layouts that fit by rank, and why columns that are named like labels cannot be read."""
    ranked: dict[int, list[Layout]] = {}
    unreadable: list[UserError] = []
    numbered = _find_numbered(columns)
    for group, rank in ((numbered, 3), (switches, 2)):
        if group:
            ranked.setdefault(rank, []).append(detect_columns(file, group))
    for column in columns:
        is_named = _LABEL_NAME.fullmatch(_last_key(column.name)) is not None
        is_taken = column in numbered or (column in switches and not is_named)
        if not column.sample or is_taken or (ID_NAME.fullmatch(column.name) and not is_named):
            continue
        try:
            layout = detect_layout(file, column, path)
        except UserError as error:
            if is_named:
                unreadable.append(error)
            continue
        rank = 3 if is_named else _rank(column, layout)
        if not column.is_text or _is_divided(column, layout):
            ranked.setdefault(rank, []).append(layout)
    return ranked, unreadable


def _last_key(name: str) -> str:
    return name.rpartition(".")[2]


def _rank(column: Column, layout: Layout) -> int:
    """Return 0 if the values of a column are not labels, 1 if each is one, and 2 if a value may be several."""
    if not _is_categorical(column, layout):
        return 0
    return 1 if layout.config.kind in (LabelKind.single, LabelKind.indices) else 2


def _is_categorical(column: Column, layout: Layout) -> bool:
    labels = _read_labels(column, layout)
    return 2 <= len(set(labels)) <= 0.5 * len(labels) and not column.is_numeric


def _is_divided(column: Column, layout: Layout) -> bool:
    kind = layout.config.kind
    if kind is LabelKind.separated:
        return _is_categorical(column, layout) and layout.config.separator != " "
    return kind is not LabelKind.single


def _find_numbered(columns: Sequence[Column]) -> list[Column]:
    """Return columns called label1, label2, and so on, unless they hold 1 and 0."""
    groups: dict[str, list[Column]] = {}
    for column in columns:
        match = _NUMBERED.fullmatch(column.name)
        if match and _LABEL_NAME.fullmatch(match[1]) and column.is_plain and not _is_switch(column):
            groups.setdefault(match[1], []).append(column)
    return max(groups.values(), key=len, default=[]) if any(len(group) > 1 for group in groups.values()) else []


def _find_switches(columns: Sequence[Column]) -> list[Column]:
    """Return the columns that hold 1 and 0 if there are several; those called label_bug alone if some are."""
    switches = [column for column in columns if _is_switch(column)]
    prefixed = [column for column in switches if _NAME_PREFIX.match(column.name)]
    chosen = prefixed if len(prefixed) > 1 else switches
    return chosen if len(chosen) > 1 else []


def _leave_out_paths(layouts: list[Layout]) -> list[Layout]:
    """Return the layouts without paths into another candidate, as `topic.name` is into `topic`."""
    names = [str(layout.config.column) for layout in layouts]
    return [
        layout for layout in layouts if not str(layout.config.column).startswith(tuple(f"{name}." for name in names))
    ]

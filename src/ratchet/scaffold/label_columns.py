"""Find the labels in a table: one column, a column for each label, several columns of names, or several rows."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ratchet.config import LabelKind, LabelsConfig
from ratchet.data.label_kinds import fold
from ratchet.data.values import is_plain, to_string
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import ID_NAME, Column, is_empty
from ratchet.scaffold.label_layouts import (
    UNKNOWN,
    Layout,
    detect_layout,
    find_separators,
    make_exclusive,
    read_labels,
)

_LABEL_NAME = re.compile(
    r"(.*[_ .-])?(labels?|tags?|topics?|class(es)?|categor(y|ies)|targets?|intents?|genres?|themes?|subjects_?tags?|"
    r"kategorien?|themen?|schlagw(ort|orte|örter)|klassen?)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(.*?)[ _.-]?\d+")
_NAME_PREFIX = re.compile(r"(labels?|tags?|topics?|class|category|target|intent)[_ .:-]+", re.IGNORECASE)
_TRUE = {"1", "true", "yes", "t", "y"}
_FALSE = {"0", "false", "no", "f", "n"}
_LEAST_SHARE = 0.2  # of the rows that repeat a record with another label, for one row per label


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
    """Return whether a column holds 1 and 0, true and false, or the like, in some rows perhaps what means unknown."""
    values = {fold(text) for text in column.counts}
    return column.is_plain and bool(values & (_TRUE | _FALSE)) and values <= (_TRUE | _FALSE | UNKNOWN)


def _describe_switches(columns: Sequence[Column]) -> Layout:
    texts = [text for column in columns for text in column.counts]
    unknown = sorted({text for text in texts if fold(text) in UNKNOWN})
    if any(column.num_empty for column in columns):
        unknown.append("")
    config = LabelsConfig(columns=[column.name for column in columns], kind=LabelKind.columns, unknown=unknown)
    if all(_NAME_PREFIX.match(column.name) for column in columns):
        prefixes = {match[0] for column in columns if (match := _NAME_PREFIX.match(column.name))}
        config = replace(config, prefix=prefixes.pop()) if len(prefixes) == 1 else config
    pairs = {text for text in texts if fold(text) in _TRUE | _FALSE}
    seen = f"{len(columns)} columns, one for each label, with {' or '.join(sorted(pairs))}"
    if unknown:
        shown = " or ".join(value or "an empty cell" for value in unknown)
        seen += f"; {shown} means that it is not known whether a record has the label"
        if not any(fold(text) in _FALSE for text in texts):
            seen += ". No cell says that a record lacks a label: write 0 into such cells"
    return make_exclusive(Layout(config, seen), _count_true(columns))


def _count_true(columns: Sequence[Column]) -> list[int]:
    """Return the number of labels in each row."""
    rows = zip(*(column.values for column in columns), strict=True)
    return [sum(is_plain(value) and fold(to_string(value)) in _TRUE for value in row) for row in rows]


def guess_labels(file: str, columns: Sequence[Column], path: Path | None = None) -> Layout:
    """Return the layout of the column, or columns, that hold the labels. `path` is the data file.

    Raises:
        UserError: no column looks like labels, or several do; lists the candidates.
    """
    ranked: dict[int, list[Layout]] = {}
    unreadable: list[UserError] = []
    numbered = _find_numbered(columns)
    switches = _find_switches(columns)
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
    best = max((rank for rank in ranked if rank > 0), default=0)
    if unreadable and best < 3:
        raise unreadable[0]
    if not best:
        raise UserError(f"{file}: no column looks like labels: name it with labels=NAME, or labels=NAME,NAME")
    candidates = _leave_out_paths(ranked[best])
    if len(candidates) > 1:
        names = ", ".join(f"labels={','.join(_list_columns(layout.config))}" for layout in candidates)
        raise UserError(f"{file}: several columns may hold the labels: choose one of {names}")
    chosen = candidates[0]
    if switches and best == 3 and chosen.config.kind is not LabelKind.columns:
        other = detect_columns(file, switches)
        chosen = replace(chosen, alternatives=[*chosen.alternatives, (other.config, f"if {other.seen}")])
    return chosen


def _last_key(name: str) -> str:
    return name.rpartition(".")[2]


def _list_columns(config: LabelsConfig) -> list[str]:
    return [str(config.column)] if config.columns is None else config.columns


def _rank(column: Column, layout: Layout) -> int:
    """Return 0 if the values of a column are no labels, 1 if each is one, and 2 if a value may be several."""
    if not _is_categorical(column, layout):
        return 0
    return 1 if layout.config.kind in (LabelKind.single, LabelKind.indices) else 2


def _is_categorical(column: Column, layout: Layout) -> bool:
    labels = read_labels(column, layout)
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
    """Leave out paths into a column that is a candidate itself, as `topic.name` besides `topic`."""
    names = [str(layout.config.column) for layout in layouts]
    return [layout for layout in layouts if not str(layout.config.column).startswith(tuple(f"{n}." for n in names))]


def find_divided(label: Column, texts: Sequence[Column], identifier: Column | None) -> tuple[int, int] | None:
    """Return the numbers of rows and of records if each row has one label of a record; None otherwise.

    A record then repeats its text and id with different labels, and hardly ever with the same one.
    """
    keys = list(zip(*(map(_freeze, column.values) for column in texts), strict=True))
    ids = keys if identifier is None else [(_freeze(value),) for value in identifier.values]
    text_of: dict[Any, Any] = {}
    labels_of: dict[Any, set[str]] = {}
    num_same = 0
    for key, text, value in zip(ids, keys, label.values, strict=True):
        if is_empty(value):
            continue
        if text_of.setdefault(key, text) != text:
            return None  # the id of something else, such as a customer
        labels = labels_of.setdefault(key, set())
        num_same += _freeze(value) in labels
        labels.add(_freeze(value))
    num_rows = sum(map(len, labels_of.values()))
    num_divided = sum(len(labels) for labels in labels_of.values() if len(labels) > 1)
    least = _LEAST_SHARE if identifier is None else 0.02
    if not num_rows or num_divided < least * num_rows or num_same > 0.1 * num_divided:
        return None
    return num_rows + num_same, len(labels_of)


def _freeze(value: Any) -> str:
    return to_string(value).strip() if is_plain(value) else repr(value)

"""Detect how labels are written in a column, and which column holds them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ratchet.config import LabelKind, LabelsConfig
from ratchet.data.values import to_string
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import ID_NAME, SAMPLE, Column

_LABEL_NAME = re.compile(
    r"(.*[_ .-])?(labels?|tags?|topics?|class(es)?|categor(y|ies)|targets?|intents?|genres?|themes?|subjects_?tags?|"
    r"kategorien?|themen?|schlagw(ort|orte|örter)|klassen?)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Layout:
    """The layout of the labels, the evidence for it, and other layouts that would fit, each with a reason."""

    config: LabelsConfig
    seen: str
    alternatives: list[tuple[LabelsConfig, str]] = field(default_factory=list)


def detect_layout(file: str, column: Column) -> Layout:
    """Return how the labels of a column are written.

    Raises:
        UserError: the column is empty, holds ids or free text, or a layout that Ratchet does not read.
    """
    where = f"{file}: column {column.name!r}"
    if not column.sample:
        raise UserError(f"{where} has no value, so it cannot hold the labels: choose another with labels=NAME")
    layout = _detect_list(where, column) if column.is_list else _detect_in_texts(where, column)
    labels = _split_labels(column, layout.config)
    if len(labels) >= 10 and len(set(labels)) > 0.9 * len(labels):
        raise UserError(
            f"{where} does not look like labels: {len(set(labels)):,} different values in {len(labels):,}. "
            "Labels occur several times: choose another column with labels=NAME"
        )
    return layout


def _split_labels(column: Column, config: LabelsConfig) -> list[str]:
    if config.kind is LabelKind.list:
        return [to_string(item) for value in column.sample if isinstance(value, list) for item in value]
    if config.kind is LabelKind.single:
        return column.texts
    return [part for text in column.texts for part in _split(text, config.separator)]


def _detect_list(where: str, column: Column) -> Layout:
    lists = [value for value in column.sample if isinstance(value, list)]
    nested = [item for value in lists for item in value if isinstance(item, (list, dict))]
    if nested:
        kind = "lists" if isinstance(nested[0], list) else "objects"
        raise UserError(f"{where} has lists of {kind}. Ratchet reads lists of names: write each label as a text")
    seen = f"lists in {_count(len(lists), column)}, {sum(map(len, lists)) / len(lists):.1f} labels in a list"
    if all(isinstance(item, int) for value in lists for item in value):
        seen += "; the labels are numbers: for indices into a label file set kind: indices and names: {path: FILE}"
    return Layout(LabelsConfig(column=column.name, kind=LabelKind.list), seen)


def _detect_in_texts(where: str, column: Column) -> Layout:
    if not column.is_plain:
        raise UserError(f"{where} has objects or a mixture of lists and texts. Write each list as a JSON list of names")
    for pattern, description, example in _UNREADABLE:
        matching = [text for text in column.texts if pattern.fullmatch(text)]
        if len(matching) > 0.5 * len(column.texts):
            raise UserError(
                f"{where}: {description}, as {matching[0][:60]!r}. Ratchet reads lists in JSON, JSON Lines or Parquet, "
                f"and texts with one separator: convert the column, for example to {example!r}"
            )
    separators = _find_separators(column)
    single = LabelsConfig(column=column.name, kind=LabelKind.single)
    splits = [
        (
            LabelsConfig(column=column.name, kind=LabelKind.separated, separator=separator),
            f"{_describe(separator)} between labels in {_count(number, column)}",
        )
        for separator, number in separators.items()
    ]
    if splits:
        config, seen = splits[0]
        whole = (single, f"if the {len(column.counts):,} different values are one label each")
        return Layout(config, seen, [*splits[1:], *([whole] if len(column.counts) <= 50 else [])])
    seen = f"one label in each row, {len(column.counts):,} different labels: multi-class"
    inside = next((mark for mark in ";|," if any(mark in text for text in column.counts)), None)
    alternatives = []
    if inside is not None:
        number = sum(inside in text for text in column.texts)
        seen += (
            f"; {_count(number, column)} have {_describe(inside)}, but what it divides does not occur in other values"
        )
        reason = f"if {_describe(inside)} divides labels"
    elif column.num_empty:
        inside, reason = ";", f"if the {column.num_empty:,} rows without a label are right (multi-label)"
    if inside is not None:
        separated = LabelsConfig(column=column.name, kind=LabelKind.separated, separator=inside)
        alternatives.append((separated, reason))
    return Layout(single, seen, alternatives)


_SWITCH = {"0", "1"}
_UNREADABLE = (
    (re.compile(r"\[.*\]", re.DOTALL), "lists are written as text", "bug;login"),
    (re.compile(r"\{.*\}", re.DOTALL), "sets or objects are written as text", "bug;login"),
    (re.compile(r"(<[^<>]+>)+"), "labels are in angle brackets", "bug;login"),
)


def _find_separators(column: Column) -> dict[str, int]:
    """Return the separators that divide values into labels, most frequent first, with the number of values divided.

    A part of a value that is a label occurs in other values, too. This is required of a separator that names of labels
    contain ("Credit card, prepaid card"), and not of ";" and "|".
    """
    num_divided: dict[str, int] = {}
    for separator, least in ((";", 0.0), ("|", 0.0), (",", 0.4), ("/", 0.8), (" ", 0.8)):
        parts_of = {text: _split(text, separator) for text in column.counts}
        divided = {text: parts for text, parts in parts_of.items() if len(parts) > 1}
        if not divided or (separator == " " and (num_divided or column.words_per_value > 4)):
            continue
        values_with = Counter(part for parts in parts_of.values() for part in set(parts))
        shared = sum(all(values_with[part] > 1 for part in parts) for parts in divided.values()) / len(divided)
        words = [len(part.split()) for parts in divided.values() for part in parts]
        if shared >= least and sum(words) <= 4 * len(words):
            num_divided[separator] = sum(column.counts[text] for text in divided)
    return dict(sorted(num_divided.items(), key=lambda item: -item[1]))


def _split(text: str, separator: str) -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def _describe(separator: str) -> str:
    return "a space" if separator == " " else f'"{separator}"'


def _count(number: int, column: Column) -> str:
    """Return "312 of 500 rows", and say so if these are a sample."""
    sampled = " sampled" if len(column.values) > SAMPLE else ""
    return f"{number:,} of {len(column.sample):,}{sampled} rows"


def guess_labels(file: str, columns: Sequence[Column]) -> Layout:
    """Return the layout of the column that holds the labels.

    Raises:
        UserError: no column looks like labels, or several do; lists the candidates.
    """
    ranked: dict[int, list[Layout]] = {}
    unreadable: list[UserError] = []
    for column in columns:
        is_named = _LABEL_NAME.fullmatch(column.name) is not None
        if not column.sample or (ID_NAME.fullmatch(column.name) and not is_named):
            continue
        try:
            layout = detect_layout(file, column)
        except UserError as error:
            if is_named:
                unreadable.append(error)
            continue
        labels = _split_labels(column, layout.config)
        is_categorical = 2 <= len(set(labels)) <= 0.5 * len(labels) and not column.is_numeric
        is_divided = layout.config.kind is LabelKind.list or (is_categorical and layout.config.separator != " ")
        if column.is_text and (layout.config.kind is LabelKind.single or not is_divided):
            continue
        rank = 3 if is_named else 0 if not is_categorical else 1 if layout.config.kind is LabelKind.single else 2
        ranked.setdefault(rank, []).append(layout)
    best = max((rank for rank in ranked if rank > 0), default=0)
    if unreadable and best < 3:
        raise unreadable[0]
    if not best:
        switches = [column.name for column in columns if column.counts and set(column.counts) <= _SWITCH]
        if len(switches) > 1:
            raise UserError(
                f"{file}: the labels seem to be in a column each ({', '.join(switches[:4])}), as 0 and 1. Ratchet "
                'reads one column: write the names of the labels of a row into it, as "bug;login"'
            )
        raise UserError(f"{file}: no column looks like labels: name it with labels=NAME")
    if len(ranked[best]) > 1:
        names = ", ".join(f"labels={layout.config.column}" for layout in ranked[best])
        raise UserError(f"{file}: several columns may hold the labels: choose one of {names}")
    return ranked[best][0]

"""Recognise tables with one row for each label: the rows of a record repeat its text or its id."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ratchet.config import LabelKind
from ratchet.data.row_filter import Where
from ratchet.data.values import is_plain, to_string
from ratchet.scaffold.column_roles import Column, find_repeated, is_empty, make_path
from ratchet.scaffold.label_layouts import Layout

_LEAST_SHARE = 0.2  # of the rows that repeat a text with another label, for one row per label
_LEAST_SHARE_OF_IDS = 0.02  # with an id, which is better evidence


def join_rows(
    layout: Layout, columns: Mapping[str, Column], text: Sequence[str], ids: Iterable[str], *, by_text: bool
) -> tuple[Layout, str | None] | None:
    """Return the layout of one row per label, and the id that the rows of a record repeat; None if they are records.

    Args:
        layout: that of one label in each row.
        columns: those of the rows that are used.
        text: the columns of the text.
        ids: columns that may be the id.
        by_text: whether rows with the same text may be one record; it then has no id.
    """
    label = columns[str(layout.config.column)]
    texts = [columns[name] for name in text]
    candidates = [columns[name] for name in ids if name != label.name and name not in text]
    for key in (*filter(find_repeated, candidates), *([None] if by_text else [])):
        counts = _count_records(label, texts, key)
        if counts is not None:
            num_rows, num_records = counts
            what = "the text" if key is None else key.name
            seen = f"one row for each label: {num_rows:,} rows of {num_records:,} records, which repeat {what}"
            single = (replace(layout.config, one=None), "if each row is a record of its own")
            config = replace(layout.config, kind=LabelKind.rows)
            return replace(layout, config=config, seen=seen, alternatives=[single]), None if key is None else key.name
    return None


def _count_records(label: Column, texts: Sequence[Column], identifier: Column | None) -> tuple[int, int] | None:
    """Return the numbers of rows and of records if each row has one label of a record; None otherwise.

    A record then repeats its text and id with different labels, and rarely with the same one.
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
    least = _LEAST_SHARE if identifier is None else _LEAST_SHARE_OF_IDS
    if not num_rows or num_divided < least * num_rows or num_same > 0.1 * num_divided:
        return None
    return num_rows + num_same, len(labels_of)


def _freeze(value: Any) -> str:
    return to_string(value).strip() if is_plain(value) else repr(value)


def select_rows(columns: Mapping[str, Column], where: Mapping[str, Any]) -> Mapping[str, Column]:
    """Return the columns of the rows that data.filter.where keeps."""
    filters = [Where(name, wanted, []) for name, wanted in where.items()]
    if not filters:
        return columns
    kept = [
        all(item.keeps({item.column: value}) for item, value in zip(filters, values, strict=True))
        for values in zip(*(_get_values(columns, item.column) for item in filters), strict=True)
    ]
    return {
        name: Column(name, [value for value, is_kept in zip(column.values, kept, strict=True) if is_kept])
        for name, column in columns.items()
    }


def _get_values(columns: Mapping[str, Column], name: str) -> list[Any]:
    column = columns.get(name) or make_path(columns, name)
    return [] if column is None else column.values

"""Detect labels in cells that are lists or objects: names, objects with a key of the name, scores, vectors."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ratchet.config import LabelKind, LabelsConfig
from ratchet.data.values import is_plain, to_string
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import Column, holds_scores
from ratchet.scaffold.label_layouts import Layout, add_levels, add_prefix, count_rows, explain_unknown, make_exclusive
from ratchet.scaffold.label_numbers import are_vectors, detect_numbers, detect_vectors, is_number

_NAME_KEYS = ("name", "label", "title", "text", "tag", "topic", "class", "category", "choices", "value", "slug")
_SPANS = ("start", "end", "start_offset", "end_offset")


def detect_in_lists(where: str, column: Column, cells: list[Any], path: Path | None) -> Layout:
    """Return the layout of labels in lists or objects. `cells` are the opened values, `path` is the data file.

    Raises:
        UserError: they are spans, lists of lists, objects without a name, or mixed with other texts.
    """
    objects = [cell for cell in cells if isinstance(cell, dict)]
    lists = [cell for cell in cells if isinstance(cell, list)]
    words = [cell for cell in cells if is_plain(cell)]
    if objects and not lists and not words and holds_scores([to_numbers(item) for item in objects]):
        return detect_scores(column, objects)
    items = [item for cell in lists for item in cell]
    inner = [item for item in items if isinstance(item, dict)]
    if any(isinstance(item, list) for item in items):
        raise _explain_lists(where, items)
    if objects or inner:
        return _detect_keyed(where, column, [*objects, *inner], is_single=not lists)
    return _detect_names(where, column, lists, words, path)


def _detect_names(where: str, column: Column, lists: list[list[Any]], words: list[Any], path: Path | None) -> Layout:
    """Return the layout of lists of names or numbers; `words` are the cells that are not lists."""
    items = [item for cell in lists for item in cell]
    written = " as text" if all(isinstance(value, str) for value in column.sample) else ""
    seen = f"lists{written} in {count_rows(len(lists), column)}, {len(items) / max(1, len(lists)):.1f} labels in a list"
    if words:
        if written:
            raise UserError(
                f"{where} has lists as text in {count_rows(len(lists), column)} and other texts, as {words[0]!r}. "
                "Write every cell as a list, as ['bug']"
            )
        config = LabelsConfig(column=column.name, kind=LabelKind.names)
        return Layout(config, f"{seen}; one label as text in {count_rows(len(words), column)}")
    if are_vectors(lists):
        return detect_vectors(where, column, lists, path)
    if all(is_number(item) for item in items):
        return detect_numbers(LabelsConfig(column=column.name, kind=LabelKind.list), items, seen, path)
    names = [to_string(item) for item in items]
    config, comment = add_levels(add_prefix(LabelsConfig(column=column.name, kind=LabelKind.list), names), names)
    alternatives = []
    if all(len(cell) == 1 for cell in lists) and not column.num_empty:
        alternatives.append((replace(config, one=True), "if no record can have two labels (multi-class)"))
    return Layout(config, f"{seen}{comment}", alternatives)


def _explain_lists(where: str, items: Sequence[Any]) -> UserError:
    """Return the error about lists of lists, which are spans or something else."""
    first = next(item for item in items if isinstance(item, list))
    if len(first) == 3 and isinstance(first[0], int) and isinstance(first[1], int) and isinstance(first[2], str):
        return UserError(
            f"{where} has spans, as {first[:3]!r}: a label of some words, with their start and end. Ratchet gives "
            "labels to whole texts: choose another column with labels=NAME, or export labels of documents"
        )
    return UserError(f"{where} has lists of lists. Ratchet reads lists of names: write each label as a text")


def _detect_keyed(where: str, column: Column, objects: Sequence[dict[Any, Any]], *, is_single: bool) -> Layout:
    """Return the layout of labels that are objects: the name is the value of a key."""
    if all(sum(key in item for key in _SPANS) >= 2 for item in objects):
        raise UserError(
            f"{where} has spans: a label of some words, with their start and end. Ratchet gives labels to whole texts: "
            "choose another column with labels=NAME"
        )
    keys = _rank_keys(objects)
    if not keys:
        shown = ", ".join(map(str, list(objects[0])[:6])) or "they are empty"
        raise UserError(f"{where} has objects, and none of their keys holds a name in each of them: {shown}")
    is_single = is_single and not any(isinstance(item.get(keys[0]), list) for item in objects)
    kind = LabelKind.single if is_single and not column.num_empty else LabelKind.list
    config = LabelsConfig(column=column.name, kind=kind, key=keys[0])
    what = "an object for the label" if is_single else "labels are objects"
    others = [(replace(config, key=key), f"if {key} holds the name") for key in keys[1:3]]
    return Layout(config, f"{what}, whose key {keys[0]} holds the name", others)


def _rank_keys(objects: Sequence[dict[Any, Any]]) -> list[str]:
    """Return the keys that hold a name in nearly every object, most likely first."""
    ranks: dict[str, tuple[int, int]] = {}
    for key in dict.fromkeys(key for item in objects for key in item if isinstance(key, str)):
        values = [item[key] for item in objects if item.get(key) is not None]
        names = [name for value in values for name in (value if isinstance(value, list) else [value])]
        if len(values) < 0.9 * len(objects) or not names or not all(isinstance(name, str) for name in names):
            continue
        rank = _NAME_KEYS.index(key.lower()) if key.lower() in _NAME_KEYS else len(_NAME_KEYS)
        ranks[key] = (rank, len(set(names)))
    return sorted(ranks, key=lambda key: ranks[key])


def detect_scores(column: Column, objects: Sequence[dict[Any, Any]]) -> Layout:
    """Return the layout of objects with a score for each label."""
    scores = [score for item in objects for score in to_numbers(item).values()]
    unknown = ["-1"] if any(score == -1 for score in scores) else []
    config = LabelsConfig(column=column.name, kind=LabelKind.scores, unknown=unknown)
    return make_exclusive(
        Layout(
            config,
            f"objects with a score for each label, {len({key for item in objects for key in item}):,} labels; a record "
            f"has those of {config.positive} and more{explain_unknown(unknown)}",
        ),
        [sum(score >= config.positive for score in to_numbers(item).values()) for item in objects],
    )


def to_numbers(item: dict[Any, Any]) -> dict[Any, Any]:
    """Return an object with its numbers parsed, where they are written as text."""
    return {key: _parse_number(value) if isinstance(value, str) else value for key, value in item.items()}


def _parse_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text

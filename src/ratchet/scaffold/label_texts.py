"""Detect labels in cells that are texts: one label, several with a separator, pairs with scores, vectors."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ratchet.config import LabelKind, LabelsConfig
from ratchet.data.label_cells import looks_like_list, parse_pairs
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import Column, holds_scores
from ratchet.scaffold.label_layouts import Layout, add_levels, add_prefix, count_rows, describe_separator
from ratchet.scaffold.label_lists import detect_scores, to_numbers
from ratchet.scaffold.label_numbers import are_vectors, detect_numbers, detect_vectors, is_number

_BITS = re.compile(r"[01]{2,}|[01]([ ,]+[01])+")
_ANGLES = re.compile(r"(<[^<>]+>)+")


def detect_in_texts(where: str, column: Column, path: Path | None) -> Layout:
    """Return the layout of labels that are written as texts or numbers. `path` is the data file.

    Raises:
        UserError: the texts are lists in another notation than JSON or Python, or vectors without a label file.
    """
    _refuse_unreadable(where, column)
    if all(_BITS.fullmatch(text) for text in column.counts):
        vectors = [re.findall("[01]", text) for text in column.texts]
        if are_vectors(vectors):
            return detect_vectors(where, column, vectors, path)
    pairs = _detect_pairs(column)
    if pairs is not None:
        return pairs
    single = LabelsConfig(column=column.name, kind=LabelKind.single)
    is_path = bool(add_levels(single, column.texts)[1])  # the spaces of "app > login" do not divide labels
    separators = {mark: n for mark, n in find_separators(column).items() if not is_path or mark in ";|,"}
    splits = [
        (
            LabelsConfig(column=column.name, kind=LabelKind.separated, separator=separator),
            f"{describe_separator(separator)} between labels in {count_rows(number, column)}",
        )
        for separator, number in separators.items()
    ]
    if splits:
        config, seen = splits[0]
        whole = (single, f"if the {len(column.counts):,} different values are one label each")
        parts = [part for text in column.texts for part in _split_text(text, config.separator)]
        if all(map(is_number, parts)):
            return detect_numbers(config, parts, seen, path)
        config, comment = add_levels(add_prefix(config, parts), parts)
        return Layout(config, f"{seen}{comment}", [*splits[1:], *([whole] if len(column.counts) <= 50 else [])])
    if all(map(is_number, column.sample)):
        seen = f"a number in each row, {len(column.counts):,} different ones: multi-class"
        return detect_numbers(single, column.texts, seen, path)
    return _detect_single(column, add_prefix(single, column.texts))


def _detect_single(column: Column, single: LabelsConfig) -> Layout:
    seen = f"one label in each row, {len(column.counts):,} different labels: multi-class"
    leveled, comment = add_levels(single, column.texts)
    if comment:
        seen = f"one label in each row, {len(column.counts):,} different labels{comment}"
        return Layout(replace(leveled, one=False), seen, [(single, "if a record has its lowest level only")])
    inside = next((mark for mark in ";|," if any(mark in text for text in column.counts)), None)
    reason = ""
    if inside is not None:
        number = sum(inside in text for text in column.texts)
        seen += (
            f"; {count_rows(number, column)} have {describe_separator(inside)}, but what it divides does not occur in "
            "other values"
        )
        reason = f"if {describe_separator(inside)} divides labels"
    elif column.num_empty:
        inside, reason = ";", f"if the {column.num_empty:,} rows without a label are right (multi-label)"
    if inside is None:
        return Layout(single, seen)
    separated = replace(single, kind=LabelKind.separated, separator=inside)
    return Layout(single, seen, [(separated, reason)])


def _refuse_unreadable(where: str, column: Column) -> None:
    for is_unreadable, description in (
        (looks_like_list, "lists or objects are written as text, but neither as JSON nor as Python writes them"),
        (_ANGLES.fullmatch, "labels are in angle brackets"),
    ):
        matching = [text for text in column.texts if is_unreadable(text)]
        if len(matching) > 0.5 * len(column.texts):
            raise UserError(
                f"{where}: {description}, as {matching[0][:60]!r}. Ratchet reads lists in JSON and Python, and texts "
                "with one separator: convert the column, for example to 'bug;login'"
            )


def _detect_pairs(column: Column) -> Layout | None:
    """Return the layout of pairs with scores, as in `bug:0.9;slow:0.1`; None if the texts are something else."""
    for separator in (";", "|", ",", "\n", " "):
        pairs = [parse_pairs(text, separator) for text in column.texts]
        objects = [to_numbers(item) for item in pairs if item is not None]
        if len(objects) == len(pairs) and holds_scores(objects) and any(len(item) > 1 for item in objects):
            layout = detect_scores(column, objects)
            config = replace(layout.config, separator=separator)
            others = [(replace(other, separator=separator), reason) for other, reason in layout.alternatives]
            seen = layout.seen.replace("objects", f"texts with {describe_separator(separator)} between pairs", 1)
            return Layout(config, seen, others)
    return None


def find_separators(column: Column) -> dict[str, int]:
    """Return the separators that divide values into labels, most frequent first, with the number of values divided.

    A part of a value that is a label occurs in other values, too. This is required of a separator that names of labels
    contain ("Credit card, prepaid card"), and not of ";" and "|".
    """
    num_divided: dict[str, int] = {}
    for separator, least in ((";", 0.0), ("|", 0.0), (",", 0.4), ("/", 0.8), (" ", 0.8)):
        parts_of = {text: _split_text(text, separator) for text in column.counts}
        divided = {text: parts for text, parts in parts_of.items() if len(parts) > 1}
        if not divided or (separator == " " and (num_divided or column.words_per_value > 4)):
            continue
        values_with = Counter(part for parts in parts_of.values() for part in set(parts))
        shared = sum(all(values_with[part] > 1 for part in parts) for parts in divided.values()) / len(divided)
        words = [len(part.split()) for parts in divided.values() for part in parts]
        if shared >= least and sum(words) <= 4 * len(words):
            num_divided[separator] = sum(column.counts[text] for text in divided)
    return dict(sorted(num_divided.items(), key=lambda item: -item[1]))


def _split_text(text: str, separator: str) -> list[str]:
    """Return the parts of a text that are not blank."""
    return [part.strip() for part in text.split(separator) if part.strip()]

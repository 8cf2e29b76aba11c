"""Read labels as each kind writes them: one function for each `LabelKind`."""

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ratchet.config import LabelKind
from ratchet.data.label_cells import LabelSet, fold, looks_like_list, object_error, parse_cell, parse_pairs
from ratchet.data.values import BadValue, describe_type, is_plain, to_string

if TYPE_CHECKING:
    from ratchet.data.labels import LabelParser

_JOINED_PAIR = re.compile(r"\S\s*:\s*[-+]?(\d+\.\d*|\.\d+|[01])\s*\W\s*\S")  # a label, its score and another label


def _wrong_kind(parser: "LabelParser", value: Any) -> BadValue:
    kind = parser.config.kind.name
    if value is None:
        return BadValue(
            "bad labels", f'{parser.column} is empty: set data.labels.unknown=[""] if that means that it is unknown'
        )
    return BadValue(
        "bad labels",
        f"{parser.column} must hold labels of kind {kind}, but holds {describe_type(value)}: {str(value)[:40]!r} "
        "(data.labels.kind: list, separated, indices, single, and others)",
    )


def _read_list(parser: "LabelParser", cells: list[Any]) -> LabelSet:
    return _refuse_vector(parser, parser.read_labels(_list_items(parser, cells[0])))


def _list_items(parser: "LabelParser", value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    if isinstance(value, str):
        parsed = parse_cell(value.strip())
        if parsed is not None:
            return parsed if isinstance(parsed, list) else (parsed,)
        is_word = not looks_like_list(value)
        if is_word and (parser.config.key is not None or parser.is_unknown(value)):
            return (value,)  # tools such as Label Studio write one label as it is, and several as an object
        if not is_word:
            message = f"{parser.column} holds {value.strip()[:40]!r}, which is neither a JSON nor a Python list"
            raise BadValue("bad labels", message)
    elif isinstance(value, dict):
        return (value,)
    elif isinstance(value, list):
        return value
    elif is_plain(value) and parser.is_unknown(to_string(value)):
        return (value,)
    raise _wrong_kind(parser, value)


def _refuse_vector(parser: "LabelParser", found: LabelSet) -> LabelSet:
    """Refuse 0 and 1, or true and false, for each label: no label is twice in one record."""
    if len(set(found.positive)) < len(found.positive) and _are_flags(found.positive):
        raise BadValue(
            "bad labels",
            f"{parser.column} holds {found.positive[0]!r} and the like several times in one record: a vector of 0 "
            "and 1 is data.labels.kind=binary",
        )
    return found


def _are_flags(labels: Sequence[str]) -> bool:
    """Return whether all labels are 0 or 1, or all are true or false: these are no names."""
    values = {label.casefold() for label in labels}
    return bool(values) and (values <= {"0", "1"} or values <= {"false", "true"})


def _read_separated(parser: "LabelParser", cells: list[Any]) -> LabelSet:
    value = cells[0]
    if isinstance(value, list):
        return _refuse_vector(parser, parser.read_labels(value))
    if value is None:
        return LabelSet(())
    if not isinstance(value, str):
        if isinstance(value, dict):
            return parser.read_labels((value,))
        if is_plain(value) and parser.is_unknown(to_string(value)):
            return LabelSet((), (), True)
        raise _wrong_kind(parser, value)
    _refuse_structure(parser, value, always=True)
    return _refuse_vector(parser, parser.read_labels(value.split(parser.config.separator)))


def _refuse_structure(parser: "LabelParser", value: str, *, always: bool = False) -> None:
    """Refuse a text that is a list or an object; with `always`, also one that only looks so."""
    text = value.strip()
    if not looks_like_list(text):
        return
    parsed = parse_cell(text)
    if isinstance(parsed, dict):
        needs_list = parser.config.kind is not LabelKind.list and any(
            isinstance(part, list) for part in parsed.values()
        )
        raise object_error(parser.column, parsed, "data.labels.kind=list and data.labels.key" if needs_list else None)
    if parsed is None and always:
        raise BadValue(
            "bad labels",
            f"{parser.column} holds {text[:40]!r}, a list without quotes: write each name in quotes and set "
            "data.labels.kind=list, or remove the brackets",
        )
    if parsed is not None:
        one = " and data.labels.one=true" if parser.is_one else ""
        raise BadValue("bad labels", f"{parser.column} holds the list {text[:40]!r}: set data.labels.kind=list{one}")


def _read_single(parser: "LabelParser", cells: list[Any]) -> LabelSet:
    value = cells[0]
    if isinstance(value, str):
        parsed = parse_cell(value.strip()) if parser.config.key is not None else None
        if isinstance(parsed, dict):
            value = parsed
        else:
            _refuse_structure(parser, value)
    if isinstance(value, list):
        raise BadValue(
            "bad labels",
            f"{parser.column} holds a list where a label should be: set data.labels.kind=list"
            f"{' and data.labels.one=true' if parser.is_one else ''}",
        )
    return parser.read_labels((value,))


def _read_names(parser: "LabelParser", cells: list[Any]) -> LabelSet:
    values = [value for cell in cells for value in (cell if isinstance(cell, list) else [cell])]
    for value in values:
        if isinstance(value, str):
            _refuse_structure(parser, value)
    found = parser.read_labels(values)
    if len(cells) > 1 and _are_flags(found.positive):
        shown = " and ".join(sorted(set(found.positive)))
        raise BadValue("bad labels", f"{parser.column} hold only {shown}: set data.labels.kind=columns")
    return found


def _read_columns(parser: "LabelParser", cells: list[Any]) -> LabelSet:
    return _read_vector(parser, parser.columns, cells)


def _read_vector(parser: "LabelParser", places: Sequence[str], values: Sequence[Any]) -> LabelSet:
    positive, unknown = [], []
    for label, place, value in zip(parser.vector_labels, places, values, strict=True):
        truth = parser.read_truth(value, place)
        if truth:
            positive.append(label)
        elif truth is None:
            unknown.append(label)
    return LabelSet(tuple(positive), tuple(unknown))


def _read_binary(parser: "LabelParser", cells: list[Any]) -> LabelSet:
    value, names = cells[0], parser.names
    values = value
    if isinstance(value, str):
        text = value.strip()
        parsed = parse_cell(text)
        values = (
            parsed if isinstance(parsed, list) else text.replace(parser.config.separator, ",").replace(",", " ").split()
        )
        if len(values) == 1 and len(text) == len(names) and set(text) <= {"0", "1"}:
            values = list(text)  # 0101
    if not isinstance(values, list):
        raise _wrong_kind(parser, value)
    if len(values) != len(names):
        raise BadValue(
            "bad labels",
            f"{parser.column} holds {len(values)} values, but the label file has {len(names)} names: for numbers of "
            "labels, set data.labels.kind=indices",
        )
    return _read_vector(parser, [parser.column] * len(names), values)


def _read_indices(parser: "LabelParser", cells: list[Any]) -> LabelSet:
    value = cells[0]
    if isinstance(value, str):
        parsed = parse_cell(value.strip())
        value = parsed if isinstance(parsed, list) else value.split(parser.config.separator)
    elif value is None:
        value = []
    elif not isinstance(value, list):
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise _wrong_kind(parser, value)
        value = [value]
    labels: list[str] = []
    seen: set[int] = set()
    others_unknown = False
    for item in value:
        if isinstance(item, str) and not item.strip():
            continue
        if parser.unknown and is_plain(item) and parser.is_unknown(to_string(item)):
            others_unknown = True
            continue
        index = _read_index(parser, item)
        if index in seen:
            raise BadValue(
                "bad labels",
                f"{parser.column} holds the index {index} twice in one record: a vector of 0 and 1 is "
                "data.labels.kind=binary",
            )
        seen.add(index)
        labels.append(parser.vector_labels[index - parser.config.first])
        if parser.lowest is None or index < parser.lowest:
            parser.lowest = index
    return LabelSet(tuple(labels), (), others_unknown)


def _read_index(parser: "LabelParser", item: Any) -> int:
    """Return the number of a label, which may be written as text, or as 1.0."""
    first, last = parser.config.first, parser.config.first + len(parser.names) - 1
    try:
        index = int(item.strip().removesuffix(".0")) if isinstance(item, str) else int(item)
        if isinstance(item, bool) or "_" in str(item) or (isinstance(item, float) and item != index):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        shown = str(item)[:40] if is_plain(item) else describe_type(item)
        message = (
            f"{parser.column} holds {shown!r}, which is not an index into the label file "
            f"(data.labels.separator={parser.config.separator!r} is between two)"
        )
        if isinstance(item, dict):
            raise object_error(parser.column, item) from None
        raise BadValue("unknown label", message) from None
    if not first <= index <= last:
        counts = f"; set data.labels.first=1 if the numbers begin at 1 ({index} of {len(parser.names)} names)"
        raise BadValue(
            "unknown label",
            f"{parser.column}: index {index} is outside of the label file ({first} to {last})"
            f"{counts if index == last + 1 and first == 0 else ''}",
        )
    return index


def _read_scores(parser: "LabelParser", cells: list[Any]) -> LabelSet:
    value = cells[0]
    if value is None:
        return LabelSet(())
    scores = value
    if isinstance(value, str):
        parsed = parse_cell(value.strip())
        scores = parsed if isinstance(parsed, dict) else _read_pairs(parser, value)
    if not isinstance(scores, dict):
        raise BadValue(
            "bad labels",
            f"{parser.column} must hold an object with a score for each label, or a text such as "
            f"'bug:0.9{parser.config.separator}slow:0.1' (data.labels.separator), but holds "
            f"{describe_type(value)}: {str(value)[:40]!r}",
        )
    score_of: dict[str, float | None] = {}
    for name, score in scores.items():
        label = parser.read_label(name)
        if not label:
            raise BadValue("bad labels", f"{parser.column} has a score without a label")
        score_of[label] = _read_score(parser, score, label)
    lowest = parser.config.positive
    if parser.is_one:  # the label with the highest score, however high it is
        lowest = max((number for number in score_of.values() if number is not None), default=lowest)
    positive = [label for label, number in score_of.items() if number is not None and number >= lowest]
    return LabelSet(tuple(positive), tuple(label for label, number in score_of.items() if number is None))


def _read_pairs(parser: "LabelParser", text: str) -> dict[str, str] | None:
    """Return the score of each label of a text such as `bug:0.9;slow:0.1`; None if it is something else."""
    scores = parse_pairs(text, parser.config.separator)
    joined = next((label for label in scores or () if _JOINED_PAIR.search(label)), None)
    if joined is not None:
        raise BadValue(
            "bad labels",
            f"{parser.column} holds the label {joined[:40]!r}, which has a score within it: set "
            "data.labels.separator to the text between two labels",
        )
    return scores


def _read_score(parser: "LabelParser", score: Any, label: str) -> float | None:
    """Return a score as a number, infinite for true and false; None if it is unknown."""
    if isinstance(score, bool):
        return math.inf if score else -math.inf
    text = fold(to_string(score)) if is_plain(score) else describe_type(score)
    if parser.is_unknown(text):
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        if text in ("true", "false"):
            return math.inf if text == "true" else -math.inf
        raise BadValue(
            "bad labels",
            f"{parser.column}: the score of {label!r} must be a number, true or false, but is {text[:40]!r} "
            "(data.labels.unknown: values that mean unknown)",
        )
    return number


READERS: dict[LabelKind, Callable[["LabelParser", list[Any]], LabelSet]] = {
    LabelKind.list: _read_list,
    LabelKind.separated: _read_separated,
    LabelKind.indices: _read_indices,
    LabelKind.single: _read_single,
    LabelKind.binary: _read_binary,
    LabelKind.columns: _read_columns,
    LabelKind.names: _read_names,
    LabelKind.rows: _read_single,
    LabelKind.scores: _read_scores,
}

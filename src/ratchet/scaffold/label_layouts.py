"""Detect how labels are written in the cells of one column."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ratchet.config import FileConfig, LabelKind, LabelsConfig
from ratchet.data.label_cells import looks_like_list, parse_cell, parse_pairs
from ratchet.data.label_kinds import fold
from ratchet.data.labels import LabelParser
from ratchet.data.values import BadValue, is_plain, to_string
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import SAMPLE, Column, holds_scores
from ratchet.scaffold.label_files import LabelFile, find_label_files

UNKNOWN = {"-1", "", "?", "nan", "na", "n/a", "null", "none", "unknown"}  # where other cells are 1 or 0
_PREFIX = "__label__"
_LEVELS = (" > ", " -> ", " → ", " » ", " :: ", "::", ">")
_NAME_KEYS = ("name", "label", "title", "text", "tag", "topic", "class", "category", "choices", "value", "slug")
_SPANS = ("start", "end", "start_offset", "end_offset")
_NUMBER = re.compile(r"-?\d+(\.0+)?")
_BITS = re.compile(r"[01]{2,}|[01]([ ,]+[01])+")
_ANGLES = re.compile(r"(<[^<>]+>)+")


@dataclass(frozen=True)
class Layout:
    """The layout of the labels, the evidence for it, and other layouts that would fit, each with a reason.

    `names` is the label file that numbers refer to.
    """

    config: LabelsConfig
    seen: str
    alternatives: list[tuple[LabelsConfig, str]] = field(default_factory=list)
    names: LabelFile | None = None


def detect_layout(file: str, column: Column, path: Path | None = None) -> Layout:
    """Return how the labels of a column are written. A label file is looked for next to `path`, the data file.

    Raises:
        UserError: the column is empty, holds ids or free text, or a layout that Ratchet does not read.
    """
    where = f"{file}: column {column.name!r}"
    if not column.sample:
        raise UserError(f"{where} has no value, so it cannot hold the labels: choose another with labels=NAME")
    layout = _detect(where, column, path)
    labels = read_labels(column, layout)
    if len(labels) >= 10 and len(set(labels)) > 0.9 * len(labels):
        raise UserError(
            f"{where} does not look like labels: {len(set(labels)):,} different values in {len(labels):,}. "
            "Labels occur several times: choose another column with labels=NAME"
        )
    return layout


def read_labels(column: Column, layout: Layout) -> list[str]:
    """Return the labels of the sampled values, as training reads them."""
    parse = LabelParser(layout.config, layout.names.names if layout.names else None)
    labels: list[str] = []
    for value in column.sample:
        try:
            labels += parse({column.name: value}).positive
        except BadValue:
            continue
    return labels


def _detect(where: str, column: Column, path: Path | None) -> Layout:
    if column.is_repeated:
        config = LabelsConfig(column=column.name, kind=LabelKind.names)
        return Layout(config, f"several columns are called {column.name}, each with a label or nothing")
    cells = [_open_cell(value) for value in column.sample]
    num_open = sum(isinstance(cell, (list, dict)) for cell in cells)
    if num_open and (num_open > len(cells) / 2 or not column.is_plain):
        return _detect_opened(where, column, cells, path)
    return _detect_in_texts(where, column, path)


def _open_cell(value: Any) -> Any:
    """Return the list or object that a text is; other values as they are."""
    parsed = parse_cell(value.strip()) if isinstance(value, str) else None
    return value if parsed is None else parsed


# --- lists and objects ------------------------------------------------------------------------------------------------
def _detect_opened(where: str, column: Column, cells: list[Any], path: Path | None) -> Layout:
    objects = [cell for cell in cells if isinstance(cell, dict)]
    lists = [cell for cell in cells if isinstance(cell, list)]
    words = [cell for cell in cells if is_plain(cell)]
    if objects and not lists and not words and holds_scores([_to_numbers(item) for item in objects]):
        return _detect_scores(column, objects)
    items = [item for cell in lists for item in cell]
    inner = [item for item in items if isinstance(item, dict)]
    if any(isinstance(item, list) for item in items):
        raise _refuse_lists(where, items)
    if objects or inner:
        return _detect_keyed(where, column, [*objects, *inner], is_single=not lists)
    written = " as text" if all(isinstance(value, str) for value in column.sample) else ""
    seen = f"lists{written} in {count(len(lists), column)}, {len(items) / max(1, len(lists)):.1f} labels in a list"
    if words:
        if written:
            raise UserError(
                f"{where} has lists as text in {count(len(lists), column)} and other texts, as {words[0]!r}. Write "
                "every cell as a list, as ['bug']"
            )
        names = LabelsConfig(column=column.name, kind=LabelKind.names)
        return Layout(names, f"{seen}; one label as text in {count(len(words), column)}")
    if _are_vectors(lists):
        return _detect_vectors(where, column, lists, path)
    if all(_is_number(item) for item in items):
        return _detect_numbers(where, LabelsConfig(column=column.name, kind=LabelKind.list), items, seen, path)
    config = _add_prefix(LabelsConfig(column=column.name, kind=LabelKind.list), [to_string(item) for item in items])
    config, comment = _add_levels(config, [to_string(item) for item in items])
    alternatives = []
    if all(len(cell) == 1 for cell in lists) and not column.num_empty:
        alternatives.append((replace(config, one=True), "if no record can have two labels (multi-class)"))
    return Layout(config, f"{seen}{comment}", alternatives)


def _refuse_lists(where: str, items: Sequence[Any]) -> UserError:
    first = next(item for item in items if isinstance(item, list))
    if len(first) == 3 and isinstance(first[0], int) and isinstance(first[1], int) and isinstance(first[2], str):
        return UserError(
            f"{where} has spans, as {first[:3]!r}: a label of some words, with their start and end. Ratchet gives "
            "labels to whole texts: choose another column with labels=NAME, or export labels of documents"
        )
    return UserError(f"{where} has lists of lists. Ratchet reads lists of names: write each label as a text")


def _to_numbers(item: dict[Any, Any]) -> dict[Any, Any]:
    """Return an object with the numbers that are written as text as numbers."""
    return {key: _parse_number(value) if isinstance(value, str) else value for key, value in item.items()}


def _parse_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _detect_scores(column: Column, objects: Sequence[dict[Any, Any]]) -> Layout:
    scores = [score for item in objects for score in _to_numbers(item).values()]
    unknown = ["-1"] if any(score == -1 for score in scores) else []
    config = LabelsConfig(column=column.name, kind=LabelKind.scores, unknown=unknown)
    return make_exclusive(
        Layout(
            config,
            f"objects with a score for each label, {len({key for item in objects for key in item}):,} labels; a record "
            f"has those of {config.positive} and more{_explain_unknown(unknown)}",
        ),
        [sum(score >= config.positive for score in _to_numbers(item).values()) for item in objects],
    )


def make_exclusive(layout: Layout, positives: Sequence[int]) -> Layout:
    """Return the layout for one label per record if each has exactly one, with the other as an alternative."""
    if layout.config.unknown or not positives or set(positives) != {1}:
        return layout
    several = (layout.config, "if a record may have several labels, or none (multi-label)")
    return replace(
        layout,
        config=replace(layout.config, one=True),
        seen=f"{layout.seen}; exactly one label in each row: multi-class",
        alternatives=[several, *layout.alternatives],
    )


def _explain_unknown(values: Collection[str]) -> str:
    shown = " or ".join(value or "an empty cell" for value in values)
    return f"; {shown} means that it is not known whether a record has the label" if values else ""


def _detect_keyed(where: str, column: Column, objects: Sequence[dict[Any, Any]], *, is_single: bool) -> Layout:
    """Return the layout of labels that are objects, which have a key of the name."""
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


def _are_vectors(lists: Sequence[list[Any]]) -> bool:
    """Return whether lists are vectors of 1, 0 and -1: all as long, and with a value twice, which no index is."""
    width = len(lists[0])
    if width < 2 or any(len(cell) != width for cell in lists):
        return False
    values = [[_truth(item) for item in cell] for cell in lists]
    known = {"0", "1", "-1", "true", "false"}
    return all(known.issuperset(cell) for cell in values) and any(len(set(cell)) < len(cell) for cell in values)


def _truth(item: Any) -> str:
    return fold(to_string(item)) if is_plain(item) else "?"


def _detect_vectors(where: str, column: Column, lists: Sequence[Sequence[Any]], path: Path | None) -> Layout:
    width = len(lists[0])
    fitting = [names for names in find_label_files(path) if len(names.names) == width]
    if not fitting:
        raise UserError(
            f"{where} has vectors of {width} values, 1 or 0 for each label: data.labels.kind=binary reads them, and "
            f"data.labels.names.path names the labels. Put labels.txt next to the file, with {width} names, one on "
            "each line, in the order of the vectors"
        )
    unknown = ["-1"] if any(_truth(item) == "-1" for cell in lists for item in cell) else []
    config = LabelsConfig(
        column=column.name, kind=LabelKind.binary, unknown=unknown, names=FileConfig(path=str(fitting[0].path))
    )
    seen = f"vectors of {width} values, 1 or 0 for each of the names in {fitting[0].path.name}"
    layout = Layout(config, f"{seen}{_explain_unknown(unknown)}", names=fitting[0])
    return make_exclusive(layout, [sum(_truth(item) in ("1", "true") for item in cell) for cell in lists])


def _is_number(item: Any) -> bool:
    return not isinstance(item, bool) and is_plain(item) and bool(_NUMBER.fullmatch(to_string(item).strip()))


def _detect_numbers(where: str, plain: LabelsConfig, items: Sequence[Any], seen: str, path: Path | None) -> Layout:
    """Return the layout of numbers of labels; `plain` is that of labels that are called by their number."""
    numbers = {int(float(to_string(item))) for item in items}
    numbers, is_unknown = numbers - {-1}, -1 in numbers
    plain = replace(plain, unknown=["-1"]) if is_unknown and plain.kind is not LabelKind.single else plain
    too_short = ""
    for found in find_label_files(path):
        first = found.first if found.first is not None else int(bool(numbers) and max(numbers) >= len(found.names))
        if numbers and first <= min(numbers) and max(numbers) < first + len(found.names):
            one = True if plain.kind is LabelKind.single and not is_unknown else None
            config = replace(
                plain,
                kind=LabelKind.indices,
                one=one,
                first=first,
                unknown=["-1"] if is_unknown else [],
                names=FileConfig(path=str(found.path)),
            )
            comment = f"; they are numbers from {first} of the names in {found.path.name}"
            alternatives = [(plain, "if the labels are called by their numbers")]
            return Layout(config, f"{seen}{comment}{_explain_unknown(config.unknown)}", alternatives, found)
        too_short = f" ({found.path.name} has {len(found.names)} names, which do not fit)"
    seen += f"; the labels are numbers: to name them, set kind: indices and names: {{path: FILE}}{too_short}"
    return Layout(plain, f"{seen}{_explain_unknown(plain.unknown)}")


# --- texts ------------------------------------------------------------------------------------------------------------
def _detect_in_texts(where: str, column: Column, path: Path | None) -> Layout:
    _refuse_unreadable(where, column)
    if all(_BITS.fullmatch(text) for text in column.counts):
        vectors = [re.findall("[01]", text) for text in column.texts]
        if _are_vectors(vectors):
            return _detect_vectors(where, column, vectors, path)
    pairs = _detect_pairs(column)
    if pairs is not None:
        return pairs
    single = LabelsConfig(column=column.name, kind=LabelKind.single)
    is_path = bool(_add_levels(single, column.texts)[1])  # "app > login" has spaces, which divide no labels
    separators = {mark: n for mark, n in find_separators(column).items() if not is_path or mark in ";|,"}
    splits = [
        (
            LabelsConfig(column=column.name, kind=LabelKind.separated, separator=separator),
            f"{describe_separator(separator)} between labels in {count(number, column)}",
        )
        for separator, number in separators.items()
    ]
    if splits:
        config, seen = splits[0]
        whole = (single, f"if the {len(column.counts):,} different values are one label each")
        parts = [part for text in column.texts for part in split_text(text, config.separator)]
        if all(map(_is_number, parts)):
            return _detect_numbers(where, config, parts, seen, path)
        config, comment = _add_levels(_add_prefix(config, parts), parts)
        return Layout(config, f"{seen}{comment}", [*splits[1:], *([whole] if len(column.counts) <= 50 else [])])
    if all(map(_is_number, column.sample)):
        seen = f"a number in each row, {len(column.counts):,} different ones: multi-class"
        return _detect_numbers(where, single, column.texts, seen, path)
    return _detect_single(column, _add_prefix(single, column.texts))


def _detect_single(column: Column, single: LabelsConfig) -> Layout:
    seen = f"one label in each row, {len(column.counts):,} different labels: multi-class"
    leveled, comment = _add_levels(single, column.texts)
    if comment:
        seen = f"one label in each row, {len(column.counts):,} different labels{comment}"
        return Layout(replace(leveled, one=False), seen, [(single, "if a record has its lowest level only")])
    inside = next((mark for mark in ";|," if any(mark in text for text in column.counts)), None)
    reason = ""
    if inside is not None:
        number = sum(inside in text for text in column.texts)
        seen += (
            f"; {count(number, column)} have {describe_separator(inside)}, but what it divides does not occur in other "
            "values"
        )
        reason = f"if {describe_separator(inside)} divides labels"
    elif column.num_empty:
        inside, reason = ";", f"if the {column.num_empty:,} rows without a label are right (multi-label)"
    if inside is None:
        return Layout(single, seen)
    separated = replace(single, kind=LabelKind.separated, separator=inside)
    return Layout(single, seen, [(separated, reason)])


def _refuse_unreadable(where: str, column: Column) -> None:
    for is_so, description in (
        (looks_like_list, "lists or objects are written as text, but neither as JSON nor as Python writes them"),
        (_ANGLES.fullmatch, "labels are in angle brackets"),
    ):
        matching = [text for text in column.texts if is_so(text)]
        if len(matching) > 0.5 * len(column.texts):
            raise UserError(
                f"{where}: {description}, as {matching[0][:60]!r}. Ratchet reads lists in JSON and Python, and texts "
                "with one separator: convert the column, for example to 'bug;login'"
            )


def _detect_pairs(column: Column) -> Layout | None:
    """Return the layout of texts as `bug:0.9;slow:0.1`; None if they are something else."""
    for separator in (";", "|", ",", "\n", " "):
        pairs = [parse_pairs(text, separator) for text in column.texts]
        objects = [_to_numbers(item) for item in pairs if item is not None]
        if len(objects) == len(pairs) and holds_scores(objects) and any(len(item) > 1 for item in objects):
            layout = _detect_scores(column, objects)
            config = replace(layout.config, separator=separator)
            others = [(replace(other, separator=separator), reason) for other, reason in layout.alternatives]
            seen = layout.seen.replace("objects", f"texts with {describe_separator(separator)} between pairs", 1)
            return Layout(config, seen, others)
    return None


def _add_prefix(config: LabelsConfig, labels: Sequence[str]) -> LabelsConfig:
    has_prefix = labels and all(label.strip().startswith(_PREFIX) for label in labels)
    return replace(config, prefix=_PREFIX) if has_prefix else config


def _add_levels(config: LabelsConfig, labels: Sequence[str]) -> tuple[LabelsConfig, str]:
    """Add what divides the levels of labels that are paths, as "app > login", and return a comment."""
    names = set(labels)
    for mark in _LEVELS:
        heads = Counter(name.split(mark)[0].strip() for name in names if mark in name)
        num_paths = sum(heads.values())
        if num_paths > len(names) / 2 and len(heads) < num_paths and all(heads):
            example = next(name for name in labels if mark in name)
            comment = f'; "{mark}" divides levels, as in {example!r}: a record also has the labels above its own'
            return replace(config, levels=mark), comment
    return config, ""


def find_separators(column: Column) -> dict[str, int]:
    """Return the separators that divide values into labels, most frequent first, with the number of values divided.

    A part of a value that is a label occurs in other values, too. This is required of a separator that names of labels
    contain ("Credit card, prepaid card"), and not of ";" and "|".
    """
    num_divided: dict[str, int] = {}
    for separator, least in ((";", 0.0), ("|", 0.0), (",", 0.4), ("/", 0.8), (" ", 0.8)):
        parts_of = {text: split_text(text, separator) for text in column.counts}
        divided = {text: parts for text, parts in parts_of.items() if len(parts) > 1}
        if not divided or (separator == " " and (num_divided or column.words_per_value > 4)):
            continue
        values_with = Counter(part for parts in parts_of.values() for part in set(parts))
        shared = sum(all(values_with[part] > 1 for part in parts) for parts in divided.values()) / len(divided)
        words = [len(part.split()) for parts in divided.values() for part in parts]
        if shared >= least and sum(words) <= 4 * len(words):
            num_divided[separator] = sum(column.counts[text] for text in divided)
    return dict(sorted(num_divided.items(), key=lambda item: -item[1]))


def split_text(text: str, separator: str) -> list[str]:
    """Return the parts of a text that are not blank."""
    return [part.strip() for part in text.split(separator) if part.strip()]


def describe_separator(separator: str) -> str:
    """Return how a comment names a separator."""
    return {" ": "a space", "\n": "a line break"}.get(separator, f'"{separator}"')


def count(number: int, column: Column) -> str:
    """Return "312 of 500 rows", and say so if these are a sample."""
    sampled = " sampled" if len(column.values) > SAMPLE else ""
    return f"{number:,} of {len(column.sample):,}{sampled} rows"

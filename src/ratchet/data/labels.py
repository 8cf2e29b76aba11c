"""Read the labels of a row as configured: names, prefixes, levels, unknown values and what is missing."""

import math
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from ratchet.config import LabelKind, LabelsConfig
from ratchet.data.label_cells import LabelSet, fold, object_error
from ratchet.data.label_kinds import READERS
from ratchet.data.problems import Problem
from ratchet.data.values import (
    BadValue,
    NotText,
    check_characters,
    describe_type,
    get_value,
    is_plain,
    make_getter,
    to_string,
)
from ratchet.errors import UserError, did_you_mean

_TRUTH = {"1": True, "true": True, "yes": True, "t": True, "y": True}
_TRUTH |= {"0": False, "false": False, "no": False, "f": False, "n": False}


def is_multiclass(config: LabelsConfig) -> bool:
    """Return whether every record has exactly one label."""
    return config.kind is LabelKind.single if config.one is None else config.one


def list_label_columns(config: LabelsConfig) -> list[str]:
    """Return the columns (or paths) that hold the labels."""
    if config.columns is not None:
        return list(config.columns)
    return [] if config.column is None else [config.column]


def normalise_label(label: Any) -> str:
    """Return a label without spaces around it, and with accents as one character each (NFC)."""
    return unicodedata.normalize("NFC", str(label).strip())


def list_ancestors(label: str, levels: str) -> list[str]:
    """Return the labels above one that is a path: "a" and "a > b" for "a > b > c"."""
    parts = label.split(levels)
    return [levels.join(parts[:depth]) for depth in range(1, len(parts))]


def parents_of_levels(labels: Iterable[str], levels: str) -> dict[str, tuple[str, ...]]:
    """Return the parent of each label that is a path, for a taxonomy: at most one."""
    return {label: tuple(list_ancestors(label, levels)[-1:]) for label in labels}


class LabelParser:
    """Read the labels of rows as configured. `names` are those of the label file, `known` all that are valid.

    Values in `missing` count as empty. `vector_labels` are the labels of the columns or, for other kinds, of the label
    file, in their order. `lowest` is the lowest number of a label so far, for labels of kind indices.
    """

    def __init__(
        self,
        config: LabelsConfig,
        names: Sequence[str] | None = None,
        known: Collection[str] | None = None,
        missing: Collection[str] = (),
    ) -> None:
        self.config = config
        self.names = names or ()
        self.columns = list_label_columns(config)
        self.column = ", ".join(self.columns)
        self.missing = missing
        self.lowest: int | None = None
        if config.levels == "":
            raise UserError("data.labels.levels is empty: remove it, or set the text between two levels")
        self.known = None if known is None else {self._normalise(label) for label in known}
        self.unknown = {fold(str(value)) for value in config.unknown}
        self._met: set[str] = set()  # values of `unknown` that a cell holds
        self._getters = [make_getter(column) for column in self.columns]
        self._read = READERS[config.kind]
        self.is_one = is_multiclass(config)
        self._label_of: dict[str, str] = {}  # by the text of an item: most occur again and again
        self._truth_of: dict[Any, bool | None] = {}
        vector = self.columns if config.kind is LabelKind.columns else self.names
        self.vector_labels = [self._normalise(name) for name in vector]
        self._check_vector()

    def __call__(self, values: Mapping[str, Any]) -> LabelSet:
        """Return the labels of a row.

        Raises:
            BadValue: a value cannot be read as this kind of labels; names the kind that reads it, if there is one.
        """
        cells = [self._get_cell(get(values)) for get in self._getters]
        is_empty = all(cell is None for cell in cells)
        try:
            found = LabelSet((), (), True) if is_empty and self.is_unknown("") else self._read(self, cells)
        except NotText as error:
            raise BadValue("bad labels", str(error)) from None
        labels, unknown = set(found.positive), set(found.unknown)
        if self.is_one:
            self._check_one(
                labels, "is unknown" if found.others_unknown else "is empty" if is_empty else "holds no label"
            )
        elif self.config.levels is not None:
            for names in (labels, unknown):
                names.update([above for label in names for above in list_ancestors(label, self.config.levels)])
        return LabelSet(tuple(sorted(labels)), tuple(sorted(unknown - labels)), found.others_unknown)

    def _get_cell(self, value: Any) -> Any:
        """Return a value; None if it is empty."""
        if isinstance(value, str):
            text = value.strip()
            return None if not text or text in self.missing else value
        return None if isinstance(value, float) and math.isnan(value) else value

    def _check_vector(self) -> None:
        """Check the labels that columns or a label file name, before any row is read."""
        key = "data.labels.columns" if self.config.kind is LabelKind.columns else "data.labels.names"
        for label in self.vector_labels:
            try:
                check_characters(label, f"{key}: label")
            except BadValue as error:
                raise UserError(str(error)) from None
            if not label:
                raise UserError("data.labels.prefix: a label has no name after the prefix is removed")
            if self.known is not None and label not in self.known:  # a column: the names of a label file are known
                raise UserError(f"data.labels.columns: {self._describe_unknown(label)}")

    def _check_one(self, labels: Collection[str], state: str) -> None:
        if len(labels) == 1 or self.config.kind is LabelKind.rows:  # rows are checked when they are joined
            return
        if len(labels) > 1:
            raise several_labels(self.column, labels)
        raise BadValue("no label", f"{self.column} {state}, but every record must have exactly one label")

    def read_labels(self, items: Iterable[Any]) -> LabelSet:
        """Return the labels that are the items of a list. A label that is an object is the value below its key."""
        labels: list[str] = []
        others_unknown = False
        for item in items:
            for value in self._open_object(item) if isinstance(item, dict) else (item,):
                if self.unknown and is_plain(value) and self.is_unknown(to_string(value)):
                    others_unknown = True
                elif label := self.read_label(value):
                    labels.append(label)
        return LabelSet(tuple(labels), (), others_unknown)

    def is_unknown(self, text: str) -> bool:
        """Return whether a text means that labels are unknown. Remember it: values that no cell holds are reported."""
        text = fold(text)
        if text not in self.unknown:
            return False
        self._met.add(text)
        return True

    def _open_object(self, item: dict[str, Any]) -> Sequence[Any]:
        key = self.config.key
        if key is None:
            raise object_error(self.column, item)
        value = get_value(item, key)
        if value is None and key not in item:
            raise BadValue(
                "bad labels", f"{self.column} holds an object without the key {key!r}; {did_you_mean(key, item)}"
            )
        return value if isinstance(value, list) else (value,)

    def read_label(self, value: Any) -> str:
        """Return the label that a value is; "" if it is empty.

        Raises:
            BadValue: it is a list or an object, holds a control character, or is not among the known labels.
        """
        if not isinstance(value, str):
            if isinstance(value, dict):
                raise object_error(self.column, value)
            if not is_plain(value):
                raise BadValue("bad labels", f"{self.column} holds {describe_type(value)} where a label should be")
            value = to_string(value)
        label = self._label_of.get(value)
        if label is None:
            label = self._label_of[value] = self._clean(value)
        return label

    def _clean(self, text: str) -> str:
        text = text.strip()
        if not text or text in self.missing:
            return ""
        check_characters(text, f"{self.column}: label")
        label = self._normalise(text)
        if label and self.known is not None and label not in self.known:
            raise BadValue("unknown label", self._describe_unknown(label))
        return label

    def _normalise(self, text: str) -> str:
        """Return a label without its prefix and without empty levels."""
        label = self._remove_prefix(normalise_label(text))
        if self.config.levels is None:
            return label
        parts = [part.strip() for part in label.split(self.config.levels)]
        return self.config.levels.join(part for part in parts if part)

    def _remove_prefix(self, label: str) -> str:
        return label if self.config.prefix is None else label.removeprefix(self.config.prefix).strip()

    def _describe_unknown(self, label: str) -> str:
        message = f"label {label!r} is unknown; {did_you_mean(label, self.known or ())} "
        if self.names and label.isdecimal():
            one = " with data.labels.one=true" if self.is_one else ""
            return f"{message}(data.labels.kind=indices{one} reads numbers of labels)"
        return f"{message}(data.filter.taxonomy_only=true removes unknown labels)"

    def find_odd(self) -> Iterator[Problem]:
        """Yield what is odd about the labels of all rows so far.

        These are numbers from 1, two forms of the same accents, and values for unknown labels that no cell holds.
        """
        yield from self._find_unmet()
        if self.lowest is not None and self.lowest > self.config.first == 0:
            message = (
                f"the lowest number of a label is {self.lowest}, so that the name {self.names[0]!r} is on no record: "
                "set data.labels.first=1 if the numbers begin at 1"
            )
            yield Problem("first label never used", f"label {self.names[0]!r}", message, "kept")
        texts_of: dict[str, set[str]] = defaultdict(set)
        for text, label in self._label_of.items():
            texts_of[label].add(text.strip())
        for label, texts in sorted(texts_of.items()):
            if label and len(texts) > len(set(map(normalise_label, texts))):
                message = "written with its accents stored in two ways (NFC and NFD); both are read as one label"
                yield Problem("labels that look alike", f"label {label!r}", message, "kept")

    def _find_unmet(self) -> Iterator[Problem]:
        for value in dict.fromkeys(map(str, self.config.unknown)):
            if fold(value) in self._met:
                continue
            texts = [text.strip() for text in self._label_of]
            near = get_close_matches(value, texts, n=1)
            if value.strip() in self.missing:
                hint = ": it is in data.missing, too, and so counts as an empty cell"
            else:
                hint = f"; did you mean {near[0]!r}?" if near else ""
            cell = f"no cell holds {value!r}" if value.strip() else "no cell is empty"
            yield Problem("value for unknown labels never used", "data.labels.unknown", f"{cell}{hint}", "kept")

    def read_truth(self, value: Any, where: str) -> bool | None:
        """Return whether a value means that the record has the label; None if it means that this is unknown."""
        try:
            return self._truth_of[value]
        except (KeyError, TypeError):  # not seen so far, or a list
            pass
        text = fold("" if value is None else to_string(value, where))
        is_unknown = self.is_unknown(text)
        truth = None if is_unknown else _TRUTH.get(text)
        if truth is None and not is_unknown:
            if not text:
                raise BadValue(
                    "bad labels", f'{where} is empty: set data.labels.unknown=[""] if that means that it is unknown'
                )
            others = "; labels by name are data.labels.kind=names" if self.config.kind is LabelKind.columns else ""
            raise BadValue(
                "bad labels",
                f"{where} must hold 1 or 0, true or false, yes or no, but holds {text[:40]!r} (data.labels.unknown: "
                f"values that mean unknown{others})",
            )
        self._truth_of[value] = truth
        return truth


def several_labels(column: str, labels: Collection[str]) -> BadValue:
    """Return the error about a record with more than one label where each has one."""
    shown = ", ".join(map(repr, sorted(labels)[:3]))
    return BadValue(
        "several labels",
        f"{column} holds {len(labels)} labels ({shown}), but every record must have exactly one (data.labels.one)",
    )

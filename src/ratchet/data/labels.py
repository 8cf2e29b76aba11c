"""Read the labels of a row as configured: names, prefixes, levels, unknown values and what is missing."""

import math
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ratchet.config import LabelKind, LabelsConfig
from ratchet.data.label_kinds import READERS, LabelSet, fold, object_error
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
from ratchet.errors import did_you_mean

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

    Values in `missing` count as empty. `lowest` is the lowest number of a label so far, for labels of kind indices.
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
        self.known = None if known is None else {self._remove_prefix(normalise_label(label)) for label in known}
        self.unknown = {fold(str(value)) for value in config.unknown}
        self._getters = [make_getter(column) for column in self.columns]
        self._read = READERS[config.kind]
        self.is_one = is_multiclass(config)
        self._label_of: dict[str, str] = {}  # by the text of an item: most occur again and again
        self._truth_of: dict[Any, bool | None] = {}
        vector = {LabelKind.columns: self.columns, LabelKind.binary: self.names}.get(config.kind, ())
        self.vector_labels = [self.read_label(name) for name in vector]

    def __call__(self, values: Mapping[str, Any]) -> LabelSet:
        """Return the labels of a row.

        Raises:
            BadValue: a value cannot be read as this kind of labels; names the kind that reads it, if there is one.
        """
        try:
            found = self._read(self, [self._get_cell(get(values)) for get in self._getters])
        except NotText as error:
            raise BadValue("bad labels", str(error)) from None
        labels = set(found.positive)
        if self.is_one:
            self._check_one(labels, found.others_unknown)
        elif self.config.levels is not None:
            labels.update(above for label in found.positive for above in list_ancestors(label, self.config.levels))
        unknown = tuple(sorted(set(found.unknown) - labels)) if found.unknown else ()
        return LabelSet(tuple(sorted(labels)), unknown, found.others_unknown)

    def _get_cell(self, value: Any) -> Any:
        """Return a value; None if it is empty."""
        if isinstance(value, str):
            text = value.strip()
            return None if not text or text in self.missing else value
        return None if isinstance(value, float) and math.isnan(value) else value

    def _check_one(self, labels: Collection[str], others_unknown: bool) -> None:
        if len(labels) == 1 or self.config.kind is LabelKind.rows:  # rows are checked when they are joined
            return
        if len(labels) > 1:
            raise several_labels(self.column, labels)
        state = "is unknown" if others_unknown else "is empty"
        raise BadValue("no label", f"{self.column} {state}, but every record must have exactly one label")

    def read_labels(self, items: Iterable[Any]) -> LabelSet:
        """Return the labels that are the items of a list. A label that is an object is the value below its key."""
        labels: list[str] = []
        others_unknown = False
        for item in items:
            for value in self._open_object(item) if isinstance(item, dict) else (item,):
                if self.unknown and is_plain(value) and fold(to_string(value)) in self.unknown:
                    others_unknown = True
                elif label := self.read_label(value):
                    labels.append(label)
        return LabelSet(tuple(labels), (), others_unknown)

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
        label = self._remove_prefix(normalise_label(text))
        if self.config.levels is not None:
            parts = [part.strip() for part in label.split(self.config.levels)]
            label = self.config.levels.join(part for part in parts if part)
        if label and self.known is not None and label not in self.known:
            raise BadValue("unknown label", self._describe_unknown(label))
        return label

    def _remove_prefix(self, label: str) -> str:
        return label if self.config.prefix is None else label.removeprefix(self.config.prefix).strip()

    def _describe_unknown(self, label: str) -> str:
        message = f"label {label!r} is unknown; {did_you_mean(label, self.known or ())} "
        if self.names and label.isdecimal():
            one = " with data.labels.one=true" if self.is_one else ""
            return f"{message}(data.labels.kind=indices{one} reads numbers of labels)"
        return f"{message}(data.filter.taxonomy_only=true removes unknown labels)"

    def read_truth(self, value: Any, where: str) -> bool | None:
        """Return whether a value means that the record has the label; None if it means that this is unknown."""
        try:
            return self._truth_of[value]
        except (KeyError, TypeError):  # not seen so far, or a list
            pass
        text = fold("" if value is None else to_string(value, where))
        truth = None if text in self.unknown else _TRUTH.get(text)
        if truth is None and text not in self.unknown:
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

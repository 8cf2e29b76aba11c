"""Describe how labels are written: the layout, the evidence for it, and other layouts that would fit."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from ratchet.config import LabelsConfig
from ratchet.scaffold.column_roles import SAMPLE, Column

_PREFIX = "__label__"
_LEVELS = (" > ", " -> ", " → ", " » ", " :: ", "::", ">")


@dataclass(frozen=True)
class Layout:
    """The layout of the labels, the evidence for it, and other layouts that would fit, each with a reason.

    `names` are those of the label file that numbers refer to.
    """

    config: LabelsConfig
    seen: str
    alternatives: list[tuple[LabelsConfig, str]] = field(default_factory=list)
    names: list[str] | None = None


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


def explain_unknown(values: Collection[str]) -> str:
    """Return the end of a comment on the values that mean unknown; "" if there are none."""
    shown = " or ".join(value or "an empty cell" for value in values)
    return f"; {shown} means that it is not known whether a record has the label" if values else ""


def add_prefix(config: LabelsConfig, labels: Sequence[str]) -> LabelsConfig:
    """Return the configuration with the prefix of fastText if all labels have it."""
    has_prefix = labels and all(label.strip().startswith(_PREFIX) for label in labels)
    return replace(config, prefix=_PREFIX) if has_prefix else config


def add_levels(config: LabelsConfig, labels: Sequence[str]) -> tuple[LabelsConfig, str]:
    """Return the configuration with the mark between levels, as in "app > login", if any, and a comment on it."""
    names = set(labels)
    for mark in _LEVELS:
        heads = Counter(name.split(mark)[0].strip() for name in names if mark in name)
        num_paths = sum(heads.values())
        if num_paths > len(names) / 2 and len(heads) < num_paths and all(heads):
            example = next(name for name in labels if mark in name)
            comment = f'; "{mark}" divides levels, as in {example!r}: a record also has the labels above its own'
            return replace(config, levels=mark), comment
    return config, ""


def describe_separator(separator: str) -> str:
    """Return how a comment names a separator."""
    return {" ": "a space", "\n": "a line break"}.get(separator, f'"{separator}"')


def count_rows(number: int, column: Column) -> str:
    """Return "312 of 500 rows", and say so if these are a sample."""
    sampled = " sampled" if len(column.values) > SAMPLE else ""
    return f"{number:,} of {len(column.sample):,}{sampled} rows"

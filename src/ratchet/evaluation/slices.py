"""Assign records to slices: groups on which a model may be weak while its overall metric looks good."""

from collections.abc import Callable, Mapping, Sequence

from ratchet.config import DateStep, SliceConfig, SliceKind
from ratchet.data.records import Record
from ratchet.data.taxonomy import NameMatcher, Taxonomy, words
from ratchet.errors import UserError, did_you_mean


def assign_slices(
    records: Sequence[Record],
    slices: Mapping[str, SliceConfig],
    *,
    labels: Sequence[str],
    taxonomy: Taxonomy,
    train_counts: Mapping[str, int],
) -> list[list[str]]:
    """Return the names of the slices of each record. `train_counts` is the number of train records by label.

    Slices of kind `date` and `column` make one slice per value: `date=2020-Q3`, `source=forum`.

    Raises:
        UserError: a slice of kind `labels` names an unknown label.
    """
    members = {name: _build_membership(name, config, labels, taxonomy, train_counts) for name, config in slices.items()}
    return [[part for member in members.values() for part in member(record)] for record in records]


def _build_membership(
    name: str, config: SliceConfig, labels: Sequence[str], taxonomy: Taxonomy, train_counts: Mapping[str, int]
) -> Callable[[Record], list[str]]:
    """Return a function from a record to the slices that `config` assigns it to (none or one)."""
    if config.kind is SliceKind.date:
        return lambda record: [f"{name}={value}"] if (value := _format_period(record, config.every)) else []
    if config.kind is SliceKind.column:
        column = str(config.column)
        return lambda record: [f"{column}={value}"] if (value := record.columns.get(column)) else []
    test = _build_test(name, config, labels, taxonomy, train_counts)
    return lambda record: [name] if test(record) else []


def _build_test(
    name: str, config: SliceConfig, labels: Sequence[str], taxonomy: Taxonomy, train_counts: Mapping[str, int]
) -> Callable[[Record], bool]:
    """Return the test whether a record is in the slice `name`, for kinds that make one slice."""
    if config.kind is SliceKind.short_text:
        limit = config.max_words or 0
        return lambda record: len(words(record.text)) <= limit
    if config.kind is SliceKind.label_not_named:
        matcher = NameMatcher(taxonomy, labels, stemming=True)
        return lambda record: not set(record.labels) <= {match.label for match in matcher.find(record.text)}
    if config.kind is SliceKind.rare_labels:
        rare = {label for label in labels if train_counts.get(label, 0) <= (config.max_train_records or 0)}
        return lambda record: not rare.isdisjoint(record.labels)
    required = set(config.labels or ())
    for label in required - set(labels):
        raise UserError(f"slices.{name}: there is no label {label!r}; {did_you_mean(label, labels)}")
    return lambda record: required <= set(record.labels)


def _format_period(record: Record, every: DateStep | None) -> str | None:
    """Return the year, quarter or month of a record; None if it has no date."""
    date = record.created_at
    if date is None:
        return None
    if every is DateStep.month:
        return f"{date:%Y-%m}"
    return f"{date.year}" if every is DateStep.year else f"{date.year}-Q{(date.month + 2) // 3}"

"""Assign records to slices: groups on which a model may be weak while its overall metric looks good."""

import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence

from ratchet.config import DataConfig, DateStep, SliceConfig, SliceKind
from ratchet.data.records import Record
from ratchet.data.taxonomy import NameMatcher, Taxonomy, words
from ratchet.errors import UserError, did_you_mean

_MOST_VALUES = 10  # of a column whose values have fewer than _FEWEST_RECORDS records on average
_FEWEST_RECORDS = 2


def check_slices(
    records: Sequence[Record], slices: Mapping[str, SliceConfig], labels: Sequence[str], data: DataConfig
) -> None:
    """Check the slices of a data set before anything is trained. `labels` are those of its records.

    Raises:
        UserError: a slice names a label that no record has, or divides the records by their labels, or by a column
            with (nearly) a value for each record.
    """
    for name, config in slices.items():
        if config.kind is SliceKind.labels:
            _require_labels(name, config, labels)
        elif config.kind is SliceKind.column:
            column = str(config.column)
            if column in (data.labels.column, *(data.labels.columns or ())):
                raise UserError(
                    f"slices.{name}.column: {column!r} holds the labels (data.labels): use kind=labels with the labels "
                    "of the group"
                )
            _require_groups(name, column, records)


def _require_labels(name: str, config: SliceConfig, labels: Sequence[str]) -> set[str]:
    """Return the labels of a slice of kind `labels`."""
    required = [unicodedata.normalize("NFC", str(label)) for label in config.labels or ()]
    known = set(labels)
    for label in required:
        if label not in known:
            raise UserError(f"slices.{name}.labels: no record has the label {label!r}; {did_you_mean(label, known)}")
    return set(required)


def _require_groups(name: str, column: str, records: Sequence[Record]) -> None:
    values = [value for record in records if (value := record.columns.get(column))]
    different = len(set(values))
    if different > _MOST_VALUES and len(values) < _FEWEST_RECORDS * different:
        raise UserError(
            f"slices.{name}.column: {column!r} has {different:,} values in {len(values):,} records, "
            f"{len(values) / different:.1f} records per value: no group is large enough to be measured; choose a "
            "column whose values many records share"
        )


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


def divide_by_leaks(slices: list[list[str]], ids: Sequence[str], leaked: Collection[str]) -> list[list[str]]:
    """Add each record to the slice `leaked` or `without_leaks`, if any text of val or test is in an earlier part, too.

    `split.leaks=report` keeps such texts; the second slice is what the model does on the others.
    """
    if not leaked:
        return slices
    known = frozenset(leaked)
    return [
        [*names, "leaked" if identifier in known else "without_leaks"]
        for names, identifier in zip(slices, ids, strict=True)
    ]


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
    required = _require_labels(name, config, labels)
    return lambda record: required <= set(record.labels)


def _format_period(record: Record, every: DateStep | None) -> str | None:
    """Return the year, quarter or month of a record; None if it has no date."""
    date = record.created_at
    if date is None:
        return None
    if every is DateStep.month:
        return f"{date:%Y-%m}"
    return f"{date.year}" if every is DateStep.year else f"{date.year}-Q{(date.month + 2) // 3}"

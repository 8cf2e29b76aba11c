"""Groups of records on which a model may be weak while its overall figure looks well."""

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
    """The names of the slices each record is in. `train_counts` is the number of train records by label.

    Slices of kind `date` and `column` name one slice a value: `date=2020-Q3`, `source=forum`.

    Raises:
        UserError: a slice of kind `labels` that names an unknown label.
    """
    members = {name: _membership(name, config, labels, taxonomy, train_counts) for name, config in slices.items()}
    return [[part for member in members.values() for part in member(record)] for record in records]


def _membership(
    name: str, config: SliceConfig, labels: Sequence[str], taxonomy: Taxonomy, train_counts: Mapping[str, int]
) -> Callable[[Record], list[str]]:
    """The function from a record to the slices that `config` puts it in (none, or one)."""
    if config.kind is SliceKind.date:
        return lambda record: [f"{name}={value}"] if (value := _period(record, config.every)) else []
    if config.kind is SliceKind.column:
        column = str(config.column)
        return lambda record: [f"{column}={value}"] if (value := record.columns.get(column)) else []
    test = _test(name, config, labels, taxonomy, train_counts)
    return lambda record: [name] if test(record) else []


def _test(
    name: str, config: SliceConfig, labels: Sequence[str], taxonomy: Taxonomy, train_counts: Mapping[str, int]
) -> Callable[[Record], bool]:
    if config.kind is SliceKind.short_text:
        most = config.max_words or 0
        return lambda record: len(words(record.text)) <= most
    if config.kind is SliceKind.label_not_named:
        matcher = NameMatcher(taxonomy, labels, stemming=True)
        return lambda record: not set(record.labels) <= {match.label for match in matcher.find(record.text)}
    if config.kind is SliceKind.rare_labels:
        rare = {label for label in labels if train_counts.get(label, 0) <= (config.max_train_records or 0)}
        return lambda record: not rare.isdisjoint(record.labels)
    together = set(config.labels or ())
    for label in together - set(labels):
        raise UserError(f"slices.{name}: there is no label {label!r}; {did_you_mean(label, labels)}")
    return lambda record: together <= set(record.labels)


def _period(record: Record, every: DateStep | None) -> str | None:
    date = record.created_at
    if date is None:
        return None
    if every is DateStep.month:
        return f"{date:%Y-%m}"
    return f"{date.year}" if every is DateStep.year else f"{date.year}-Q{(date.month + 2) // 3}"

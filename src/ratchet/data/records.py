"""A table of a file into records: id, text, labels, date and slice columns, every bad row reported."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from ratchet.config import DataConfig, LabelKind, LabelsConfig, SliceKind
from ratchet.data.reading import Outcome, Problem, Table
from ratchet.data.texts import NotText, TextColumns, as_string
from ratchet.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Record:
    """One record. `labels` is sorted and without repeats, `columns` holds what slices and given splits need."""

    id: str
    text: str
    labels: tuple[str, ...]
    created_at: datetime | None
    columns: dict[str, str]
    place: str


class _BadValue(ValueError):
    """A value that cannot be used; `kind` is what the report counts it as."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def build_records(
    table: Table, config: DataConfig, label_names: list[str] | None, known: set[str] | None
) -> tuple[list[Record], list[Problem]]:
    """The records of `table`, and what was wrong with the others.

    `label_names` is the label file's content (indices point into it), `known` the labels that may occur (None: any).

    Raises:
        UserError: a column that the configuration names is not there.
    """
    _check_columns(table, config)
    bad_row: Outcome = "dropped" if config.drop_bad_rows else "stops"
    records: list[Record] = []
    problems: list[Problem] = []
    first_place: dict[str, str] = {}
    for index in range(len(table.rows)):
        place = table.place(index)
        try:
            record = _record(table, index, config, label_names, known)
        except _BadValue as error:
            outcome: Outcome = "dropped" if error.kind == "empty text" else bad_row
            problems.append(Problem(error.kind, place, str(error), outcome))
            continue
        if record.id in first_place:
            message = f"id {record.id!r} a second time (first: {first_place[record.id]})"
            problems.append(Problem("duplicate id", place, message, bad_row))
            continue
        first_place[record.id] = place
        records.append(record)
    return records, problems


def _check_columns(table: Table, config: DataConfig) -> None:
    wanted = {"data.labels.column": config.labels.column, **{f"data.text[{i}]": c for i, c in enumerate(config.text)}}
    optional = {"data.id": config.id, "data.created_at": config.created_at, "data.split.column": config.split.column}
    wanted |= {key: column for key, column in optional.items() if column is not None}
    wanted |= {f"data.slices.*.column={column}": column for column in slice_columns(config)}
    for key, column in wanted.items():
        if column not in table.columns:
            raise UserError(f"{table.name}: no column {column!r} ({key}); {did_you_mean(column, table.columns)}")


def slice_columns(config: DataConfig) -> list[str]:
    """Columns that the data set's slices read."""
    return [each.column for each in config.slices.values() if each.kind is SliceKind.column and each.column]


def _record(
    table: Table, index: int, config: DataConfig, label_names: list[str] | None, known: set[str] | None
) -> Record:
    def value(column: str) -> Any:
        return table.columns[column][index]

    try:
        text = TextColumns.of(config).text([value(column) for column in config.text])
    except NotText as error:
        raise _BadValue("bad text", str(error)) from None
    if not text.strip():
        raise _BadValue("empty text", f"no text in {', '.join(config.text)}")
    labels = _labels(value(config.labels.column), config.labels, label_names)
    unknown = [label for label in labels if known is not None and label not in known.union(config.filter.exclude)]
    if unknown:
        raise _BadValue(
            "unknown label",
            f"label {unknown[0]!r} is not among the known labels; {did_you_mean(unknown[0], known or ())} "
            "(data.filter.taxonomy_only=true leaves such labels out)",
        )
    identifier = str(table.rows[index]) if config.id is None else as_string(value(config.id)).strip()
    if not identifier:
        raise _BadValue("no id", f"nothing in {config.id}")
    keep = [*slice_columns(config), *([config.split.column] if config.split.column else [])]
    return Record(
        id=identifier,
        text=text,
        labels=tuple(sorted(set(labels))),
        created_at=None if config.created_at is None else _date(value(config.created_at), config),
        columns={column: as_string(value(column)).strip() for column in keep},
        place=table.place(index),
    )


def _labels(value: Any, config: LabelsConfig, label_names: list[str] | None) -> list[str]:
    if config.kind is LabelKind.single:
        one = as_string(value).strip()
        if not one:
            raise _BadValue("no label", f"nothing in {config.column}, and every record has exactly one label")
        return [one]
    if config.kind is LabelKind.indices:
        return [_indexed(item, label_names or [], config) for item in _items(value, config)]
    return [label for label in (as_string(item).strip() for item in _items(value, config)) if label]


def _items(value: Any, config: LabelsConfig) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str) and config.kind is not LabelKind.list:
        return [item for item in value.split(config.separator) if item.strip()]
    if isinstance(value, int) and config.kind is LabelKind.indices:
        return [value]
    if not isinstance(value, list):
        kind = type(value).__name__
        raise _BadValue(
            "bad labels",
            f"{config.column} holds no {config.kind.name} of labels but a {kind}: {str(value)[:40]!r} "
            "(data.labels.kind: list, separated, indices, single)",
        )
    return value


def _indexed(item: Any, names: list[str], config: LabelsConfig) -> str:
    try:
        index = int(item)
        if isinstance(item, bool) or (isinstance(item, float) and item != index):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise _BadValue("unknown label", f"{config.column} holds {item!r}, not an index into the label file") from None
    if not 0 <= index < len(names):
        raise _BadValue("unknown label", f"index {index} is outside of the label file (0 to {len(names) - 1})")
    return names[index]


def _date(value: Any, config: DataConfig) -> datetime | None:
    """UTC without a zone; None where the record has no date."""
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime.combine(value, time())
    elif not (written := as_string(value).strip()):
        return None
    else:
        form = config.date_format
        parse: Callable[[str], datetime] = (
            datetime.fromisoformat if form is None else (lambda each: datetime.strptime(each, form))
        )
        try:
            moment = parse(written)
        except ValueError:
            expected = form or "ISO 8601, as 2026-02-28 or 2026-02-28T13:45:00"
            raise _BadValue(
                "bad date", f"{config.created_at} {written!r} is not {expected} (data.date_format)"
            ) from None
    try:
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError:
        raise _BadValue("bad date", f"{config.created_at} {value!r} is no date in UTC") from None

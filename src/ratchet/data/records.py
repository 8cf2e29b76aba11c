"""Build records (id, text, labels, date and slice columns) from a table, and report every bad row."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from ratchet.config import DataConfig, LabelKind, LabelsConfig, SliceKind
from ratchet.data.reading import Outcome, Problem, Table
from ratchet.data.texts import NotText, TextColumns, to_string
from ratchet.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Record:
    """One record. `labels` is sorted and unique; `columns` holds the columns that slices and given splits need.

    `place` is the location of the record in its file, for messages; `created_at` is in UTC, without a time zone.
    """

    id: str
    text: str
    labels: tuple[str, ...]
    created_at: datetime | None
    columns: dict[str, str]
    place: str


class _BadValue(ValueError):
    """A value cannot be used. The report counts it under `kind`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def build_records(
    table: Table, config: DataConfig, label_names: list[str] | None, known: set[str] | None
) -> tuple[list[Record], list[Problem]]:
    """Return the records of `table`, and the problems of the rows that are not usable.

    `label_names` is the content of the label file (indices refer to it); `known` is the set of valid labels (None:
    all are valid).

    Raises:
        UserError: a column that the configuration names is missing.
    """
    _check_columns(table, config)
    bad_row: Outcome = "dropped" if config.drop_bad_rows else "stops"
    records: list[Record] = []
    problems: list[Problem] = []
    location_of: dict[str, str] = {}
    for index in range(len(table.rows)):
        location = table.location(index)
        try:
            record = _build_record(table, index, config, label_names, known)
        except _BadValue as error:
            outcome: Outcome = "dropped" if error.kind == "empty text" else bad_row
            problems.append(Problem(error.kind, location, str(error), outcome))
            continue
        if record.id in location_of:
            message = f"id {record.id!r} is already used by {location_of[record.id]}"
            problems.append(Problem("duplicate id", location, message, bad_row))
            continue
        location_of[record.id] = location
        records.append(record)
    return records, problems


def _check_columns(table: Table, config: DataConfig) -> None:
    column_of = {
        "data.labels.column": config.labels.column,
        **{f"data.text[{index}]": column for index, column in enumerate(config.text)},
    }
    optional = {"data.id": config.id, "data.created_at": config.created_at, "data.split.column": config.split.column}
    column_of |= {key: column for key, column in optional.items() if column is not None}
    column_of |= {f"data.slices.*.column={column}": column for column in list_slice_columns(config)}
    for key, column in column_of.items():
        if column not in table.columns:
            raise UserError(f"{table.name}: no column {column!r} ({key}); {did_you_mean(column, table.columns)}")


def list_slice_columns(config: DataConfig) -> list[str]:
    """Return the columns that the slices of the data set read."""
    return [
        definition.column
        for definition in config.slices.values()
        if definition.kind is SliceKind.column and definition.column
    ]


def _build_record(
    table: Table, index: int, config: DataConfig, label_names: list[str] | None, known: set[str] | None
) -> Record:
    def value(column: str) -> Any:
        return table.columns[column][index]

    try:
        text = TextColumns.from_config(config).text([value(column) for column in config.text])
    except NotText as error:
        raise _BadValue("bad text", str(error)) from None
    if not text.strip():
        raise _BadValue("empty text", f"no text in {', '.join(config.text)}")
    labels = _parse_labels(value(config.labels.column), config.labels, label_names)
    unknown = [label for label in labels if known is not None and label not in known.union(config.filter.exclude)]
    if unknown:
        raise _BadValue(
            "unknown label",
            f"label {unknown[0]!r} is unknown; {did_you_mean(unknown[0], known or ())} "
            "(data.filter.taxonomy_only=true removes unknown labels)",
        )
    identifier = str(table.rows[index]) if config.id is None else to_string(value(config.id)).strip()
    if not identifier:
        raise _BadValue("no id", f"{config.id} is empty")
    keep = [*list_slice_columns(config), *([config.split.column] if config.split.column else [])]
    return Record(
        id=identifier,
        text=text,
        labels=tuple(sorted(set(labels))),
        created_at=None if config.created_at is None else _parse_date(value(config.created_at), config),
        columns={column: to_string(value(column)).strip() for column in keep},
        place=table.location(index),
    )


def _parse_labels(value: Any, config: LabelsConfig, label_names: list[str] | None) -> list[str]:
    if config.kind is LabelKind.single:
        label = to_string(value).strip()
        if not label:
            raise _BadValue("no label", f"{config.column} is empty, but every record must have exactly one label")
        return [label]
    items = _split_items(value, config)
    if config.kind is LabelKind.indices:
        return [_look_up_label(item, label_names or [], config) for item in items]
    return [label for label in (to_string(item).strip() for item in items) if label]


def _split_items(value: Any, config: LabelsConfig) -> list[Any]:
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
            f"{config.column} must hold labels of kind {config.kind.name}, but holds a {kind}: {str(value)[:40]!r} "
            "(data.labels.kind: list, separated, indices, single)",
        )
    return value


def _look_up_label(item: Any, names: list[str], config: LabelsConfig) -> str:
    try:
        index = int(item)
        if isinstance(item, bool) or (isinstance(item, float) and item != index):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise _BadValue(
            "unknown label", f"{config.column} holds {item!r}, which is not an index into the label file"
        ) from None
    if not 0 <= index < len(names):
        raise _BadValue("unknown label", f"index {index} is outside of the label file (0 to {len(names) - 1})")
    return names[index]


def _parse_date(value: Any, config: DataConfig) -> datetime | None:
    """Return the date in UTC, without a time zone; None if the record has no date."""
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime.combine(value, time())
    elif not (text := to_string(value).strip()):
        return None
    else:
        date_format = config.date_format
        try:
            moment = datetime.strptime(text, date_format) if date_format else datetime.fromisoformat(text)
        except ValueError:
            expected = date_format or "ISO 8601, as 2026-02-28 or 2026-02-28T13:45:00"
            raise _BadValue("bad date", f"{config.created_at} {text!r} is not {expected} (data.date_format)") from None
    try:
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError:
        raise _BadValue("bad date", f"{config.created_at} {value!r} cannot be converted to UTC") from None

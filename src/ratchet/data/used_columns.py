"""List the columns that a data set uses, and refuse those that are missing or have two roles."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from ratchet.config import DataConfig, LabelKind, RecordsLayout, SliceKind
from ratchet.data.formats.rows import Row, Rows
from ratchet.data.labels import list_label_columns
from ratchet.data.values import list_paths
from ratchet.errors import UserError, did_you_mean


def complete_layout(config: DataConfig) -> DataConfig:
    """Return the configuration with the columns of a directory per class, unless others are set."""
    if config.records.layout is not RecordsLayout.directory:
        return config
    labels = config.labels
    if not list_label_columns(labels):
        labels = replace(labels, column="label", kind=LabelKind.single)
    return replace(config, id=config.id or "id", labels=labels)


def list_slice_columns(config: DataConfig) -> list[str]:
    """Return the columns that the slices of the data set read."""
    return [
        definition.column
        for definition in config.slices.values()
        if definition.kind is SliceKind.column and definition.column
    ]


def name_columns(config: DataConfig) -> dict[str, str]:
    """Return the columns (or paths) in use by the key that names them."""
    names = {f"data.text[{index}]": column for index, column in enumerate(config.text)}
    if config.labels.columns is None:
        names["data.labels.column"] = str(config.labels.column)
    else:
        names |= {f"data.labels.columns[{index}]": column for index, column in enumerate(config.labels.columns)}
    optional = {
        "data.id": config.id,
        "data.created_at": config.created_at,
        "data.split.column": config.split.column,
        "data.split.group": config.split.group,
    }
    names |= {key: column for key, column in optional.items() if column is not None}
    names |= {f"data.slices.*.column={column}": column for column in list_slice_columns(config)}
    return names | {f"data.filter.where.{column}": column for column in config.filter.where}


def list_used_columns(config: DataConfig) -> list[str]:
    """Return the columns (or paths) that a data set uses; the others need not be read."""
    return list(dict.fromkeys(name_columns(complete_layout(config)).values()))


def check_roles(config: DataConfig) -> None:
    """Refuse a text that holds the answer, or what identifies or divides the records."""
    roles = {
        "data.id": ("the id", [config.id]),
        "data.created_at": ("the date", [config.created_at]),
        "data.split.column": ("the part", [config.split.column]),
    }
    labels_key = "data.labels.column" if config.labels.columns is None else "data.labels.columns"
    for column in config.text:
        if column in list_label_columns(config.labels):
            raise UserError(
                f"{column} is both text and answer: remove it from data.text ({labels_key} has it): a model would read "
                "the labels in the text"
            )
        for key, (role, columns) in roles.items():
            if column in columns:
                raise UserError(f"{column} is both text and {role}: remove it from data.text ({key} has it)")


def check_columns(rows: Rows, columns: Mapping[str, str]) -> None:
    """Refuse names that no column of the file has, before its rows are read."""
    header = dict.fromkeys(rows.columns)
    absent = {
        key: column
        for key, column in columns.items()
        if not any(column == name or column.startswith((f"{name}.", f"{name}[")) for name in header)
    }
    if absent:
        key, column = next(iter(absent.items()))
        raise UserError(f"{rows.name}: no column {column!r} ({key}); {did_you_mean(column, header)}")


def refuse_absent(rows: Rows, absent: Mapping[str, str]) -> None:
    """Refuse a name that is in no row; suggest the nearest of the first rows."""
    names = {name for row in islice(rows, 20) if isinstance(row, Row) for name in list_paths(row.values)}
    key, column = next(iter(absent.items()))
    raise UserError(f"{rows.name}: no column {column!r} ({key}); {did_you_mean(column, names)}")

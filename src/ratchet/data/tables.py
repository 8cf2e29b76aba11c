"""Open the files of a data set as tables: records by their format or layout, joined with labels of another file."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ratchet.config import DataConfig, FileConfig, Format, LabelKind, RecordsLayout
from ratchet.data.formats import Dialect, detect_format, open_rows
from ratchet.data.formats.rows import Row, Rows, is_used
from ratchet.data.opening import refuse_other_content
from ratchet.data.problems import Problem
from ratchet.data.sources import Source, locate_file
from ratchet.data.values import NotText, get_value, to_string
from ratchet.errors import UserError, did_you_mean


def open_tables(
    config: DataConfig, sources: Sequence[Source], columns: Collection[str] | None = None, *, packaged: bool = True
) -> list[tuple[Source, Rows]]:
    """Return the rows of each source; `columns` are those in use (None: all).

    Raises:
        UserError: a file cannot be read or is not in its format; the labels' file lacks a column, or fits no record.
    """
    dialect = Dialect.from_config(config)
    file = config.labels.file
    if file is None or file.path is None:
        return [(source, _open_source(source, config, dialect, columns)) for source in sources]
    labels = _Labels.read(config, file, dialect, packaged)
    used = None if columns is None else [labels.id_column, *(c for c in columns if not labels.has_labels_in(c))]
    tables = [(source, _open_source(source, config, dialect, used)) for source in sources]
    return labels.join(tables)


def _open_source(source: Source, config: DataConfig, dialect: Dialect, columns: Collection[str] | None) -> Rows:
    if config.records.layout is RecordsLayout.directory:
        from ratchet.data.formats.folders import open_folders

        has_file = config.labels.file is not None and config.labels.file.path is not None
        return open_folders(
            source.path, source.name, config.encoding, id_prefix=source.id_prefix, has_labels=not has_file
        )
    form = detect_format(source.name, dialect)
    if form in (Format.parquet, Format.arrow) and config.labels.kind is LabelKind.indices:
        from ratchet.data.formats.columnar import open_columnar

        refuse_other_content(source.path, source.name, form, dialect.key)
        return open_columnar(source.path, source.name, form, columns, class_names=False)  # data.labels.names has them
    return open_rows(source.path, source.name, replace(dialect, under=source.under), columns)


class _Labels:
    """The rows of the labels' file by the id of the record."""

    def __init__(self, rows: Rows, id_column: str, label_columns: Sequence[str], *, repeats: bool) -> None:
        self.id_column = id_column
        self.label_columns = label_columns
        self.name = rows.name
        self.columns = [column for column in rows.columns if column != id_column]
        self.problems: list[Problem] = []
        self.rows_of: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for row in rows:
            if isinstance(row, Problem):
                self.problems.append(row)
            else:
                self._add(row, rows.location(row), repeats)

    @classmethod
    def read(cls, config: DataConfig, file: FileConfig, dialect: Dialect, packaged: bool) -> "_Labels":
        """Read the file of the labels: in the format of its suffix, else in that of the records.

        Raises:
            UserError: the file cannot be read, or lacks the column of the ids or of the labels.
        """
        id_column = "id" if config.records.layout is RecordsLayout.directory else config.id
        if id_column is None:
            raise UserError("data.labels.file is joined to the records by their id: set data.id to its column")
        path = locate_file(file, "labels", packaged=packaged)
        alone = replace(dialect, format=Format.auto, under=None, query=None, sheet=None)
        try:
            detect_format(str(path), alone)
        except UserError:
            alone = replace(alone, format=dialect.format)
        wanted = [config.labels.column] if config.labels.columns is None else list(config.labels.columns)
        rows = open_rows(path, str(path), alone, None)
        names = rows.columns or list(next((row.values for row in rows if isinstance(row, Row)), {}))
        label_columns = [name for name in names if is_used(name, [column for column in wanted if column])]
        for key, column in (("data.id", id_column), *(("data.labels", column) for column in wanted if column)):
            if not any(is_used(name, [column]) for name in names):
                raise UserError(f"{path}: no column {column!r} ({key}); {did_you_mean(column, names)}")
        return cls(rows, id_column, label_columns, repeats=config.labels.kind is LabelKind.rows)

    def has_labels_in(self, column: str) -> bool:
        """Return whether a column (or a path into it) in use is one of the labels, which only this file has."""
        return any(is_used(name, [column]) for name in self.label_columns)

    def _add(self, row: Row, place: str, repeats: bool) -> None:
        identifier = _read_id(row, self.id_column, place)
        if isinstance(identifier, Problem):
            self.problems.append(identifier)
        elif not identifier:
            self.problems.append(Problem("no id", place, f"{self.id_column} is empty", "stops"))
        elif identifier in self.rows_of and not repeats:
            message = f"id {identifier!r} already has labels, from {self.rows_of[identifier][0][0]}"
            self.problems.append(Problem("duplicate id", place, message, "stops"))
        else:
            values = {key: value for key, value in row.values.items() if key != self.id_column}
            self.rows_of.setdefault(identifier, []).append((place, values))

    def join(self, tables: list[tuple[Source, Rows]]) -> list[tuple[Source, Rows]]:
        """Return the tables with the values of this file in each row. The last one reports labels without a record.

        A record without labels is a problem.
        """
        used: set[str] = set()
        joined = []
        for index, (source, rows) in enumerate(tables):
            is_last = index == len(tables) - 1
            columns = list(dict.fromkeys([*rows.columns, *self.columns])) if rows.columns else []
            iterate = _Joined(self, rows, used, is_first=index == 0, is_last=is_last)
            joined.append((source, replace(rows, columns=columns, iterate=iterate)))
        return joined


def _read_id(row: Row, column: str, place: str) -> str | Problem:
    try:
        return to_string(get_value(row.values, column), column).strip()
    except NotText as error:
        return Problem("bad id", place, str(error), "stops")


class _Joined:
    """Iterate over the rows of one table with their labels. `used` collects the ids of all tables."""

    def __init__(self, labels: _Labels, rows: Rows, used: set[str], *, is_first: bool, is_last: bool) -> None:
        self.labels, self.rows, self.used = labels, rows, used
        self.is_first, self.is_last = is_first, is_last

    def __call__(self) -> Iterator[Row | Problem]:
        if self.is_first:
            self.used.clear()
            yield from self.labels.problems
        for row in self.rows:
            if isinstance(row, Problem):
                yield row
                continue
            identifier = _read_id(row, self.labels.id_column, self.rows.location(row))
            if isinstance(identifier, Problem):
                yield identifier
                continue
            labelled = self.labels.rows_of.get(identifier)
            if labelled is None:
                message = (
                    f"id {identifier!r} is not in {self.labels.name}: add it there (with no labels, if it has none)"
                )
                yield Problem("record without labels", self.rows.location(row), message, "stops")
                continue
            self.used.add(identifier)
            for _, values in labelled:
                labels = {column: values.get(column) for column in self.labels.label_columns}
                yield replace(row, values={**values, **row.values, **labels})
        if self.is_last:
            yield from self._report_unused()

    def _report_unused(self) -> Iterator[Problem]:
        unused = [identifier for identifier in self.labels.rows_of if identifier not in self.used]
        if unused and not self.used:
            raise UserError(
                f"{self.labels.name}: no id fits a record, as {unused[0]!r}: data.id={self.labels.id_column} must hold "
                "the same values in both files"
            )
        for identifier in unused:
            place = self.labels.rows_of[identifier][0][0]
            yield Problem("labels without a record", place, f"no record has the id {identifier!r}", "dropped")

"""Build records (id, text, labels, date and slice columns) from rows, and report every bad row."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ratchet.config import DataConfig, LabelKind, SplitMethod
from ratchet.data.dates import DateParser
from ratchet.data.formats.rows import Row, Rows
from ratchet.data.label_cells import LabelSet
from ratchet.data.labels import LabelParser, is_multiclass, several_labels
from ratchet.data.problems import Outcome, Problem, Report
from ratchet.data.row_filter import Where
from ratchet.data.sources import Source
from ratchet.data.texts import TextColumns
from ratchet.data.used_columns import (
    check_columns,
    check_roles,
    complete_layout,
    list_slice_columns,
    name_columns,
    refuse_absent,
)
from ratchet.data.values import (
    BadValue,
    NotText,
    check_characters,
    has_value,
    is_blank,
    make_getter,
    to_string,
)
from ratchet.errors import UserError, did_you_mean


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `labels` is sorted and unique; `columns` holds the columns that slices and given splits need.

    `place` is the location of the record in its file, for messages; `created_at` is in UTC, without a time zone.
    `unknown` are the labels whose state is unknown; `part` is given by the file.
    """

    id: str
    text: str
    labels: tuple[str, ...]
    created_at: datetime | None
    columns: dict[str, str]
    place: str
    unknown: tuple[str, ...] = ()
    part: str | None = None


def build_records(
    tables: Iterable[tuple[Source, Rows]],
    config: DataConfig,
    label_names: list[str] | None,
    known: set[str] | None,
    report: Report | None = None,
) -> tuple[list[Record], list[Problem]]:
    """Return the records of all rows, and the problems of the rows that are not usable.

    `label_names` is the content of the label file (indices refer to it); `known` is the set of valid labels (None:
    all are valid). The number of rows, and of those that are left out or joined with others, is added to `report`.

    Raises:
        UserError: a column that the configuration names is missing, or has two roles; no row has a value of
            data.filter.where.
    """
    config = complete_layout(config)
    check_roles(config)
    builder = _Builder(config, label_names, known)
    for source, rows in tables:
        builder.add(source, rows)
    return builder.finish(Report() if report is None else report)


class _Builder:
    """Build records row by row. What depends on the configuration alone is looked up once."""

    def __init__(self, config: DataConfig, label_names: list[str] | None, known: set[str] | None) -> None:
        self.config = config
        self.bad_row: Outcome = "dropped" if config.drop_bad_rows else "stops"
        self.joins = config.labels.kind is LabelKind.rows
        self.is_one = is_multiclass(config.labels)
        valid = None if known is None else known.union(config.filter.exclude)
        self.parse_labels = LabelParser(config.labels, label_names, valid, config.missing)
        self.text = TextColumns.from_config(config)
        self.text_getters = [self._make_text_getter(column) for column in config.text]
        self.get_id = None if config.id is None else self._make_string_getter(config.id)
        kept = [*list_slice_columns(config), config.split.column, config.split.group]
        self.column_getters = {column: self._make_string_getter(column) for column in kept if column is not None}
        self.get_date = None if config.created_at is None else make_getter(config.created_at)
        self.parse_date = DateParser(str(config.created_at), config.date_format, config.missing)
        self.where = [Where(column, wanted, config.missing) for column, wanted in config.filter.where.items()]
        self.columns = name_columns(config)
        self.records: list[Record] = []
        self.problems: list[Problem] = []
        self.rows_read = 0
        self.joined = 0
        self.divided: list[str] = []  # rows that have an earlier row's id and text, and other labels
        self.row_of: dict[str, int] = {}  # index into `records` by id, or by text if labels without an id are joined
        self.others_unknown: list[int] = []  # indices of records with only some labels known

    def _make_text_getter(self, column: str) -> Callable[[Mapping[str, Any]], Any]:
        get, missing = make_getter(column), frozenset(self.config.missing)
        if not missing:
            return get

        def get_text(values: Mapping[str, Any]) -> Any:
            value = get(values)
            return None if isinstance(value, str) and value.strip() in missing else value

        return get_text

    def _make_string_getter(self, column: str) -> Callable[[Mapping[str, Any]], str]:
        """Return the function that looks up an id or the value of a slice."""
        get, missing = make_getter(column), frozenset(self.config.missing)

        def get_string(values: Mapping[str, Any]) -> str:
            try:
                text = to_string(get(values), column).strip()
            except NotText as error:
                raise BadValue("bad value", str(error)) from None
            if text in missing:
                return ""
            check_characters(text, column)
            return text

        return get_string

    def add(self, source: Source, rows: Rows) -> None:
        """Add the rows of a file."""
        absent = dict(self.columns)
        if rows.columns:
            check_columns(rows, absent)
        self.problems += rows.notes
        is_empty = True
        for row in rows:
            self.rows_read += 1
            if isinstance(row, Problem):
                outcome = self.bad_row if row.outcome == "stops" else row.outcome
                self.problems.append(replace(row, outcome=outcome))
                continue
            is_empty = False
            if absent:
                absent = {key: column for key, column in absent.items() if not has_value(row.values, column)}
            try:
                if not self.where or self._keeps(row.values):
                    self._add_row(row, source, rows)
            except BadValue as error:
                outcome = "dropped" if error.kind == "empty text" else self.bad_row
                self.problems.append(Problem(error.kind, rows.location(row), str(error), outcome))
        if absent and not is_empty:
            refuse_absent(rows, absent)

    def _keeps(self, values: Mapping[str, Any]) -> bool:
        """Return whether data.filter.where keeps a row; count a row that is left out once."""
        failed = [where for where in self.where if not where.keeps(values)]
        if failed:
            failed[0].left_out += 1
        return not failed

    def _add_row(self, row: Row, source: Source, rows: Rows) -> None:
        values = row.values
        text = self._read_text(values, source)
        labels = self.parse_labels(values)
        identifier = f"{source.id_prefix}{row.number}" if self.get_id is None else self.get_id(values)
        if not identifier:
            raise BadValue("no id", f"{self.config.id} is empty")
        columns = {column: get(values) for column, get in self.column_getters.items()}
        moment = None if self.get_date is None else self.parse_date(self.get_date(values))
        if moment is None and self.config.split.method is SplitMethod.temporal:
            raise BadValue("no date", f"{self.config.created_at} is empty, but data.split.method=temporal needs a date")
        key = text if self.joins and self.get_id is None else identifier
        earlier = self.row_of.get(key)
        if earlier is not None:
            self._join(earlier, text, labels, source.part, key, rows.location(row))
            return
        index = self.row_of[key] = len(self.records)
        if labels.others_unknown:
            self.others_unknown.append(index)
        self.records.append(
            Record(
                id=identifier,
                text=text,
                labels=labels.positive,
                created_at=moment,
                columns=columns,
                place=rows.location(row),
                unknown=labels.unknown,
                part=source.part,
            )
        )

    def _read_text(self, values: Mapping[str, Any], source: Source) -> str:
        try:
            text = self.text.text([get(values) for get in self.text_getters], source.path.parent)
        except NotText as error:
            raise BadValue("bad text", str(error)) from None
        if is_blank(text):
            raise BadValue("empty text", f"no text in {', '.join(self.config.text)}")
        return text

    def _join(self, earlier: int, text: str, labels: LabelSet, part: str | None, key: str, location: str) -> None:
        """Join the labels of a row with those of an earlier one, or refuse the repeated id."""
        record = self.records[earlier]
        where = f"id {key!r} is already used by {record.place}"
        if record.text != text:
            other = ", with another text" if self.joins else ""
            raise BadValue("duplicate id", f"{where}{other}")
        if not self.joins:
            if record.labels != labels.positive:
                self.divided.append(f"{location}: id {key!r} and the text of {record.place}, with other labels")
            raise BadValue("duplicate id", f"{where}, with the same text")
        if part != record.part:
            raise BadValue("duplicate id", f"{where}, in another part ({record.part})")
        joined = tuple(sorted({*record.labels, *labels.positive}))
        if self.is_one and len(joined) > 1:
            raise several_labels(f"{self.parse_labels.column} of {record.place} and of this row", joined)
        if labels.others_unknown and not record.labels:
            self.others_unknown.append(earlier)
        self.records[earlier] = replace(record, labels=joined)
        self.joined += 1

    def finish(self, report: Report) -> tuple[list[Record], list[Problem]]:
        """Return the records and the problems. Add the numbers of rows to the report."""
        self._refuse_divided()
        self._refuse_all_bad()
        self._check_where()
        self._fill_unknown()
        if self.joins and self.is_one:
            self._refuse_unlabelled()
        self.problems += self.parse_labels.find_odd()
        report.rows_read += self.rows_read
        for where in self.where:
            report.filtered[where.reason] = where.left_out
        if self.joins:
            report.filtered["rows joined with an earlier row of the record"] = self.joined
        return self.records, self.problems

    def _refuse_divided(self) -> None:
        """Refuse records that are divided into rows: to drop such rows would lose their labels."""
        if self.divided:
            shown = [f"  {line}" for line in self.divided[:4]]
            more = len(self.divided) - len(shown)
            raise UserError(
                "\n".join(
                    [
                        f"{len(self.divided)} rows repeat a record with other labels:",
                        *shown,
                        *([f"  ... and {more} more"] if more else []),
                        "If each row has one label of a record, set data.labels.kind=rows, which joins them; else give "
                        "each row its own id",
                    ]
                )
            )

    def _refuse_all_bad(self) -> None:
        """Name the cause if every row is to be dropped: later messages would name its consequences."""
        bad = [problem for problem in self.problems if problem.kind != "empty text"]
        if bad and not self.records and self.config.drop_bad_rows:
            raise UserError(f"all {len(bad)} rows would be dropped, as {bad[0].place}: {bad[0].message}")

    def _check_where(self) -> None:
        for where in self.where:
            if where.unmet and self.rows_read:
                value = min(where.unmet)
                seen = {*where.seen, *(set(where.wanted) - where.unmet)} - {""}
                raise UserError(
                    f"data.filter.where.{where.column}: no row has the value {value!r}; {did_you_mean(value, seen)}"
                )

    def _refuse_unlabelled(self) -> None:
        """Move records without a label to the problems: each row may lack one, but not all rows of a record."""
        for record in self.records:
            if not record.labels:
                message = f"{self.parse_labels.column} is empty, but every record must have exactly one label"
                self.problems.append(Problem("no label", record.place, message, self.bad_row))
        self.records = [record for record in self.records if record.labels]

    def _fill_unknown(self) -> None:
        """Mark all other labels as unknown in records with only some labels known."""
        if not self.others_unknown:
            return
        every = {label for record in self.records for label in (*record.labels, *record.unknown)}
        every |= set(self.parse_labels.names)
        for index in self.others_unknown:
            record = self.records[index]
            self.records[index] = replace(record, unknown=tuple(sorted(every.difference(record.labels))))

"""Read the bytes of a file into columns, and report each row that cannot be read.

Row numbers are those that an editor or a spreadsheet shows for the file.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, Literal

from ratchet.config import DataConfig, Format
from ratchet.data.sources import Content
from ratchet.errors import UserError

Outcome = Literal["stops", "dropped", "kept"]
SUFFIXES = {
    ".csv": Format.csv,
    ".tsv": Format.tsv,
    ".tab": Format.tsv,
    ".json": Format.json,
    ".jsonl": Format.jsonl,
    ".ndjson": Format.jsonl,
    ".parquet": Format.parquet,
    ".pq": Format.parquet,
}


@dataclass(frozen=True)
class Problem:
    """A problem in the data. Counts are grouped by `kind`; `outcome` is what happens to the record (or label)."""

    kind: str
    place: str
    message: str
    outcome: Outcome


@dataclass
class Report:
    """What preparing a data set read, which problems it has, and what was left out.

    `filtered` counts removed records by reason; `labels_left_out` maps each removed label to its reason.
    """

    files: list[str] = field(default_factory=list)
    rows_read: int = 0
    problems: list[Problem] = field(default_factory=list)
    filtered: dict[str, int] = field(default_factory=dict)
    labels_left_out: dict[str, str] = field(default_factory=dict)

    def count_problems(self) -> dict[tuple[str, Outcome], int]:
        """Return the number of problems by kind and outcome, most frequent first."""
        counts = Counter((problem.kind, problem.outcome) for problem in self.problems)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def stop_if_fatal(self) -> None:
        """Raise an error if a problem stops the run.

        Raises:
            UserError: lists the first such problems with their locations, and how to continue without those records.
        """
        fatal = [problem for problem in self.problems if problem.outcome == "stops"]
        if fatal:
            raise UserError("\n".join(_format_problems(fatal)))


def _format_problems(problems: list[Problem], most: int = 8) -> Iterable[str]:
    rows = "row" if len(problems) == 1 else "rows"
    yield f"the data cannot be used: {len(problems)} bad {rows}"
    for problem in problems[:most]:
        yield f"  {problem.place}: {problem.message}"
    if len(problems) > most:
        yield f"  ... and {len(problems) - most} more"
    yield "Correct the file, or set data.drop_bad_rows=true to skip and count such rows"


@dataclass
class Table:
    """Columns of equal length. Value i was read from `unit` (line, row or item) number `rows[i]`, from 1."""

    name: str
    unit: str
    rows: list[int]
    columns: dict[str, list[Any]]
    problems: list[Problem]

    def location(self, index: int) -> str:
        """Return the location of value `index` in the file, for messages."""
        return f"{self.name}, {self.unit} {self.rows[index]}"


def read_table(content: Content, config: DataConfig) -> Table:
    """Read `content` in the configured format. Return its columns and the rows that could not be read.

    Raises:
        UserError: the suffix is unknown, the encoding is wrong, or the file as such is not in its format.
    """
    file_format = config.format
    if file_format is Format.auto:
        suffix = PurePath(content.name).suffix.lower()
        if suffix not in SUFFIXES:
            raise UserError(
                f"{content.name}: unknown suffix {suffix!r}: set data.format to csv, tsv, json, jsonl or parquet"
            )
        file_format = SUFFIXES[suffix]
    if file_format is Format.parquet:
        return _read_parquet(content)
    text = decode(content, config.encoding)
    outcome: Outcome = "dropped" if config.drop_bad_rows else "stops"
    if file_format is Format.json:
        table = _read_json(content.name, text)
    elif file_format is Format.jsonl:
        table = _read_jsonl(content.name, text)
    else:
        table = _read_csv(content.name, text, "\t" if file_format is Format.tsv else ",", config)
    table.problems = [replace(problem, outcome=outcome) for problem in table.problems]
    return table


def decode(content: Content, encoding: str) -> str:
    """Return the content as text, without a byte order mark.

    Raises:
        UserError: the content is not in `encoding` (the message gives the line), or there is no such encoding.
    """
    try:
        return content.data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.data.count(b"\n", 0, error.start) + 1
        byte = content.data[error.start]
        raise UserError(
            f"{content.name}, line {line}: byte 0x{byte:02x} is not {encoding}: set data.encoding "
            "(latin-1 and cp1252 are common), or save the file as UTF-8"
        ) from error
    except LookupError as error:
        raise UserError(f"data.encoding={encoding!r}: unknown encoding; common ones: utf-8, latin-1, cp1252") from error


def _read_parquet(content: Content) -> Table:
    import polars as pl  # slow to import, and models need this module only for their taxonomy

    try:
        frame = pl.read_parquet(io.BytesIO(content.data)).with_columns(pl.col(pl.Binary).cast(pl.String))
    except (Exception, pl.exceptions.PanicException) as error:
        raise UserError(f"{content.name}: not a Parquet file: {str(error).splitlines()[0]}") from error
    columns = {name: frame[name].to_list() for name in frame.columns}
    return Table(content.name, "row", list(range(1, frame.height + 1)), columns, [])


def parse_json(name: str, text: str) -> Any:
    """Return the parsed content of the JSON file `name`.

    Raises:
        UserError: it is not JSON, nested too deeply, or has a number with too many digits; gives the line if known.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UserError(f"{name}{where}: not valid JSON: {getattr(error, 'msg', error)}") from error


def _read_json(name: str, text: str) -> Table:
    items = parse_json(name, text)
    if not isinstance(items, list):
        raise UserError(f"{name}: must be a list of records, but is a {type(items).__name__}")
    return _from_objects(name, "item", list(enumerate(items, start=1)), [])


def _read_jsonl(name: str, text: str) -> Table:
    parsed, problems = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            parsed.append((number, json.loads(line)))
        except (ValueError, RecursionError) as error:
            problems.append(Problem("broken line", f"{name}, line {number}", describe_json_error(error), "stops"))
    return _from_objects(name, "line", parsed, problems)


def describe_json_error(error: ValueError | RecursionError) -> str:
    """Return a message about a line that `json.loads` refused."""
    return f"not valid JSON: {getattr(error, 'msg', error)} at column {getattr(error, 'colno', 1)}"


def describe_non_object(item: Any) -> str:
    """Return a message about an item that is valid JSON, but not an object of columns."""
    return f"must be an object of columns, but is a {type(item).__name__}"


def _from_objects(name: str, unit: str, items: list[tuple[int, Any]], problems: list[Problem]) -> Table:
    objects = []
    for number, item in items:
        if isinstance(item, dict):
            objects.append((number, item))
        else:
            problems.append(Problem("broken line", f"{name}, {unit} {number}", describe_non_object(item), "stops"))
    keys = dict.fromkeys(key for _, item in objects for key in item)
    columns = {key: [item.get(key) for _, item in objects] for key in keys}
    return Table(name, unit, [number for number, _ in objects], columns, problems)


def iterate_csv_rows(name: str, lines: Iterable[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number (from 1) and the fields of each row of `lines`; skip blank rows.

    Raises:
        UserError: a row cannot be read, for example because a quote is not closed; gives the last row before it.
    """
    csv.field_size_limit(2**31 - 1)  # the default limit refuses texts above 128 KiB
    last = 0
    try:
        for number, fields in enumerate(csv.reader(lines, delimiter=separator, strict=True), start=1):
            if fields:
                last = number
                yield number, fields
    except csv.Error as error:
        raise UserError(f"{name}, after row {last}: not valid CSV: {error}") from error


def describe_wrong_width(fields: Sequence[str], expected: int, separator: str) -> str:
    """Return a message about a row whose number of fields differs from that of the first row."""
    return f"{len(fields)} fields, but the first row has {expected}: quote texts that contain {separator!r}"


def refuse_repeated_columns(name: str, columns: Sequence[str], source: str) -> None:
    """Raise an error if two columns have the same name; `source` is where the names come from.

    Raises:
        UserError: two columns have the same name.
    """
    repeated = next((column for column in columns if columns.count(column) > 1), None)
    if repeated is not None:
        raise UserError(f"{name}: column {repeated!r} occurs twice in {source}: rename one of them")


def _read_csv(name: str, text: str, separator: str, config: DataConfig) -> Table:
    kept: list[list[str]] = []
    numbers: list[int] = []
    problems: list[Problem] = []
    for number, fields in iterate_csv_rows(name, io.StringIO(text, newline=""), separator):
        if kept and len(fields) != len(kept[0]):
            message = describe_wrong_width(fields, len(kept[0]), separator)
            problems.append(Problem("wrong number of fields", f"{name}, row {number}", message, "stops"))
            continue
        kept.append(fields)
        numbers.append(number)
    if not kept:
        raise UserError(f"{name}: the file is empty")
    names = kept.pop(0) if config.header else _get_configured_names(name, len(kept[0]), config)
    refuse_repeated_columns(name, names, "the first row" if config.header else "data.column_names")
    columns = {column: [fields[index] for fields in kept] for index, column in enumerate(names)}
    return Table(name, "row", numbers[1:] if config.header else numbers, columns, problems)


def _get_configured_names(name: str, width: int, config: DataConfig) -> list[str]:
    """Return the column names of a file without a header: `data.column_names`, else "1", "2", and so on."""
    names = config.column_names or [str(index) for index in range(1, width + 1)]
    if len(names) != width:
        raise UserError(f"{name}: {width} columns, but data.column_names has {len(names)}: name every column")
    return names

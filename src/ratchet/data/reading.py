"""Read the bytes of a file into columns; report what cannot be read by row.

Row numbers are those of the file, as an editor or a spreadsheet shows them.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
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
    """One finding. `kind` groups findings in counts; `outcome` is what becomes of the record (or label)."""

    kind: str
    place: str
    message: str
    outcome: Outcome


@dataclass
class Report:
    """Everything that was read, found and left out on the way from a file to a prepared data set."""

    files: list[str] = field(default_factory=list)
    rows_read: int = 0
    problems: list[Problem] = field(default_factory=list)
    filtered: dict[str, int] = field(default_factory=dict)
    labels_left_out: dict[str, str] = field(default_factory=dict)

    def counts(self) -> dict[tuple[str, Outcome], int]:
        """Number of findings by kind and outcome, most frequent first."""
        found = Counter((problem.kind, problem.outcome) for problem in self.problems)
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def stop_if_fatal(self) -> None:
        """Raise if a finding stops the run.

        Raises:
            UserError: lists the first findings with their places, and says how to go on without those records.
        """
        fatal = [problem for problem in self.problems if problem.outcome == "stops"]
        if fatal:
            raise UserError("\n".join(_listing(fatal)))


def _listing(problems: list[Problem], most: int = 8) -> Iterable[str]:
    rows = "row" if len(problems) == 1 else "rows"
    yield f"the data cannot be used as it is: {len(problems)} bad {rows}"
    for problem in problems[:most]:
        yield f"  {problem.place}: {problem.message}"
    if len(problems) > most:
        yield f"  ... and {len(problems) - most} more"
    yield "Mend the file, or leave such rows out and have them counted: data.drop_bad_rows=true"


@dataclass
class Table:
    """Columns of equal length. `rows[i]` is where value i stands, counted as `unit` (line, row, item) from 1."""

    name: str
    unit: str
    rows: list[int]
    columns: dict[str, list[Any]]
    problems: list[Problem]

    def place(self, index: int) -> str:
        """Where value `index` stands, for messages."""
        return f"{self.name}, {self.unit} {self.rows[index]}"


def read_table(content: Content, config: DataConfig) -> Table:
    """Read `content` in the configured format.

    Raises:
        UserError: an unknown suffix, a wrong encoding, or a file that is not of its format as a whole.
    """
    form = config.format
    if form is Format.auto:
        suffix = PurePath(content.name).suffix.lower()
        if suffix not in SUFFIXES:
            raise UserError(
                f"{content.name}: unknown suffix {suffix!r}: set data.format to csv, tsv, json, jsonl or parquet"
            )
        form = SUFFIXES[suffix]
    if form is Format.parquet:
        return _read_parquet(content)
    text = decode(content, config.encoding)
    outcome: Outcome = "dropped" if config.drop_bad_rows else "stops"
    if form is Format.json:
        table = _read_json(content.name, text)
    elif form is Format.jsonl:
        table = _read_jsonl(content.name, text)
    else:
        table = _read_csv(content.name, text, "\t" if form is Format.tsv else ",", config)
    table.problems = [Problem(each.kind, each.place, each.message, outcome) for each in table.problems]
    return table


def decode(content: Content, encoding: str) -> str:
    """The content as text, without a byte order mark.

    Raises:
        UserError: names the line of the first byte that is not of `encoding`, or an encoding that does not exist.
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
        raise UserError(f"data.encoding={encoding!r}: there is no such encoding") from error


def _read_parquet(content: Content) -> Table:
    import polars as pl  # slow to import, and models need this module only for their taxonomy

    try:
        frame = pl.read_parquet(io.BytesIO(content.data)).with_columns(pl.col(pl.Binary).cast(pl.String))
    except (Exception, pl.exceptions.PanicException) as error:
        raise UserError(f"{content.name}: not a Parquet file: {str(error).splitlines()[0]}") from error
    columns = {name: frame[name].to_list() for name in frame.columns}
    return Table(content.name, "row", list(range(1, frame.height + 1)), columns, [])


def parse_json(name: str, text: str) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: not JSON, or nested too deeply, or with a number too long; names the line where there is one.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UserError(f"{name}{where}: not valid JSON: {getattr(error, 'msg', error)}") from error


def _read_json(name: str, text: str) -> Table:
    items = parse_json(name, text)
    if not isinstance(items, list):
        raise UserError(f"{name}: holds no list of records but a {type(items).__name__}")
    return _from_objects(name, "item", list(enumerate(items, start=1)), [])


def _read_jsonl(name: str, text: str) -> Table:
    parsed, problems = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            parsed.append((number, json.loads(line)))
        except (ValueError, RecursionError) as error:
            problems.append(Problem("broken line", f"{name}, line {number}", broken_json(error), "stops"))
    return _from_objects(name, "line", parsed, problems)


def broken_json(error: ValueError | RecursionError) -> str:
    """What is wrong with a line that `json.loads` did not take."""
    return f"broken JSON: {getattr(error, 'msg', error)} at column {getattr(error, 'colno', 1)}"


def no_object(item: Any) -> str:
    """What is wrong with a line that is JSON, but no row."""
    return f"holds no object of columns but a {type(item).__name__}"


def _from_objects(name: str, unit: str, items: list[tuple[int, Any]], problems: list[Problem]) -> Table:
    good = []
    for number, item in items:
        if isinstance(item, dict):
            good.append((number, item))
        else:
            problems.append(Problem("broken line", f"{name}, {unit} {number}", no_object(item), "stops"))
    keys = dict.fromkeys(key for _, item in good for key in item)
    columns = {key: [item.get(key) for _, item in good] for key in keys}
    return Table(name, unit, [number for number, _ in good], columns, problems)


def csv_rows(name: str, lines: Iterable[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of `lines`, one after the other, blank ones left out, each with its number; the first row is 1.

    Raises:
        UserError: not readable, as a quote that never ends; names the last row that was.
    """
    csv.field_size_limit(2**31 - 1)  # the default refuses texts above 128 KiB
    last = 0
    try:
        for number, fields in enumerate(csv.reader(lines, delimiter=separator, strict=True), start=1):
            if fields:
                last = number
                yield number, fields
    except csv.Error as error:
        raise UserError(f"{name}, after row {last}: not readable: {error}") from error


def wrong_width(fields: Sequence[str], expected: int, separator: str) -> str:
    """What is wrong with a row that has not as many fields as the first one."""
    return f"{len(fields)} fields where the first row has {expected}: quote text with {separator!r}"


def refuse_repeated(name: str, columns: Sequence[str], where: str) -> None:
    """Stop where two columns have the same name.

    Raises:
        UserError: names the column.
    """
    twice = next((each for each in columns if columns.count(each) > 1), None)
    if twice is not None:
        raise UserError(f"{name}: column {twice!r} a second time in {where}")


def _read_csv(name: str, text: str, separator: str, config: DataConfig) -> Table:
    kept: list[list[str]] = []
    numbers: list[int] = []
    problems: list[Problem] = []
    for number, fields in csv_rows(name, io.StringIO(text, newline=""), separator):
        if kept and len(fields) != len(kept[0]):
            message = wrong_width(fields, len(kept[0]), separator)
            problems.append(Problem("wrong number of fields", f"{name}, row {number}", message, "stops"))
            continue
        kept.append(fields)
        numbers.append(number)
    if not kept:
        raise UserError(f"{name}: the file is empty")
    names = kept.pop(0) if config.header else _names_without_header(name, len(kept[0]), config)
    refuse_repeated(name, names, "the first row" if config.header else "data.column_names")
    columns = {column: [fields[index] for fields in kept] for index, column in enumerate(names)}
    return Table(name, "row", numbers[1:] if config.header else numbers, columns, problems)


def _names_without_header(name: str, width: int, config: DataConfig) -> list[str]:
    names = config.column_names or [str(index) for index in range(1, width + 1)]
    if len(names) != width:
        raise UserError(f"{name}: {width} columns, but data.column_names names {len(names)}")
    return names

"""Inspect data files and describe them as a data set: what `ratchet init DIR data=tickets.csv` writes.

The files are read as training reads them. The description is checked before it is returned: its records are built, and
divided unless they are very many.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ratchet.config import (
    DataConfig,
    LabelsConfig,
    RecordsConfig,
    RecordsLayout,
    SplitMethod,
)
from ratchet.data.directories import Located, is_pattern
from ratchet.data.formats import open_rows
from ratchet.data.formats.rows import Rows
from ratchet.data.label_names import read_label_names
from ratchet.data.labels import is_multiclass
from ratchet.data.problems import Problem, Report
from ratchet.data.records import Record, build_records
from ratchet.data.sources import Source, list_sources
from ratchet.data.tables import open_tables
from ratchet.data.used_columns import list_used_columns
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import SAMPLE, profile_columns
from ratchet.scaffold.data_files import DataFiles, find_files
from ratchet.scaffold.data_yaml import quote, write_data_yaml, write_value
from ratchet.scaffold.dialects import Detected, detect_dialect, detect_encoding
from ratchet.scaffold.draft_checks import RECORD_PATHS, check_draft, make_readable
from ratchet.scaffold.drafting import Draft, assign_columns, split_names
from ratchet.scaffold.header_rows import list_names

_DIALECT_KEYS = (
    *("format", "encoding", "header", "separator", "quote"),
    *("escape", "skip_initial_space", "comment", "skip_rows"),
)
_RECORDS_KEYS = ("under", "keys", "query", "sheet")  # keys of data.records
_MOST_ROWS = 100_000  # rows that are read in full; of more, every second, fourth ... is sampled


@dataclass(frozen=True)
class Inspection:
    """The result. `yaml` is the text of conf/data/<name>.yaml; `findings` are pairs of a topic and a text.

    `path` is what the user named. `copies` has the file that each file of the project is copied from; `locations` are
    the paths of the records in the project, as files or directories.
    """

    name: str
    path: Path
    yaml: str
    findings: list[tuple[str, str]]
    num_records: int
    is_multiclass: bool
    copies: Mapping[Path, Path] = field(default_factory=dict)
    locations: Sequence[Path] = ()


@dataclass(frozen=True)
class _Table:
    """Values by column, of evenly spaced rows; the number of all rows, and the first one that cannot be read."""

    columns: dict[str, list[Any]]
    num_rows: int
    first_problem: Problem | None


def inspect_file(
    path: Path,
    *,
    text: Sequence[str] = (),
    labels: str | None = None,
    name: str | None = None,
    id: str | None = None,
    header: bool | None = None,
    schema_comment: str = "",
) -> Inspection:
    """Inspect files of records and describe them as a data set.

    Args:
        path: a file, a directory, a pattern, or several separated by commas; in any format that training reads.
        text: columns of the text; guessed if there are none.
        labels: column of the labels; guessed if None.
        name: name of the data set; made from the name of the file if None.
        id: column of the ids; guessed if None.
        header: whether the first row has the names of the columns; detected if None.
        schema_comment: a line for the top of the YAML text.

    Raises:
        UserError: a file is missing, empty or not a table; no key can read its dialect; a column does not exist or
            cannot be guessed; it is not certain whether there is a header; it has fewer than 10 records or only one
            label.
    """
    files = find_files(str(path))
    set_name = _make_name(files.stem) if name is None else _check_name(name)
    dialect = _detect(files, [*text, *split_names(labels), *([] if id is None else [id])], header)
    draft = _start_draft(set_name, files.make_records(set_name), dialect, has_parts=files.has_parts)
    if files.has_parts or dialect.keys:
        _report_parts(draft, files, dialect)
    table = _read_columns(_open_all(make_readable(draft, files), dialect))
    if not table.columns:
        first = table.first_problem
        reason = "it has no columns" if first is None else f"{first.place}: {first.message}"
        raise UserError(f"{files.named}: not a table of records: {reason}")
    if not table.num_rows:
        raise UserError(f"{files.named}: no rows, only the columns {list_names(table.columns)}: add records")
    columns = profile_columns(table.columns, dialect.repeated)
    assign_columns(draft, files.named, columns, text, labels, id, files.paths[0])
    records, problems = _build_records(make_readable(draft, files))
    check_draft(draft, files, records, problems)
    return Inspection(
        name=set_name,
        path=path,
        yaml=write_data_yaml(
            draft.config, draft.comments, draft.alternatives, _write_heading(files, table, schema_comment)
        ),
        findings=draft.findings,
        num_records=len(records),
        is_multiclass=is_multiclass(draft.config.labels),
        copies={**files.list_copies(set_name), **draft.files},
        locations=list_locations(draft.config.records),
    )


def list_locations(records: RecordsConfig) -> list[Path]:
    """Return the configured files or directories of records; for a pattern, the directory that it begins with."""
    paths = [path for key in RECORD_PATHS if (path := getattr(records, key)) is not None]
    return [Located.from_pattern(Path(path)).base if is_pattern(path) else Path(path) for path in paths]


# --- reading ----------------------------------------------------------------------------------------------------------
def _detect(files: DataFiles, named: Sequence[str], header: bool | None) -> Detected:
    if not files.paths:
        raise UserError(f"{files.named}: holds no files")
    if files.layout is RecordsLayout.directory:
        encoding, seen = detect_encoding(files.paths)
        comments = {"format": "a directory of text files for each class", "encoding": seen}
        return Detected(encoding=encoding, comments=comments)
    return detect_dialect(files.paths, named, header)


def _build_records(config: DataConfig) -> tuple[list[Record], list[Problem]]:
    names = read_label_names(config, Report(), packaged=False)
    tables = open_tables(config, list_sources(config, packaged=False), list_used_columns(config), packaged=False)
    return build_records(tables, config, names, None if names is None else set(names))


def _open_all(config: DataConfig, dialect: Detected) -> list[Rows]:
    """Return the rows of all files, with all columns."""
    sources = list_sources(config, packaged=False)
    if config.records.layout is RecordsLayout.directory:
        labels = LabelsConfig(column="label")
        return [rows for _, rows in open_tables(replace(config, labels=labels), sources)]
    return [_open_source(source, dialect) for source in sources]


def _open_source(source: Source, dialect: Detected) -> Rows:
    return open_rows(source.path, source.name, replace(dialect, under=source.under), dialect.columns)


def _read_columns(tables: Iterable[Rows]) -> _Table:
    """Return the values of evenly spaced rows by column. A row without a column has None there."""
    names: dict[str, None] = {}
    sampled: list[Mapping[str, Any]] = []
    number, step = 0, 1
    first = None
    for rows in tables:
        names |= dict.fromkeys(name for name in rows.columns if name)
        for row in rows:
            number += 1
            if isinstance(row, Problem):
                first = first or row
            elif number % step == 0:
                sampled.append(row.values)
                if len(sampled) == 2 * _MOST_ROWS:
                    sampled, step = sampled[1::2], 2 * step
    names |= {name: None for values in sampled for name in values if name}
    return _Table({name: [values.get(name) for values in sampled] for name in names}, number, first)


def _start_draft(name: str, records: RecordsConfig, dialect: Detected, *, has_parts: bool) -> Draft:
    """Return a draft that can read the files, with no column assigned."""
    config = DataConfig(
        name=name,
        records=replace(
            records, under=dialect.under, keys=dict(dialect.keys), query=dialect.query, sheet=dialect.sheet
        ),
        **{key: getattr(dialect, key) for key in _DIALECT_KEYS},
        column_names=None if dialect.column_names is None else list(dialect.column_names),
        labels=LabelsConfig(column=""),
        text=[],
    )
    if has_parts or dialect.keys:
        config.split.method = SplitMethod.given
    draft = Draft(config, {key: text for key, text in dialect.comments.items() if key not in _RECORDS_KEYS})
    reasons = [f"{key}: {dialect.comments[key]}" for key in _RECORDS_KEYS if key in dialect.comments]
    if reasons:
        draft.comments["records"] = "; ".join(reasons)
    for key, value, reason in dialect.others:
        draft.suggest("records", f"records: {{{key}: {quote(value)}, ...}}", reason)
    rank = {key: index for index, key in enumerate(_DIALECT_KEYS)}
    for key in sorted(dialect.comments, key=lambda key: rank.get(key, len(rank))):
        reason = dialect.comments[key]
        if key == "header" and not dialect.header and dialect.column_names is None:
            reason = f"so the columns are called 1, 2 and so on: {reason}"
        draft.findings.append((key, f"{write_value(getattr(dialect, key))}, {reason}"))
    return draft


def _report_parts(draft: Draft, files: DataFiles, dialect: Detected) -> None:
    parts = dialect.keys or {part: Path(place.source).name for part, place in files.locations.items() if part}
    listed = ", ".join(f"{part}: {place}" for part, place in parts.items()) or f"the parts that {files.named} has"
    draft.comments["split"] = listed
    draft.findings.append(("split", f"given, {listed}"))


def _make_name(stem: str) -> str:
    """Return a name that can be typed as `data=NAME`: Hydra's grammar knows ASCII only, and reads 2026 as a number."""
    folded = stem.casefold().translate({ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue"})
    plain = unicodedata.normalize("NFKD", folded).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_") or "data"
    is_word = name[0].isalpha() and name not in {"base_data", "true", "false", "null", "nan", "inf"}
    return name if is_word else f"data-{name}"


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise UserError(f"name={name!r}: it is the name of a directory: letters, digits, '_', '-' and '.' only")
    return name


def _write_heading(files: DataFiles, table: _Table, schema_comment: str) -> list[str]:
    sampled = f"; guessed from {SAMPLE:,} of the rows, then checked on all" if table.num_rows > SAMPLE else ""
    names = ", ".join(Path(location.source).name for location in files.locations.values())
    heading = [
        f"Data set of {names}: {table.num_rows:,} rows, {len(table.columns)} columns{sampled}.",
        "Each comment says what the guess in its line is based on. `ratchet data describe` shows the result.",
    ]
    schema = schema_comment.lstrip("# ").rstrip()
    return [schema, *heading] if schema else heading

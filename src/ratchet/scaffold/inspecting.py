"""Inspect data files and describe them as a data set: what `ratchet init DIR data=tickets.csv` writes.

The files are read as training reads them. The description is checked before it is returned: its records are built, and
divided unless they are very many.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ratchet.config import (
    DataConfig,
    LabelsConfig,
    Leaks,
    RecordsConfig,
    RecordsLayout,
    SplitConfig,
    SplitMethod,
)
from ratchet.data.directories import Located, is_pattern
from ratchet.data.formats import open_rows
from ratchet.data.formats.rows import Rows
from ratchet.data.label_names import read_label_names
from ratchet.data.labels import is_multiclass
from ratchet.data.prepared import prepare
from ratchet.data.problems import Problem, Report
from ratchet.data.records import Record, build_records
from ratchet.data.sources import Source, list_sources
from ratchet.data.splits import make_split
from ratchet.data.tables import open_tables
from ratchet.data.used_columns import list_used_columns
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import SAMPLE, profile_columns
from ratchet.scaffold.data_files import DataFiles, find_files
from ratchet.scaffold.data_yaml import quote, write_data_yaml
from ratchet.scaffold.dialects import Detected, detect_dialect, detect_encoding
from ratchet.scaffold.drafting import Draft, assign_columns, start_draft

_FEWEST_RECORDS = 10
_MOST_ROWS = 100_000  # rows whose values decide about columns; of more, every second, fourth ... is taken
_SPLIT_UP_TO = 50_000  # records; above, dividing them takes too long for an inspection
_RARE = 3  # a label on fewer records cannot be in each of train, val and test
_OWN_RECORDS = ("path", "train", "val", "test")


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
    schema_comment: str = "",
) -> Inspection:
    """Inspect files of records and describe them as a data set.

    Args:
        path: a file, a directory, a pattern, or several separated by commas; in any format that training reads.
        text: columns of the text; guessed if there are none.
        labels: column of the labels; guessed if None.
        name: name of the data set; made from the name of the file if None.
        id: column of the ids; guessed if None.
        schema_comment: a line for the top of the YAML text.

    Raises:
        UserError: a file is missing, empty or not a table; no key can read its dialect; a column does not exist or
            cannot be guessed; it has fewer than 10 records or only one label.
    """
    files = find_files(str(path))
    set_name = _make_name(files.stem) if name is None else _check_name(name)
    named = [*text, *(column for column in (labels, id) if column is not None)]
    dialect = _detect(files, named)
    draft = start_draft(set_name, files.make_records(set_name), dialect, has_parts=files.has_parts)
    if files.has_parts or dialect.keys:
        _report_parts(draft, files, dialect)
    table = _read_columns(_open_all(_get_readable(draft, files), dialect))
    if not table.columns:
        first = table.first_problem
        reason = "it has no columns" if first is None else f"{first.place}: {first.message}"
        raise UserError(f"{files.named}: not a table of records: {reason}")
    columns = profile_columns(table.columns, dialect.repeated)
    assign_columns(draft, files.named, columns, text, labels, id, files.paths[0])
    records, problems = _build_records(_get_readable(draft, files))
    _check_records(files.named, records, problems)
    _report_problems(draft, problems)
    _report_repeated_texts(draft, records)
    _limit_rare_labels(draft, records)
    if not any(problem.outcome == "stops" for problem in problems):
        _check_split(draft, files, records)
    _check_labels(draft, files.named, records)
    return Inspection(
        name=set_name,
        path=path,
        yaml=write_data_yaml(
            draft.config, draft.comments, draft.alternatives, _write_heading(files, table, schema_comment)
        ),
        findings=draft.findings,
        num_records=len(records),
        is_multiclass=_is_multiclass(draft),
        copies={**files.list_copies(set_name), **draft.files},
        locations=list_locations(draft.config.records),
    )


def list_locations(records: RecordsConfig) -> list[Path]:
    """Return the configured files or directories of records; for a pattern, the directory that it begins with."""
    paths = [path for key in _OWN_RECORDS if (path := getattr(records, key)) is not None]
    return [Located.from_pattern(Path(path)).base if is_pattern(path) else Path(path) for path in paths]


# --- reading ----------------------------------------------------------------------------------------------------------
def _detect(files: DataFiles, named: Sequence[str]) -> Detected:
    if not files.paths:
        raise UserError(f"{files.named}: holds no files")
    if files.layout is RecordsLayout.directory:
        encoding, seen = detect_encoding(files.paths)
        comments = {"format": "a directory of text files for each class", "encoding": seen}
        return Detected(encoding=encoding, comments=comments)
    return detect_dialect(files.paths, named)


def _get_readable(draft: Draft, files: DataFiles) -> DataConfig:
    """Return the configuration with the paths of the files themselves, in place of their copies."""
    config, actual = draft.config, files.make_records()
    records = replace(config.records, **{key: getattr(actual, key) for key in _OWN_RECORDS})
    names = config.labels.names
    if names is None or names.path is None:
        return replace(config, records=records)
    names = replace(names, path=str(draft.files.get(Path(names.path), names.path)))
    return replace(config, records=records, labels=replace(config.labels, names=names))


def _build_records(config: DataConfig) -> tuple[list[Record], list[Problem]]:
    names = read_label_names(config, Report(), packaged=False)
    tables = open_tables(config, list_sources(config), list_used_columns(config))
    return build_records(tables, config, names, None if names is None else set(names))


def _open_all(config: DataConfig, dialect: Detected) -> list[Rows]:
    """Return the rows of all files, with all columns."""
    sources = list_sources(config)
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


# --- checks ----------------------------------------------------------------------------------------------------------
def _check_records(file: str, records: list[Record], problems: list[Problem]) -> None:
    if len(records) < _FEWEST_RECORDS:
        unusable = ""
        if problems:
            unusable = f" ({len(problems):,} rows cannot be used: {problems[0].place}: {problems[0].message})"
        raise UserError(
            f"{file}: {len(records)} records{unusable} are too few: a data set needs at least {_FEWEST_RECORDS}"
        )


def _check_labels(draft: Draft, file: str, records: list[Record]) -> None:
    labels = [label for label, count in _count_labels(records).items() if count >= draft.config.filter.min_records]
    if len(labels) < 2:
        columns = draft.config.labels.columns
        where = f"column {draft.config.labels.column!r}" if columns is None else f"columns {', '.join(columns)}"
        only = f"only one label, {labels[0]!r}" if labels else "no label"
        rare = "" if draft.config.filter.min_records == 1 else f" that {_RARE} records or more have"
        raise UserError(
            f"{file}: {where} has {only}{rare}: a classifier needs at least two. Choose another column with labels=NAME"
        )


def _report_problems(draft: Draft, problems: list[Problem]) -> None:
    """Count the rows that cannot be used, with the first location and the remedy."""
    for kind, number in Counter(problem.kind for problem in problems).most_common():
        first = next(problem for problem in problems if problem.kind == kind)
        draft.findings.append((kind, f"{_count(number, 'row')}, the first is {_locate(first.place)}: {first.message}"))
    bad = [problem for problem in problems if problem.outcome == "stops"]
    if bad:
        draft.comments["drop_bad_rows"] = (
            f"{_count(len(bad), 'row')} cannot be used, and training stops because of that. The first is "
            f"{_locate(bad[0].place)}: {bad[0].message}. Correct the file, or set true to skip and count such rows"
        )


def _report_repeated_texts(draft: Draft, records: list[Record]) -> None:
    number = len(records) - len({record.text for record in records})
    if number:
        draft.findings.append(
            ("repeated text", f"{_count(number, 'record')} repeat an earlier text; they stay in one part of a split")
        )


def _limit_rare_labels(draft: Draft, records: list[Record]) -> None:
    """Suggest to leave out labels on few records; do so where a stratified split refuses them (multi-class)."""
    rare = {label: count for label, count in _count_labels(records).items() if count < _RARE}
    if not rare:
        return
    names = ", ".join(f"{label} ({count})" for label, count in list(rare.items())[:5])
    seen = f"{_count(len(rare), 'label')} on fewer than {_RARE} records: {names}{', ...' if len(rare) > 5 else ''}"
    line = f"filter: {{min_records: {_RARE}}}"
    others = [item for item in draft.alternatives.pop("filter", []) if item[0] != line]  # of an earlier call
    if _is_multiclass(draft) and draft.config.split.method is SplitMethod.stratified:
        draft.config.filter.min_records = _RARE
        seen = f"left out, because a stratified split needs more: {seen}"
        draft.comments["filter"] = "; ".join([*filter(None, [draft.comments.get("filter")]), seen])
    else:
        others.append((line, seen))
    if others:
        draft.alternatives["filter"] = others
    draft.findings = [*(finding for finding in draft.findings if finding[0] != "rare labels"), ("rare labels", seen)]


def _check_split(draft: Draft, files: DataFiles, records: list[Record]) -> None:
    """Divide the records as training does; of very many, check only what can be counted."""
    reason = _find_reason_not_to_split(draft, files, records)
    if reason is not None and draft.config.split.method is SplitMethod.given and draft.config.split.column is not None:
        _replace_given_split(draft, reason)
        _limit_rare_labels(draft, records)
        reason = _find_reason_not_to_split(draft, files, records)
    if reason is not None:
        draft.comments["split"] = f"training refuses this split: {reason}"
        draft.findings.append(("split", draft.comments["split"]))


def _replace_given_split(draft: Draft, reason: str) -> None:
    line = f"split: {{method: given, column: {quote(str(draft.config.split.column))}}}"
    draft.suggest("split", line, f"not used: {reason}")
    draft.findings.append(("split, not used", f"{draft.config.split.column}: {reason}"))
    draft.config.split = replace(draft.config.split, method=SplitMethod.stratified, column=None, leaks=Leaks.stop)
    draft.comments.pop("split")


def _find_reason_not_to_split(draft: Draft, files: DataFiles, records: list[Record]) -> str | None:
    """Return why training would refuse the split, if it would. Leaks of given parts are dropped and reported."""
    config = draft.config
    if len(records) > _SPLIT_UP_TO:
        num_labels = sum(count >= config.filter.min_records for count in _count_labels(records).values())
        smallest = round(min(config.split.val, config.split.test) * len(records))
        if _is_multiclass(draft) and config.split.method is SplitMethod.stratified and num_labels > smallest:
            return f"{num_labels:,} labels are more than the {smallest:,} records of test: raise filter.min_records"
        return None
    split = config.split
    leaks = Leaks.drop_from_train if split.method is SplitMethod.given else split.leaks
    try:
        prepared = prepare(_get_readable(draft, files))
        parts = make_split(
            prepared,
            SplitConfig(0, split.method, split.val, split.test, leaks, split.duplicates, split.similarity),
            split.column,
            split.group,
        )
    except UserError as error:
        return " ".join(str(error).split())
    if parts.dropped:
        _drop_leaks(draft, len(parts.dropped), len(records), parts.problems)
    return None


def _drop_leaks(draft: Draft, dropped: int, number: int, problems: Sequence[Problem]) -> None:
    """Write that records of train which are also in val or test are left out: training would stop because of them."""
    draft.config.split.leaks = Leaks.drop_from_train
    first = next(problem for problem in problems if problem.kind == "leak between given parts")
    reason = (
        f"leaks: {dropped:,} of {number:,} records of train or val have a (nearly) identical text in a later part, and "
        f"are left out: {_locate(first.place)}, for example. leaks: stop would refuse them, and report keeps them"
    )
    draft.comments["split"] = f"{draft.comments['split']}. {reason}"
    draft.findings.append(("leaks", reason.removeprefix("leaks: ")))


def _count_labels(records: list[Record]) -> Counter[str]:
    return Counter(label for record in records for label in record.labels)


def _is_multiclass(draft: Draft) -> bool:
    return is_multiclass(draft.config.labels)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _locate(place: str) -> str:
    """Return a location without the directories of the file."""
    return place.rpartition("/")[2]

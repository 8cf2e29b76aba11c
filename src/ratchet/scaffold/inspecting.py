"""Inspect a data file and describe it as a data set: what `ratchet init DIR data=tickets.csv` writes.

The description is checked before it is returned: its records are built, and those of a small file are split.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ratchet.config import DataConfig, Format, LabelKind, RecordsConfig, SplitConfig, SplitMethod
from ratchet.data.formats.rows import Row, Rows
from ratchet.data.problems import Problem
from ratchet.data.reading import Table, read_table
from ratchet.data.records import Record, build_records
from ratchet.data.sources import Content, Source
from ratchet.data.taxonomy import words
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import SAMPLE, profile_columns
from ratchet.scaffold.data_yaml import quote, write_data_yaml
from ratchet.scaffold.dialects import detect_dialect, explain_backslashes
from ratchet.scaffold.drafting import Draft, assign_columns, start_draft

_FEWEST_RECORDS = 10
_SPLIT_UP_TO = 2_000  # records; above, finding near-identical texts takes too long for an inspection
_RARE = 3  # a label on fewer records cannot be in each of train, val and test


@dataclass(frozen=True)
class Inspection:
    """The result. `yaml` is the text of conf/data/<name>.yaml; `findings` are pairs of a topic and a text."""

    name: str
    path: Path
    yaml: str
    findings: list[tuple[str, str]]
    num_records: int
    is_multiclass: bool


def inspect_file(
    path: Path,
    *,
    text: Sequence[str] = (),
    labels: str | None = None,
    name: str | None = None,
    id: str | None = None,
    schema_comment: str = "",
) -> Inspection:
    """Inspect a file of records and describe it as a data set.

    Args:
        path: a CSV, TSV, JSON, JSON Lines or Parquet file.
        text: columns of the text; guessed if there are none.
        labels: column of the labels; guessed if None.
        name: name of the data set; made from the name of the file if None.
        id: column of the ids; guessed if None.
        schema_comment: a line for the top of the YAML text.

    Raises:
        UserError: the file is missing, empty or not a table; Ratchet does not read its dialect; a column does not
            exist or cannot be guessed; it has fewer than 10 records or only one label.
    """
    content = _read_content(path)
    set_name = _make_name(path.stem) if name is None else _check_name(name)
    named = [*text, *(column for column in (labels, id) if column is not None)]
    draft = start_draft(set_name, path, detect_dialect(content, named))
    table = _read_table(content, draft.config)
    assign_columns(draft, content.name, profile_columns(table), text, labels, id)
    records, problems = build_records([(Source(table.name, path), _rows_of_table(table))], draft.config, None, None)
    problems = [*table.problems, *problems]
    _check_records(content.name, records, problems)
    _report_problems(draft, problems)
    _report_repeated_texts(draft, records)
    _check_given_parts(draft, records)
    _limit_rare_labels(draft, records)
    if not any(problem.outcome == "stops" for problem in problems):
        _check_split(draft, path, records)
    _check_labels(draft, content.name, records)
    if "filter" in draft.comments or "filter" in draft.alternatives:
        draft.findings.append(("rare labels", draft.comments.get("filter") or draft.alternatives["filter"][0][1]))
    return Inspection(
        name=set_name,
        path=path,
        yaml=write_data_yaml(
            draft.config, draft.comments, draft.alternatives, _write_heading(path, table, schema_comment)
        ),
        findings=draft.findings,
        num_records=len(records),
        is_multiclass=_is_multiclass(draft),
    )


def _read_content(path: Path) -> Content:
    if path.is_dir():
        raise UserError(f"{path}: is a directory: give the file of the records in it")
    if not path.exists():
        raise UserError(f"{path}: no such file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if not data.strip():
        raise UserError(f"{path}: the file is empty: it needs at least {_FEWEST_RECORDS} records")
    return Content(str(path), data, hashlib.sha256(data).hexdigest())


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


def _rows_of_table(table: Table) -> Rows:
    def iterate() -> Iterator[Row | Problem]:
        for index, number in enumerate(table.rows):
            yield Row(number, {column: values[index] for column, values in table.columns.items()})

    return Rows(table.name, table.unit, list(table.columns), iterate)


def _read_table(content: Content, config: DataConfig) -> Table:
    try:
        table = read_table(content, config)
    except UserError as error:
        if config.format not in (Format.csv, Format.tsv):
            raise
        explanation = explain_backslashes(content.data.decode(config.encoding, "replace"))
        raise UserError(f"{error}{explanation}") from error
    if not table.columns:
        first = f": {table.problems[0].place}: {table.problems[0].message}" if table.problems else ""
        raise UserError(f"{content.name}: not a table of records{first}")
    return table


def _write_heading(path: Path, table: Table, schema_comment: str) -> list[str]:
    num_rows = len(table.rows) + len(table.problems)
    sampled = f"; guessed from {SAMPLE:,} of the rows, then checked on all" if num_rows > SAMPLE else ""
    heading = [
        f"Data set of {path.name}: {num_rows:,} rows, {len(table.columns)} columns{sampled}.",
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
        only = f"only one label, {labels[0]!r}" if labels else "no label"
        rare = "" if draft.config.filter.min_records == 1 else f" that {_RARE} records or more have"
        raise UserError(
            f"{file}: column {draft.config.labels.column!r} has {only}{rare}: a classifier needs at least two. "
            "Choose another column with labels=NAME"
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
    if _is_multiclass(draft) and draft.config.split.method is SplitMethod.stratified:
        draft.config.filter.min_records = _RARE
        draft.comments["filter"] = f"left out, because a stratified split needs more: {seen}"
        draft.alternatives.pop("filter", None)
    else:
        draft.alternatives["filter"] = [(f"filter: {{min_records: {_RARE}}}", seen)]


def _check_given_parts(draft: Draft, records: list[Record]) -> None:
    """Use a stratified split if records of different parts have the same text: training refuses such a leak."""
    column = draft.config.split.column
    if column is None:
        return
    first_with: dict[str, Record] = {}
    for record in records:
        first = first_with.setdefault(" ".join(words(record.text)) or record.text, record)
        if first.columns[column].casefold() != record.columns[column].casefold():
            _replace_given_split(draft, f"{_locate(first.place)} and {_locate(record.place)} have the same text")
            return


def _replace_given_split(draft: Draft, reason: str) -> None:
    line = f"split: {{method: given, column: {quote(str(draft.config.split.column))}}}"
    draft.suggest("split", line, f"not used: {reason}")
    draft.findings.append(("split, not used", f"{draft.config.split.column}: {reason}"))
    draft.config.split = replace(draft.config.split, method=SplitMethod.stratified, column=None)
    draft.comments.pop("split")


def _check_split(draft: Draft, path: Path, records: list[Record]) -> None:
    """Split the records of a small file as training does; otherwise check what can be counted."""
    reason = _find_reason_not_to_split(draft, path, records)
    if reason is not None and draft.config.split.method is SplitMethod.given:
        _replace_given_split(draft, reason)
        _limit_rare_labels(draft, records)
        reason = _find_reason_not_to_split(draft, path, records)
    if reason is not None:
        draft.comments["split"] = f"training refuses this split: {reason}"
        draft.findings.append(("split", draft.comments["split"]))


def _find_reason_not_to_split(draft: Draft, path: Path, records: list[Record]) -> str | None:
    config = draft.config
    if len(records) > _SPLIT_UP_TO:
        num_labels = sum(count >= config.filter.min_records for count in _count_labels(records).values())
        smallest = round(min(config.split.val, config.split.test) * len(records))
        if _is_multiclass(draft) and config.split.method is SplitMethod.stratified and num_labels > smallest:
            return f"{num_labels:,} labels are more than the {smallest:,} records of test: raise filter.min_records"
        return None
    from ratchet.data.prepared import prepare
    from ratchet.data.splits import make_split

    split = config.split
    try:
        prepared = prepare(replace(config, records=RecordsConfig(path=str(path.resolve()))))
        make_split(
            prepared,
            SplitConfig(0, split.method, split.val, split.test, split.leaks, split.duplicates, split.similarity),
            split.column,
            split.group,
        )
    except UserError as error:
        return " ".join(str(error).replace(f"{path.resolve()}", path.name).split())
    return None


def _count_labels(records: list[Record]) -> Counter[str]:
    return Counter(label for record in records for label in record.labels)


def _is_multiclass(draft: Draft) -> bool:
    return draft.config.labels.kind is LabelKind.single


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _locate(place: str) -> str:
    """Return a location without the directories of the file."""
    return place.rpartition("/")[2]

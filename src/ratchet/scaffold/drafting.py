"""Draft the description of a data set: give each column its role, with the evidence and the alternatives."""

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ratchet.config import (
    DataConfig,
    FileConfig,
    LabelKind,
    LabelsConfig,
    SliceConfig,
    SliceKind,
    SplitMethod,
)
from ratchet.data.labels import list_label_columns
from ratchet.errors import UserError
from ratchet.scaffold.annotation_exports import Export, recognise_export
from ratchet.scaffold.column_roles import (
    Column,
    find_groups,
    find_repeated,
    guess_texts,
    holds_parts,
    looks_like_id,
    make_path,
    require_column,
)
from ratchet.scaffold.data_yaml import quote, write_labels, write_slice
from ratchet.scaffold.date_columns import Dates, detect_dates
from ratchet.scaffold.header_rows import list_names
from ratchet.scaffold.label_columns import detect_columns, detect_layout, guess_labels
from ratchet.scaffold.label_layouts import Layout
from ratchet.scaffold.label_rows import join_rows, select_rows

_TAKEN_SLICES = {"short_text", "label_not_named", "rare_labels", "date"}  # those of conf/config.yaml


@dataclass
class Draft:
    """A description in the making: the configuration, a comment and alternatives by key, and findings.

    `files` has the files that the description names besides the records, by their path in the project.
    """

    config: DataConfig
    comments: dict[str, str] = field(default_factory=dict)
    alternatives: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    findings: list[tuple[str, str]] = field(default_factory=list)
    files: dict[Path, Path] = field(default_factory=dict)

    def suggest(self, key: str, line: str, reason: str) -> None:
        """Add a line of YAML that is written as a comment below `key`."""
        self.alternatives.setdefault(key, []).append((line, reason))


def assign_columns(
    draft: Draft,
    file: str,
    columns: dict[str, Column],
    text: Sequence[str],
    labels: str | None,
    identifier: str | None,
    path: Path | None = None,
) -> None:
    """Give each column its role in the draft. `text`, `labels` and `identifier` are what the user named, if anything.

    `labels` may name several columns, separated by commas; a label file is looked for next to `path`, the data file.
    Later steps do not see the columns that an earlier step used.

    Raises:
        UserError: a named column does not exist or does not hold what it should, or a column cannot be guessed.
    """
    answers = split_names(labels, columns)
    _require_named(
        draft, file, columns, {"text": text, "labels": answers, "id": [] if identifier is None else [identifier]}
    )
    export = None if len(answers) > 1 else recognise_export(file, columns, answers[0] if answers else None)
    taken = {*text, *answers, *(export.own - {identifier} if export else ())}
    free = {name: column for name, column in columns.items() if name not in taken and _is_usable(name)}
    _assign_id(draft, free, identifier, export)
    if export is not None:
        _assign_filter(draft, export)
        text = text or export.text
        _remove(free, [*export.text, *list_label_columns(export.labels.config)])
    dates = [item for column in free.values() if (item := detect_dates(column)) is not None]
    parts = [column for column in free.values() if holds_parts(column)]
    _remove(free, [*(item.name for item in dates), *(column.name for column in parts)])
    existing = _list_existing(draft, columns)
    named_labels = [columns[name] for name in answers]
    layout = export.labels if export else _detect_labels(file, named_labels, free, path, existing)
    label_names = list_label_columns(layout.config)
    _remove(
        free, [*label_names, *(name for name in free if name.startswith(tuple(f"{name}." for name in label_names)))]
    )
    _assign_text(draft, file, [columns[name] for name in text], list(free.values()), export, existing)
    layout = _join_rows(draft, layout, columns, identifier, export)
    _assign_labels(draft, layout)
    for name in [*draft.config.text, *label_names]:
        if not _is_usable(name):
            raise UserError(f"{file}: column {name!r} cannot be named in a configuration: rename it in the file")
    _assign_dates(draft, dates)
    _assign_parts(draft, parts)
    _remove(free, [*draft.config.text, *filter(None, [draft.config.id])])
    _assign_groups(draft, list(free.values()))


def _require_named(draft: Draft, file: str, columns: dict[str, Column], named: Mapping[str, Sequence[str]]) -> None:
    """Require the columns that the user named, by argument. Named paths into objects are added to the columns."""
    reason = _explain_header(draft)
    for argument, names in named.items():
        for name in names:
            if name not in columns and (opened := make_path(columns, name)) is not None:
                columns[name] = opened
            require_column(file, columns, name, argument, reason)
    both = next((name for name in named["labels"] if name in named["text"]), None)
    if both is not None:
        raise UserError(f"{file}: column {both!r} cannot be both text and labels: the text would give the label away")


def _explain_header(draft: Draft) -> str:
    """Return whether the file has a header, and why; "" for formats without one."""
    reason = draft.comments.get("header", "")
    if not reason or draft.config.header:
        return reason
    return (
        f"no header was found, so columns are named by number: {reason}; header=true takes the first row as the header"
    )


def _list_existing(draft: Draft, columns: Mapping[str, Column]) -> str:
    """Return the columns that exist, for the end of a message."""
    header = _explain_header(draft)
    return f". Columns: {list_names(columns)}{f' ({header})' if header else ''}"


def _remove(columns: dict[str, Column], names: Iterable[str]) -> None:
    for name in names:
        columns.pop(name, None)


def split_names(names: str | None, columns: Collection[str] = ()) -> list[str]:
    """Return the columns that are named, separated by commas; one with a comma in its name is quoted, as in CSV."""
    if names is None or names in columns or "," not in names:
        return [] if names is None else [names]
    return [name.strip() for name in next(csv.reader([names], skipinitialspace=True)) if name.strip()]


def _detect_labels(file: str, named: list[Column], free: dict[str, Column], path: Path | None, existing: str) -> Layout:
    if not named:
        return guess_labels(file, list(free.values()), path, existing)
    return detect_layout(file, named[0], path) if len(named) == 1 else detect_columns(file, named)


def _assign_filter(draft: Draft, export: Export) -> None:
    draft.findings.append(("export", f"of {export.tool}"))
    draft.config.filter.where = dict(export.where)
    draft.comments |= export.comments
    if "filter" in export.comments:
        draft.findings.append(("filter", export.comments["filter"]))
    for column, value, reason in export.suggestions:
        draft.suggest("filter", f"filter: {{where: {{{quote(column)}: {str(value).lower()}}}}}", reason)


def _join_rows(
    draft: Draft, layout: Layout, columns: dict[str, Column], identifier: str | None, export: Export | None
) -> Layout:
    """Return the layout of one row per label if rows repeat a record with another label."""
    if layout.config.kind is not LabelKind.single or layout.config.column is None:
        return layout
    rows = select_rows(columns, draft.config.filter.where)
    ids = [name for name in columns if name == identifier or (not export and looks_like_id(rows[name]))]
    by_text = identifier is None and not draft.config.id
    joined = join_rows(layout, rows, draft.config.text, ids, by_text=by_text)
    if joined is None:
        return layout
    layout, name = joined
    if name is not None:
        draft.config.id = name
        draft.comments["id"] = "the rows of a record repeat it"
        draft.alternatives.pop("id", None)
        draft.findings = [finding for finding in draft.findings if finding[0] != "id"]
    return layout


def _is_usable(name: str) -> bool:
    return bool(name.strip()) and name != "???"  # OmegaConf's mark of a missing value


def _assign_id(draft: Draft, free: dict[str, Column], named: str | None, export: Export | None) -> None:
    """Use the named id, or that of an annotation tool, or else the first column of different values."""
    if named is None and export is not None and export.id is not None:
        draft.config.id = export.id
        draft.comments["id"] = f"as {export.tool} writes it"
        free.pop(export.id, None)
        return
    if named is not None:
        draft.config.id = named
        free.pop(named, None)
        draft.comments["id"] = "as named"
        return
    for column in [column for column in free.values() if looks_like_id(column)]:
        repeated = find_repeated(column)
        if len(repeated) > len(column.values) / 2:
            continue  # the id of something else, such as a customer
        del free[column.name]
        if repeated:
            reason = f"not used: {len(repeated):,} records repeat a value, the first is record {repeated[0] + 1:,}"
        elif draft.config.id is None:
            draft.config.id = column.name
            draft.comments["id"] = reason = "a different value in each row"
        else:
            reason = "has a different value in each row, too"
        if draft.config.id != column.name:
            draft.suggest("id", f"id: {quote(column.name)}", reason)
        draft.findings.append(("id", f"{column.name}: {reason}"))
    if draft.config.id is None:
        draft.comments["id"] = "no id column: the id of a record is the number of its row"


def _assign_labels(draft: Draft, layout: Layout) -> None:
    draft.config.labels = _keep_names(draft, layout.config)
    draft.comments["labels"] = layout.seen
    columns = ", ".join(list_label_columns(layout.config))
    draft.findings.append(("labels", f"{columns}: {layout.seen}"))
    for other, reason in layout.alternatives:
        draft.suggest("labels", f"labels: {write_labels(_keep_names(draft, other))}", reason)


def _keep_names(draft: Draft, labels: LabelsConfig) -> LabelsConfig:
    """Return the layout with the path that the label file has in the project."""
    if labels.names is None or labels.names.path is None:
        return labels
    path = Path(labels.names.path)
    kept = Path("data", draft.config.name, path.name)
    draft.files[kept] = path
    return replace(labels, names=FileConfig(path=kept.as_posix()))


def _assign_text(
    draft: Draft, file: str, named: list[Column], free: list[Column], export: Export | None, existing: str
) -> None:
    for column in named:
        if column.sample and not column.is_plain:
            raise UserError(f"{file}: column {column.name!r} holds lists or objects: choose another with text=NAME")
    as_named = (
        f"as {export.tool} writes it" if export and [*export.text] == [item.name for item in named] else "as named"
    )
    chosen, seen = (named, as_named) if named else guess_texts(file, free, existing)
    draft.config.text = [column.name for column in chosen]
    draft.comments["text"] = seen
    draft.findings.append(("text", f"{', '.join(draft.config.text)}: {seen}"))


def _assign_dates(draft: Draft, dates: list[Dates]) -> None:
    """Use the date column if there is exactly one and its format is certain; otherwise suggest the candidates."""
    for item in dates:
        draft.findings.append(("date", f"{item.name}: {item.describe()}"))
        if len(dates) == 1 and item.is_certain:
            draft.config.created_at, draft.config.date_format = item.name, item.formats[0]
            draft.comments["created_at"] = item.describe()
            return
        for date_format in item.formats:
            draft.suggest("created_at", f"created_at: {quote(item.name)}", item.describe())
            if date_format is not None:
                draft.suggest("created_at", f"date_format: {quote(date_format)}", f"of {item.name}")


def _assign_parts(draft: Draft, parts: list[Column]) -> None:
    for column in parts:
        counts = ", ".join(f"{name} {number:,}" for name, number in column.counts.most_common())
        if len(parts) == 1:
            draft.config.split.method, draft.config.split.column = SplitMethod.given, column.name
            draft.comments["split"] = counts
        else:
            draft.suggest("split", f"split: {{method: given, column: {quote(column.name)}}}", counts)
        draft.findings.append(("split", f"{column.name}: {counts}"))


def _assign_groups(draft: Draft, columns: list[Column]) -> None:
    """Make a slice of each column that is clearly categorical; suggest those with more or rarer values."""
    groups = find_groups(columns)
    has_active = any(is_clear for _, is_clear in groups)
    for column, is_clear in groups:
        values = ", ".join(name for name, _ in column.counts.most_common(4))
        seen = f"{len(column.counts)} values: {values}{', ...' if len(column.counts) > 4 else ''}"
        name = f"{column.name}_column" if column.name in _TAKEN_SLICES else column.name
        definition = SliceConfig(kind=SliceKind.column, column=column.name)
        if is_clear:
            draft.config.slices[name] = definition
            draft.comments[f"slices.{name}"] = seen
        else:
            line = f"{quote(name)}: {write_slice(definition)}"
            draft.suggest("slices", f"  {line}" if has_active else f"slices: {{{line}}}", seen)
        draft.findings.append(("group" if is_clear else "group, not used", f"{column.name}: {seen}"))

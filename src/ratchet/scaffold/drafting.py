"""Draft the description of a data set: give each column its role, with what was seen and what else would fit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ratchet.config import DataConfig, LabelsConfig, RecordsConfig, SliceConfig, SliceKind, SplitMethod
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import (
    Column,
    Dates,
    detect_dates,
    find_groups,
    find_repeated,
    guess_texts,
    holds_parts,
    looks_like_id,
    require_column,
)
from ratchet.scaffold.data_yaml import quote, write_labels, write_slice
from ratchet.scaffold.dialects import Dialect
from ratchet.scaffold.label_layouts import Layout, detect_layout, guess_labels

_TAKEN_SLICES = {"short_text", "label_not_named", "rare_labels", "date"}  # those of conf/config.yaml


@dataclass
class Draft:
    """A description in the making: the configuration, a comment and alternatives by key, and findings."""

    config: DataConfig
    comments: dict[str, str] = field(default_factory=dict)
    alternatives: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    findings: list[tuple[str, str]] = field(default_factory=list)

    def suggest(self, key: str, line: str, reason: str) -> None:
        """Add a line of YAML that is written as a comment below `key`."""
        self.alternatives.setdefault(key, []).append((line, reason))


def start_draft(name: str, path: Path, dialect: Dialect) -> Draft:
    """Return a draft that can read the table, with no column assigned."""
    config = DataConfig(
        name=name,
        records=RecordsConfig(path=f"data/{name}/{path.name}"),
        format=dialect.format,
        encoding=dialect.encoding,
        header=dialect.header,
        labels=LabelsConfig(column=""),
        text=[],
    )
    draft = Draft(config, dict(dialect.comments))
    draft.findings.append(("format", f"{dialect.format.name}, {dialect.comments['format']}"))
    if "encoding" in dialect.comments:
        draft.findings.append(("encoding", f"{dialect.encoding}, {dialect.comments['encoding']}"))
    if not dialect.header:
        draft.findings.append(("header", f'none: the columns are "1", "2" and so on; {dialect.comments["header"]}'))
    return draft


def assign_columns(
    draft: Draft, file: str, columns: dict[str, Column], text: Sequence[str], labels: str | None, identifier: str | None
) -> None:
    """Give each column its role in the draft. `text`, `labels` and `identifier` are what the user named, if anything.

    Each step takes columns away from the steps after it.

    Raises:
        UserError: a named column does not exist or does not hold what it should, or a column cannot be guessed.
    """
    reason = draft.comments.get("header", "")
    for argument, names in (("text", text), ("labels", [labels]), ("id", [identifier])):
        for name in names:
            if name is not None:
                require_column(file, columns, name, argument, reason)
    if labels is not None and labels in text:
        raise UserError(f"{file}: column {labels!r} cannot be both text and labels: the text would give the label away")
    free = {name: column for name, column in columns.items() if name not in {*text, labels} and _is_usable(name)}
    _assign_id(draft, free, identifier)
    dates = [item for column in free.values() if (item := detect_dates(column)) is not None]
    parts = [column for column in free.values() if holds_parts(column)]
    for name in [*(item.name for item in dates), *(column.name for column in parts)]:
        free.pop(name, None)
    layout = guess_labels(file, list(free.values())) if labels is None else detect_layout(file, columns[labels])
    _assign_labels(draft, layout)
    free.pop(str(layout.config.column), None)
    _assign_text(draft, file, [columns[name] for name in text], list(free.values()))
    for name in [*draft.config.text, str(draft.config.labels.column)]:
        if not _is_usable(name):
            raise UserError(f"{file}: column {name!r} cannot be named in a configuration: rename it in the file")
    _assign_dates(draft, dates)
    _assign_parts(draft, parts)
    _assign_groups(draft, [column for name, column in free.items() if name not in draft.config.text])


def _is_usable(name: str) -> bool:
    return bool(name.strip()) and name != "???"  # OmegaConf's sign for a missing value


def _assign_id(draft: Draft, free: dict[str, Column], named: str | None) -> None:
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
    draft.config.labels = layout.config
    draft.comments["labels"] = layout.seen
    draft.findings.append(("labels", f"{layout.config.column}: {layout.seen}"))
    for other, reason in layout.alternatives:
        draft.suggest("labels", f"labels: {write_labels(other)}", reason)


def _assign_text(draft: Draft, file: str, named: list[Column], free: list[Column]) -> None:
    for column in named:
        if column.sample and not column.is_plain:
            raise UserError(f"{file}: column {column.name!r} holds lists or objects: choose another with text=NAME")
    chosen, seen = (named, "as named") if named else guess_texts(file, free)
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

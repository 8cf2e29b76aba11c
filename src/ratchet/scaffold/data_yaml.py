"""Write the description of a data set, conf/data/<name>.yaml, with a comment for each guess."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from ratchet.config import DataConfig, Format, LabelKind, LabelsConfig, SliceConfig

_WIDTH = 120
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")


def write_data_yaml(
    config: DataConfig,
    comments: Mapping[str, str],
    alternatives: Mapping[str, Sequence[tuple[str, str]]],
    heading: Sequence[str],
) -> str:
    """Return the YAML text of a data set.

    Args:
        config: the guesses; keys with the default of `DataConfig` are left out unless they have a comment.
        comments: what was seen, by key; `slices.<name>` for a slice.
        alternatives: by key, lines of YAML that are written as comments below it, with a reason each.
        heading: lines of comment at the top.
    """
    lines = [f"# {flatten(line)}" for line in heading]
    for key, text in _list_entries(config, comments):
        lines += _write_line(text, comments.get(key, ""))
        if key == "slices":
            for name, definition in config.slices.items():
                lines += _write_line(f"  {quote(name)}: {write_slice(definition)}", comments.get(f"slices.{name}", ""))
        lines += [line for alternative in alternatives.get(key, ()) for line in _write_alternative(*alternative)]
    return "\n".join(lines) + "\n"


def _list_entries(config: DataConfig, comments: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each key with its line, "" if only its comment and alternatives are written."""
    yield "defaults", "defaults: [base_data, _self_]"
    yield "name", f"name: {quote(config.name)}"
    yield "records", f"records: {{path: {quote(str(config.records.path))}}}"
    yield "format", f"format: {config.format.name}"
    if config.format is not Format.parquet:
        yield "encoding", f"encoding: {quote(config.encoding)}"
    if config.format in (Format.csv, Format.tsv):
        yield "header", f"header: {str(config.header).lower()}"
    yield "id", "" if config.id is None else f"id: {quote(config.id)}"
    yield "text", f"text: [{', '.join(map(quote, config.text))}]"
    yield "labels", f"labels: {write_labels(config.labels)}"
    yield "created_at", "" if config.created_at is None else f"created_at: {quote(config.created_at)}"
    yield "date_format", "" if config.date_format is None else f"date_format: {quote(config.date_format)}"
    yield "filter", f"filter: {{min_records: {config.filter.min_records}}}" if config.filter.min_records > 1 else ""
    column = "" if config.split.column is None else f", column: {quote(config.split.column)}"
    shares = f", val: {config.split.val:g}" + (f", test: {config.split.test:g}" if not column else "")
    yield "split", f"split: {{method: {config.split.method.name}{column}{shares}}}"
    yield "slices", "slices:" if config.slices else ""
    if "drop_bad_rows" in comments:
        yield "drop_bad_rows", f"drop_bad_rows: {str(config.drop_bad_rows).lower()}"


def write_labels(labels: LabelsConfig) -> str:
    """Return the value of `labels`."""
    separator = f", separator: {quote(labels.separator)}" if labels.kind is LabelKind.separated else ""
    return f"{{column: {quote(str(labels.column))}, kind: {labels.kind.name}{separator}}}"


def write_slice(definition: SliceConfig) -> str:
    """Return the value of a slice of kind column."""
    return f"{{kind: {definition.kind.name}, column: {quote(str(definition.column))}}}"


def quote(text: str) -> str:
    """Return a text as a YAML scalar that OmegaConf reads back as this text."""
    if _PLAIN.fullmatch(text) and yaml.safe_load(text) == text:  # not yes, off, null
        return text
    escaped = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", text)  # no interpolation
    quoted: str = yaml.safe_dump(escaped, default_style='"', allow_unicode=True, width=10**9)
    return quoted.strip()


def flatten(text: Any) -> str:
    """Return a text on one line, without the characters that YAML refuses in a comment."""
    return "".join(character if character.isprintable() else " " for character in str(text))


def _write_line(text: str, comment: str) -> list[str]:
    """Return a line with its comment behind it, or above it if it is too long."""
    comment = flatten(comment)
    if not comment:
        return [text] if text else []
    if text and len(text) + len(comment) + 4 <= _WIDTH:
        return [f"{text}  # {comment}"]
    indent = " " * (len(text) - len(text.lstrip()))
    wrapped = textwrap.wrap(comment, _WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False)
    return [*(f"{indent}# {line}" for line in wrapped), *([text] if text else [])]


def _write_alternative(text: str, reason: str) -> list[str]:
    line = flatten(text)
    indent = line[: len(line) - len(line.lstrip())]
    return [f"{indent}# {line.lstrip()}  # {flatten(reason)}"]

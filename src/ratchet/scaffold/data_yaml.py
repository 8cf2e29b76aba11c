"""Write the description of a data set, conf/data/<name>.yaml, with a comment for each guess."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from enum import Enum
from typing import Any

import yaml

from ratchet.config import (
    DataConfig,
    Format,
    LabelKind,
    LabelsConfig,
    RecordsLayout,
    SliceConfig,
    SplitMethod,
)

_WIDTH = 120
_FIRST = ("name", "records")
_ALWAYS = ("format", "encoding", "header", "split")
_BINARY = (Format.parquet, Format.arrow, Format.excel, Format.sqlite)
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
    written = _write_fields(config)
    if "labels" in written:
        written["labels"] = write_labels(config.labels)
    for key in [name for name in written if name in _FIRST]:
        yield key, f"{key}: {written[key]}"
    yield "format", f"format: {config.format.name}"
    is_text = config.format not in _BINARY and config.records.layout is RecordsLayout.table
    if is_text or "encoding" in written:
        yield "encoding", f"encoding: {quote(config.encoding)}"
    if config.format in (Format.csv, Format.tsv) or "header" in written:
        yield "header", f"header: {str(config.header).lower()}"
    for key in (item.name for item in fields(config)):
        if key in (*_FIRST, *_ALWAYS):
            continue
        if key == "slices":
            yield "split", f"split: {_write_split(config)}"
            yield "slices", "slices:" if config.slices else ""
        elif key == "drop_bad_rows" and key in comments:
            yield key, f"{key}: {str(config.drop_bad_rows).lower()}"
        else:
            yield key, f"{key}: {written[key]}" if key in written else ""


def _write_fields(config: Any) -> dict[str, str]:
    """Return the values of a dataclass that are not its defaults, as YAML by key."""
    written = {}
    for item in fields(config):
        value = getattr(config, item.name)
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        if value != default:
            written[item.name] = write_value(value)
    return written


def write_value(value: Any) -> str:
    """Return a value as YAML that OmegaConf reads back as this value."""
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(write_value, value))}]"
    if isinstance(value, Mapping):
        return _write_mapping({quote(key): write_value(inner) for key, inner in value.items()})
    return _write_mapping(_write_fields(value))


def _write_mapping(written: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{key}: {value}' for key, value in written.items())}}}"


def _write_split(config: DataConfig) -> str:
    """Return the value of `split`, with the shares of the parts that are sampled."""
    split = config.split
    is_given = split.method is SplitMethod.given
    shown = {"method": split.method.name}
    if split.column is not None:
        shown["column"] = quote(split.column)
    shown["val"] = write_value(split.val)
    if not is_given:
        shown["test"] = write_value(split.test)
    return _write_mapping({**shown, **{key: value for key, value in _write_fields(split).items() if key not in shown}})


def write_labels(labels: LabelsConfig) -> str:
    """Return the value of `labels`."""
    shown = {} if labels.column is None else {"column": quote(labels.column)}
    if labels.columns is not None:
        shown["columns"] = write_value(labels.columns)
    shown["kind"] = labels.kind.name
    if labels.kind is LabelKind.separated:
        shown["separator"] = quote(labels.separator)
    return _write_mapping({**shown, **{key: value for key, value in _write_fields(labels).items() if key not in shown}})


def write_slice(definition: SliceConfig) -> str:
    """Return the value of a slice."""
    return _write_mapping({"kind": definition.kind.name, **_write_fields(definition)})


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


def count(number: int, noun: str) -> str:
    """Return a number with its noun, as in "1,200 rows", for a comment."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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

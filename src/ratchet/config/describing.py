"""What can be set of a model: each key with its default, what it may be, and what its file says of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from ratchet.config.compose import compose
from ratchet.config.fields import range_in_words
from ratchet.config.messages import Origin
from ratchet.config.schema import ModelConfig
from ratchet.errors import UserError, did_you_mean
from ratchet.project import CONF

_DEFAULTS = re.compile(r"^defaults: *\[(\w+)", re.MULTILINE)  # the config or the schema that a file begins with
_SETTING = re.compile(r"^(\w+):.*?(?: #+ *(.*))?$", re.MULTILINE)


@dataclass(frozen=True)
class Setting:
    """A key of a configuration, its value, what it may be (a type with its range, or the choices), and a remark."""

    key: str
    value: Any
    kind: str
    remark: str


def configs_of(group: str, config_dir: Path | None = None) -> dict[str, Path]:
    """The files of a group of conf/ (and of a further directory) by the name that chooses them, sorted."""
    places = [directory / group for directory in (CONF, config_dir) if directory is not None]
    paths = {
        path.relative_to(place).with_suffix("").as_posix(): path for place in places for path in place.rglob("*.yaml")
    }
    return dict(sorted(paths.items()))


def headline(path: Path) -> str:
    """The first comment of a configuration file: what it is."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("# @package")]
    return lines[0].removeprefix("#").strip() if lines and lines[0].startswith("#") else ""


def model_config(name: str, config_dir: Path | None = None) -> ModelConfig:
    """The settings that `model=name` composes.

    Raises:
        UserError: there is no such file, or it says something wrong.
    """
    there = configs_of("model", config_dir)
    if name not in there:
        raise UserError(f"models {name}: {did_you_mean(name, there)}")
    return compose([f"model={name}"], config_dir).model


def settings_of(name: str, config_dir: Path | None = None) -> list[Setting]:
    """Every setting of a model, in the order of its file; what only the code names comes last.

    Raises:
        UserError: there is no such file, or it says something wrong.
    """
    config, remarks = model_config(name, config_dir), _remarks(name, Origin([], config_dir=config_dir))
    found = [each for each in _walk(config) if each.key not in ("name", "module", "complexity")]
    order = {key: place for place, key in enumerate(remarks)}
    found.sort(key=lambda each: order.get(each.key.partition(".")[0], len(order)))
    return [Setting(each.key, each.value, each.kind, remarks.get(each.key, "")) for each in found]


def _remarks(name: str, origin: Origin) -> dict[str, str]:
    """What stands beside each key, in the model's file or else in the one that it begins with."""
    path = origin.path(f"model/{name}")
    if not path.is_file():  # a schema
        return {}
    text = path.read_text(encoding="utf-8")
    own = {key: remark or "" for key, remark in _SETTING.findall(text) if key != "defaults"}
    begins = _DEFAULTS.search(text)
    inherited = _remarks(begins[1], origin) if begins else {}
    return {**inherited, **{key: remark or inherited.get(key, "") for key, remark in own.items()}}


def _walk(node: Any, prefix: str = "") -> Iterator[Setting]:
    for field in fields(node):
        value = getattr(node, field.name)
        if is_dataclass(value):
            yield from _walk(value, f"{prefix}{field.name}.")
        else:
            limits = range_in_words(field.metadata)
            kind = " | ".join(choices_of(field.type)) or type_in_words(field.type)
            yield Setting(f"{prefix}{field.name}", value, f"{kind} {limits}".strip(), "")


def choices_of(kind: Any) -> list[str]:
    """The values of an enumeration or of a truth value, `null` among them where it may be; of others none."""
    alternatives = get_args(kind) or (kind,)
    named = [each for each in alternatives if each is bool or (isinstance(each, type) and issubclass(each, Enum))]
    if not named:
        return []
    values = [value for each in named for value in (["false", "true"] if each is bool else [str(v.name) for v in each])]
    return values + ["null"] * (type(None) in alternatives)


def type_in_words(kind: Any) -> str:
    """A type as it is written: `int`, `list[int]`, `float | null`."""
    words = kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
    return words.replace("None", "null").replace("NoneType", "null")

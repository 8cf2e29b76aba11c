"""Describe the fields of a dataclass: range, allowed values, help sentence, and whether they identify a candidate.

The help sentence of a field is the bare string directly below it:

    max_epochs: int = bounded(20, low=1)
    \"\"\"Passes over the training records.\"\"\"

Python does not keep such a string, so `help_of` reads it from the source. The code identity of a run ignores it
(`ratchet.runs.code`): a new help text retrains nothing.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, get_args

MISSING: Any = "???"  # what OmegaConf takes for "no value yet"; schemas do not import OmegaConf


@dataclass(frozen=True)
class Setting:
    """A key with its value, what is allowed (choices, or a type with its range), and its help sentence."""

    key: str
    value: Any
    kind: str
    remark: str


def bounded(
    default: Any = MISSING, *, low: float | None = None, high: float | None = None, above: float | None = None
) -> Any:
    """Declare a field whose value lies within [low, high] and above `above`; checked before any work starts."""
    return field(default=default, metadata={"low": low, "high": high, "above": above})


def range_in_words(limits: Mapping[str, Any]) -> str:
    """Return the range that `bounded` gave to a field, as `at least 0 and at most 1`; empty if there is none."""
    words = {"low": "at least", "above": "above", "high": "at most"}
    return " and ".join(f"{word} {limits[key]}" for key, word in words.items() if limits.get(key) is not None)


def unhashed(default: Any = None, **kwargs: Any) -> Any:
    """Declare a field that sets where, when or on what a run happens, not what is trained."""
    metadata = {"hashed": False}
    if "default_factory" in kwargs:
        return field(default_factory=kwargs["default_factory"], metadata=metadata)
    return field(default=default, metadata=metadata)


def located(default: Any = MISSING, *, hashed: bool = True) -> Any:
    """Declare a field that holds a path: on a command line it is relative to the working directory."""
    return field(default=default, metadata={"path": True, "hashed": hashed})


def list_path_keys(schema: Any, prefix: str = "") -> list[str]:
    """Return the keys of a dataclass that `located` declared, and of the dataclasses inside it."""
    keys = []
    for declared in fields(schema):
        if declared.metadata.get("path"):
            keys.append(f"{prefix}{declared.name}")
        for kind in get_args(declared.type) or (declared.type,):
            if is_dataclass(kind):
                keys += list_path_keys(kind, f"{prefix}{declared.name}.")
    return keys


def choices_of(kind: Any) -> list[str]:
    """Return the values of an enumeration or a truth value, with `null` if it is allowed; empty for other types."""
    alternatives = get_args(kind) or (kind,)
    closed = [item for item in alternatives if item is bool or (isinstance(item, type) and issubclass(item, Enum))]
    if not closed:
        return []
    values = [name for item in closed for name in (["false", "true"] if item is bool else [m.name for m in item])]
    return values + ["null"] * (type(None) in alternatives)


def type_in_words(kind: Any) -> str:
    """Return a type as it is written: `int`, `list[int]`, `float | null`."""
    words = kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
    return re.sub(r"\b(?:\w+\.)+", "", words).replace("NoneType", "null").replace("None", "null")


def allowed_values(kind: Any, limits: Mapping[str, Any]) -> str:
    """Return what a field accepts: its choices as `a | b`, or its type with its range."""
    choices, limit = choices_of(kind), range_in_words(limits)
    if choices or not limit:
        return " | ".join(choices) or type_in_words(kind)
    main, null = type_in_words(kind).removesuffix(" | null"), " | null" * (type(None) in get_args(kind))
    return f"{main} {limit}{null}"


@cache
def help_of(schema: type) -> Mapping[str, str]:
    """Return the help sentence of each field of a dataclass that has one, its bases included."""
    sentences: dict[str, str] = {}
    for base in reversed(schema.__mro__):
        if "__dataclass_fields__" in vars(base):
            sentences |= _sentences_of(base.__module__).get(base.__qualname__, {})
    return sentences


@cache
def _sentences_of(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return the bare strings below the fields of each class at the top level of a module."""
    try:
        source = inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):  # without a file, as in an interactive session
        return {}
    return {node.name: _strings_below_fields(node) for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def _strings_below_fields(node: ast.ClassDef) -> dict[str, str]:
    sentences = {}
    for statement, following in zip(node.body, node.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                sentences[name] = " ".join(text.split())
    return sentences


def settings_in(node: Any, prefix: str = "") -> list[Setting]:
    """Return every key of a dataclass and of those inside it, with its value and its description.

    `node` may be the class, too, if all of its fields have a default. The fields of a derived class come before those
    of its bases. Below a mapping, NAME stands for any name: `evaluation.slices.NAME.kind`.
    """
    return list(_walk(node() if isinstance(node, type) else node, prefix))


def _walk(node: Any, prefix: str) -> Iterator[Setting]:
    schema: Any = type(node)
    sentences = help_of(schema)
    for declared in _own_fields_first(schema):
        key, value = f"{prefix}{declared.name}", getattr(node, declared.name)
        if is_dataclass(value):
            yield from _walk(value, f"{key}.")
            continue
        yield Setting(key, value, allowed_values(declared.type, declared.metadata), sentences.get(declared.name, ""))
        for entry in get_args(declared.type):
            if is_dataclass(entry):  # the values of a mapping, or what an optional node would be
                inner = f"{key}.NAME." if isinstance(value, dict) else f"{key}."
                assert isinstance(entry, type)
                yield from _walk(entry(), inner)


def _own_fields_first(schema: Any) -> list[Field[Any]]:
    depths = {name: depth for depth, base in enumerate(schema.__mro__) for name in inspect.get_annotations(base)}
    return sorted(fields(schema), key=lambda declared: depths[declared.name])


def written(value: Any) -> str:
    """Return a value as one would write it on a command line."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in fields(value) if getattr(value, f.name)}
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case Enum():
            return value.name
        case list() | tuple():
            return f"[{', '.join(written(item) for item in value)}]"
        case dict():
            return f"{{{', '.join(f'{key}: {written(item)}' for key, item in value.items())}}}"
        case str() if not re.fullmatch(r"[^\s'\"{}\[\],]+", value):
            return json.dumps(value, ensure_ascii=False)
    return str(value)

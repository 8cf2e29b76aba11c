"""Describe the fields of a dataclass: range, allowed values, help sentence, and whether they identify a candidate.

The help sentence of a field is the bare string directly below it:

    max_epochs: int = bounded(20, low=1)
    \"\"\"Passes over the training records.\"\"\"

Python does not keep such a string, so `help_of` reads it from the source. The code identity of a run ignores it
(`ratchet.runs.code`): a new help text retrains nothing.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from functools import cache
from typing import Any, get_args

MISSING: Any = "???"  # what OmegaConf takes for "no value yet"; schemas do not import OmegaConf


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
            sentences |= _strings_below_fields(base)
    return sentences


def _strings_below_fields(schema: type) -> dict[str, str]:
    """Return the bare string directly below each field that the body of a class declares."""
    try:
        source = inspect.getsource(schema)
    except (OSError, TypeError):  # a class without a file, as in an interactive session
        return {}
    (node,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(node, ast.ClassDef)
    sentences = {}
    for statement, following in zip(node.body, node.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                sentences[name] = " ".join(text.split())
    return sentences

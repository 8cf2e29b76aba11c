"""Define the labels of a row, and read cells that hold them as text: lists of JSON, Python and NumPy, and pairs."""

import ast
import json
import re
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ratchet.data.values import BadValue

_QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_NUMPY_TEXTS = re.compile(rf"\[\s*{_QUOTED}(?:\s+{_QUOTED})+\s*\]")
_NUMPY_NUMBERS = re.compile(r"\[\s*[-+\d.]+(?:\s+[-+\d.]+)+\s*\]")
_ARRAY = re.compile(r"(?:array|list|set|frozenset)\(([\[{(].*[\]})])(?:,\s*dtype=[^\[\](){}]*)?\)", re.DOTALL)
_LONGEST = 100_000  # characters of a Python list; longer ones are slow to parse


class LabelSet(NamedTuple):
    """The labels of a row, and those whose state is unknown; both sorted.

    With `others_unknown`, the state of every label that is not in `positive` is unknown.
    """

    positive: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    others_unknown: bool = False


def object_error(column: str, value: Mapping[str, Any], setting: str | None = None) -> BadValue:
    """Return the error about an object that is not read; names the setting that reads it."""
    keys = ", ".join(map(str, list(value)[:6])) or "it is empty"
    remedy = f"set {setting or 'data.labels.key'} to the key of its name: {keys}"
    if value and all(isinstance(score, (int, float)) for score in value.values()):
        remedy = f"if it has a score for each label, set data.labels.kind=scores; else {remedy}"
    deeper = next((key for key, inner in value.items() if inner and _is_nested(inner)), None)
    if deeper is not None:
        remedy += f"; or set data.labels.column to a path into it, as {column}.{deeper}"
    return BadValue("bad labels", f"{column} holds an object where a label should be: {remedy}")


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict))


def fold(text: str) -> str:
    """Return a text in lower case, and a number such as 1.0 without its point."""
    return text.strip().casefold().removesuffix(".0")


def looks_like_list(text: str) -> bool:
    """Return whether a text is in brackets or braces."""
    text = text.strip()
    return (text[:1], text[-1:]) in (("[", "]"), ("{", "}"))


@lru_cache(maxsize=10_000)
def parse_cell(text: str) -> list[Any] | dict[Any, Any] | None:
    """Return the list or object that a text is in JSON, Python or NumPy; None if it is none. Do not change the value.

    Nothing is evaluated: a Python list holds literals only.
    """
    array = _ARRAY.fullmatch(text)
    text = text if array is None else array[1]
    if text[:1] not in ("[", "{", "("):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = _parse_python(text)
    if isinstance(content, (tuple, set, frozenset)):
        content = list(content)
    return content if isinstance(content, (list, dict)) else None


def _parse_python(text: str) -> Any:
    """Return the literal that a text is; None if it is none."""
    if len(text) > _LONGEST:
        return None
    if _NUMPY_TEXTS.fullmatch(text):  # before Python, which joins texts without a comma between them
        return [_evaluate(quoted) for quoted in re.findall(_QUOTED, text)]
    if _NUMPY_NUMBERS.fullmatch(text):
        return [number.removesuffix(".") for number in text[1:-1].split()]
    return _evaluate(text)


def _evaluate(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a backslash that begins no escape
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None


def parse_pairs(text: str, separator: str) -> dict[str, str] | None:
    """Return the score of each label of a text such as `bug:0.9;slow:0.1`; None if it is something else."""
    scores: dict[str, str] = {}
    for pair in text.split(separator):
        if not pair.strip():
            continue
        label, colon, score = pair.rpartition(":")
        if not colon or label.strip() in scores:
            return None
        scores[label.strip()] = score.strip()
    return scores or None

"""Read texts of configuration files as they are written where YAML makes them something else.

In YAML 1.1 `no` is false and `007` is 7; OmegaConf then makes them the texts "False" and "7", and a label called `no`
would never match. So the text in the file replaces such a value wherever the schema says text.
"""

import dataclasses
import re
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from ratchet.config.messages import Origin
from ratchet.errors import UserError

_CONVERTED = re.compile(r"True|False|[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?inf|nan", re.IGNORECASE)


def restore_texts(node: Any, prefix: str, origin: Origin) -> None:
    """Replace converted texts in `node` and below it by what its configuration file holds.

    Raises:
        UserError: the command line gives a number or a truth value where the schema says text; names the remedy.
    """
    for field in dataclasses.fields(node):
        key, value = f"{prefix}{field.name}", getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            restore_texts(value, f"{key}.", origin)
        elif isinstance(value, dict):
            for item, child in list(value.items()):
                if dataclasses.is_dataclass(child):
                    restore_texts(child, f"{key}.{item}.", origin)
                elif _holds_texts(field.type) and _may_be_converted(child):
                    value[item] = _restore(child, f"{key}.{item}", origin)
        elif _holds_texts(field.type) and _may_be_converted(value):
            setattr(node, field.name, _restore(value, key, origin))


def _holds_texts(kind: Any) -> bool:
    """Return whether the values of a field are texts, or of any type, as those of filter.where."""
    kinds = get_args(kind)
    if get_origin(kind) is dict:
        return kinds[1] is Any or _holds_texts(kinds[1])
    return kind is str or any(_holds_texts(part) for part in kinds)


def _may_be_converted(value: Any) -> bool:
    if isinstance(value, list):
        return any(_may_be_converted(item) for item in value)
    if isinstance(value, str):
        return _CONVERTED.fullmatch(value) is not None
    return isinstance(value, (bool, int, float))


def _restore(value: Any, key: str, origin: Origin) -> Any:
    source = origin.source(key)
    if isinstance(source, Path):
        written, parsed = (_look_up(content, key) for content in _read(source))
        return _merge(value, written, parsed)
    if source is not None:
        _check_override(source.removeprefix("command line, "), key, value)
    return value


def _read(path: Path) -> tuple[Any, Any]:
    """Return the content of a YAML file with every scalar as its text, and as OmegaConf reads it."""
    text = path.read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.BaseLoader), OmegaConf.to_container(OmegaConf.load(path), resolve=False)


def _look_up(content: Any, key: str) -> Any:
    """Return the value of a key, in a file of the whole configuration or of the group that the key begins with."""
    for names in (key.split("."), key.split(".")[1:]):
        node = content
        for name in names:
            node = node.get(name) if isinstance(node, dict) else None
        if node is not None:
            return node
    return None


def _merge(value: Any, written: Any, parsed: Any) -> Any:
    """Return `value` with the written text where YAML parsed it as a number, a truth value or a date."""
    if isinstance(value, list):
        if (
            not isinstance(written, list)
            or not isinstance(parsed, list)
            or not len(value) == len(written) == len(parsed)
        ):
            return value
        return [_merge(*items) for items in zip(value, written, parsed, strict=True)]
    if not isinstance(written, str) or not isinstance(parsed, (bool, int, float)):
        return value
    if isinstance(value, str):
        return written
    is_plain = written.lower() in ("true", "false") if isinstance(parsed, bool) else str(parsed) == written
    return value if is_plain else written


def _check_override(override: str, key: str, value: Any) -> None:
    """Refuse a number whose text the parser changed, as 1e3, and a truth value, in place of a text."""
    try:
        given = OverridesParser.create().parse_override(override).value()
    except HydraException:
        return
    items = (given, value) if isinstance(given, list) and isinstance(value, list) else ([given], [value])
    for item, text in zip(*items, strict=False):
        is_written = re.search(rf"(?<![\w.+]){re.escape(str(item))}(?![\w.])", override) is not None
        is_changed = isinstance(item, (bool, float)) or (isinstance(item, int) and not is_written)
        if is_changed and isinstance(text, str):
            what = "a truth value" if isinstance(item, bool) else "a number"
            raise UserError(
                f"command line, {override}: {key} holds texts, but {text.lower()} is {what}: put quotation marks "
                f"around it, as in {override.partition('=')[0]}=\"['true']\""
            )

"""The best trial as a file of conf/experiment/: what it sets, and what it reached when it was chosen."""

import re
from pathlib import Path
from typing import Any

import yaml

from ratchet.errors import UserError
from ratchet.files import write_text

_SIGN = "# Written by a search"


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The keys of `after`, nested, whose values are not those of `before`."""
    found: dict[str, Any] = {}
    for key, value in after.items():
        if isinstance(value, dict) and isinstance(before.get(key), dict):
            inner = differences(before[key], value)
            if inner:
                found[key] = inner
        elif key not in before or before[key] != value:
            found[key] = value
    return found


def experiment_text(name: str, model: str, changed: dict[str, Any], what: str, command: str, expected: str) -> str:
    """The file's text, which opens as all experiments do; `changed` are the nested keys that it sets."""
    body = "".join(_dumped({key: value}) for key, value in changed.items())
    return (
        "# @package _global_\n"
        f"{_SIGN}: {what}.\n"
        f"# {command}\n"
        f"# {expected}\n"
        "defaults:\n"
        f"  - override /model: {model}\n"
        f"name: {name}\n"
        f"{body}"
    )


def _dumped(changed: dict[str, Any]) -> str:
    nested = any(isinstance(value, dict) for value in changed.values())  # YAML would put a flat one in braces
    return str(
        yaml.safe_dump(changed, sort_keys=False, default_flow_style=None if nested else False, allow_unicode=True)
    )


def write_experiment(directory: Path, name: str, text: str) -> Path:
    """`directory`/<name>.yaml; one that an earlier search wrote is replaced.

    Raises:
        UserError: a file of that name that no search wrote, or one that cannot be written.
    """
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise UserError(f"sweep.experiment={name!r} names a file: letters, digits, '_', '-' and '.' only")
    path = directory / f"{name}.yaml"
    try:
        if path.is_file() and _SIGN not in path.read_text(encoding="utf-8"):
            raise UserError(f"{path}: is there already, and no search wrote it: set sweep.experiment=ANOTHER_NAME")
        directory.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
    return path

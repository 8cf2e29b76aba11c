"""Name the settings by which two runs have different splits, and the command that makes them comparable."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ratchet.runs.stored import StoredRun, build_command

_NOT_COMPARED = {"split.seed"}  # the runs have the same one
Settings = dict[str, Any]


def explain_different_splits(run: StoredRun, other: StoredRun) -> str:
    """Return the settings of the split that differ, with both values, and how to train `other` on that of `run`."""
    before, after = _read_split_settings(run), _read_split_settings(other)
    if before is None or after is None:
        missing = run if before is None else other
        return f"their settings are not known: {missing.path / 'config.yaml'} cannot be read"
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    if not keys:
        return (
            "no setting of the split differs, so the code or the packages that divide the records do: train "
            f"{run.record.name} and {other.record.name} again, or choose with name= or runs="
        )
    named = "; ".join(
        f"{key} is {_format(before.get(key))} for {run.record.name}, {_format(after.get(key))} for {other.record.name}"
        for key in keys
    )
    return f"{named}. To compare them: {_build_command(other, {key: before.get(key) for key in keys})}"


def _read_split_settings(run: StoredRun) -> Settings | None:
    """Return `split` and `data.split` of the recorded configuration as flat keys; None if it cannot be read."""
    try:
        content = yaml.safe_load((run.path / "config.yaml").read_text(encoding="utf-8"))
        sections = {"split": content["split"], "data.split": content["data"].get("split") or {}}
        flat = {key: value for name, section in sections.items() for key, value in _flatten(section, name)}
    except (OSError, ValueError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        return None
    return {key: value for key, value in flat.items() if key not in _NOT_COMPARED}


def _flatten(section: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}.{name}")
        else:
            yield f"{prefix}.{name}", value


def _build_command(run: StoredRun, settings: Mapping[str, Any]) -> str:
    """Return the command of `run` with other settings."""
    kept = [override for override in run.record.overrides if override.split("=")[0].lstrip("+") not in settings]
    wanted = [f"{key}={_format(value)}" for key, value in settings.items()]
    return build_command(run.record, [*kept, *wanted])


def _format(value: Any) -> str:
    """Return a value as an override has it."""
    if isinstance(value, str):
        return value if value and value.replace("_", "").replace(".", "").isalnum() else json.dumps(value)
    return json.dumps(value)

"""Compute the identity of a configuration: the hash over what is trained."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from ratchet.config.schema import Config
from ratchet.errors import UserError
from ratchet.files import hash_content

# Keys that say where, when, why or for whom a run happens: its metrics do not depend on them.
_NOT_OF_RESULTS = {
    *("runs_dir", "run_dir", "promotions_dir", "sweep_id", "resume", "fresh"),
    *("parent", "hypothesis", "tracker", "threads", "sweep"),
}
# A configuration keeps its hash when a field is renamed or added; the hashes of finished runs are never recomputed.
_HASHED_AS: dict[str, str] = {}  # name of a renamed field -> the name under which it is hashed
_NEUTRAL: dict[str, Any] = {  # class and name of a field added later -> the value with which runs were made before
    **{f"RecordsConfig.{part}": None for part in ("train", "val", "test")},
    **{"RecordsConfig.layout": "table", "RecordsConfig.under": None, "RecordsConfig.keys": {}},
    **{"RecordsConfig.query": None, "RecordsConfig.sheet": None},
    **{"LabelsConfig.columns": None, "LabelsConfig.one": None, "LabelsConfig.key": None, "LabelsConfig.levels": None},
    **{"LabelsConfig.prefix": None, "LabelsConfig.first": 0, "LabelsConfig.positive": 0.5, "LabelsConfig.unknown": []},
    **{"LabelsConfig.file": {"sha256": None}},
    **{"FilterConfig.where": {}, "DataSplitConfig.group": None},
    **{f"{node}.leaks": "stop" for node in ("DataSplitConfig", "SplitConfig")},
    **{f"{node}.duplicates": "near" for node in ("DataSplitConfig", "SplitConfig")},
    **{f"{node}.similarity": 0.8 for node in ("DataSplitConfig", "SplitConfig")},
    **{"DataConfig.separator": None, "DataConfig.quote": '"', "DataConfig.escape": None, "DataConfig.comment": None},
    **{"DataConfig.skip_initial_space": False, "DataConfig.skip_rows": 0, "DataConfig.missing": []},
    **{"DataConfig.text_files": []},
}


def plain(value: Any) -> Any:
    """Return dataclasses, enums and paths as values that JSON and YAML can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(child) for child in value]
    if isinstance(value, Enum):
        return value.name
    return str(value) if isinstance(value, Path) else value


def config_hash(config: Config, inputs: Mapping[str, str] | None = None) -> str:
    """Return the identity of a candidate: sha256 over what is trained, without seeds, paths, threads and measures.

    `inputs` are the hashes of the files that settings name. Without any, the hash is that of earlier versions.
    """
    content = hashed(config) | ({"inputs": dict(inputs)} if inputs else {})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def hash_inputs(config: Config) -> dict[str, str]:
    """Return the sha256 of what the settings of the model name, such as the files of an encoder, by setting.

    Raises:
        UserError: a file or directory is missing, incomplete or not readable.
    """
    hashes = {}
    for name, path in config.model.input_files().items():
        try:
            hashes[f"model.{name}"] = hash_content(path)
        except OSError as error:
            raise UserError(f"model.{name}: {path} cannot be read: {error.strerror}") from error
    return hashes


def hashed(node: Any) -> Any:
    """Return the part of a configuration (or of one of its nodes) that identifies a candidate, as plain values."""
    if not dataclasses.is_dataclass(node):
        return plain(node)
    content = {
        field.name: hashed(getattr(node, field.name))
        for field in dataclasses.fields(node)
        if field.metadata.get("hashed", True)
    }
    node_name = type(node).__name__
    return {
        _HASHED_AS.get(name, name): value
        for name, value in content.items()
        if (field_name := f"{node_name}.{name}") not in _NEUTRAL or value != _NEUTRAL[field_name]
    }


def unhashed_keys(node: Any = Config, prefix: str = "") -> Iterator[str]:
    """Yield the keys that do not identify a candidate, such as `seed` and `data.slices`."""
    for field in dataclasses.fields(node):
        if not field.metadata.get("hashed", True):
            yield f"{prefix}{field.name}"
            continue
        for kind in get_args(field.type) or (field.type,):
            if dataclasses.is_dataclass(kind):
                yield from unhashed_keys(kind, f"{prefix}{field.name}.")


def settings_of_results(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a plain configuration that the results of a run depend on, seeds included."""
    kept = {key: value for key, value in config.items() if key not in _NOT_OF_RESULTS}
    trainer = {key: value for key, value in config["trainer"].items() if key != "progress_bar"}
    return {**kept, "trainer": trainer}

"""Write JSON schemas of conf/ and params.yaml, with which editors complete and check the keys of YAML files.

One schema describes one group of conf/, made from the same dataclasses that composition uses. It accepts what OmegaConf
accepts: a file may be partial, a value may be `${...}` or `???`, and a number may be quoted. It cannot refuse all that
composition refuses: it does not know what a quoted number or an interpolation becomes, or which settings exclude each
other. The dialect is draft-07, which the YAML extension of VS Code supports best.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from inspect import getdoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.conf import HydraConf

from ratchet.config.data_schema import DataConfig
from ratchet.config.fields import MISSING, allowed_values, help_of
from ratchet.config.identity import plain
from ratchet.config.objective_schema import GateConfig, ObjectiveConfig
from ratchet.config.options import summarise_models
from ratchet.config.schema import Config, ModelConfig, ParameterConfig, TrackerConfig, TrainerConfig
from ratchet.errors import UserError, storage_error
from ratchet.files import write_text

Schema = dict[str, Any]
ModelSettings = Mapping[str, type[ModelConfig] | UserError]

DIRECTORY = ".schema"  # in conf/
_DRAFT = "http://json-schema.org/draft-07/schema#"
_GROUPS = {"data": DataConfig, "objective": ObjectiveConfig, "tracker": TrackerConfig, "trainer": TrainerConfig}
_WITHOUT_BASE = ("trainer",)  # its schema comes with that of the root configuration
_GLOBAL = ("experiment", "debug", "launcher")  # groups whose files are `# @package _global_`

# Strings that OmegaConf takes for a value of another type. The patterns hold in Python and in JavaScript.
_LATER = r"^\?\?\?$|\$\{"  # no value yet, or one that is computed when the configuration is composed
_DIGITS = r"\d+(_\d+)*"
_INTEGER = rf"^\s*[+-]?{_DIGITS}\s*$"
_FLOAT = (
    rf"^\s*[+-]?(({_DIGITS}(\.({_DIGITS})?)?|\.{_DIGITS})([eE][+-]?{_DIGITS})?"
    r"|[iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])\s*$"
)
_TRUTH = r"^([yY]([eE][sS])?|[oO][nN]|[tT][rR][uU][eE]|[nN][oO]?|[oO][fF][fF]|[fF][aA][lL][sS][eE])$"
_SCALARS: Mapping[type, tuple[list[str], str]] = {
    bool: (["boolean", "integer", "string"], f"{_TRUTH}|{_INTEGER}"),
    int: (["integer", "string"], _INTEGER),
    float: (["number", "string"], _FLOAT),
}
_DEFAULTS: Schema = {
    "description": "Configurations that this file is made from, in their order; _self_ stands for this file.",
    "type": "array",
    "items": {
        "type": ["string", "object"],
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": {"type": ["string", "null", "array"], "items": {"type": "string"}},
    },
}


# --- files ------------------------------------------------------------------------------------------------------------


def write_schemas(directory: Path, model_settings: ModelSettings, params: type) -> list[Path]:
    """Write the schemas of all groups; return their paths. A file that would not change is not written.

    `params` is the dataclass of params.yaml. A model that cannot be imported has no schema; its file of an earlier call
    stays, so that references to it keep working.

    Raises:
        UserError: a file cannot be written, for example because a directory is in its place.
    """
    paths = []
    for name, schema in build_schemas(model_settings, params).items():
        path = directory / f"{name}.json"
        text = json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        try:
            if not path.is_file() or path.read_bytes() != text.encode():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_text(path, text)
        except OSError as error:
            otherwise = f"{path}: cannot be written: {error.strerror}: move what is there, or choose another directory"
            raise storage_error(error, path, ", or choose another directory") or UserError(otherwise) from error
        paths.append(path)
    return paths


def build_schemas(model_settings: ModelSettings, params: type) -> dict[str, Schema]:
    """Return the schema of each kind of file by its name below `DIRECTORY` without the suffix, sorted."""
    models = {name: kind for name, kind in sorted(model_settings.items()) if not isinstance(kind, UserError)}
    configuration = _describe_configuration(models)
    nodes = {name: _with_defaults(_describe_node(kind), base=f"base_{name}") for name, kind in models.items()}
    any_model = {"description": _first_line(ModelConfig), "anyOf": list(nodes.values())}
    schemas = {
        **{f"model/{name}": _as_root(node, f"conf/model/*.yaml of module {name}") for name, node in nodes.items()},
        "model": _as_root(any_model, "conf/model/*.yaml"),
        "config": _as_root(configuration, "conf/config.yaml and files with @package _global_"),
        "sweep": _as_root(configuration, "conf/sweep/*.yaml"),
        "gate": _as_root(_with_defaults(_describe_node(GateConfig)), "conf/gate.yaml"),
        "params": _as_root(_describe_node(params), "params.yaml"),
    }
    for name, kind in _GROUPS.items():
        base = None if name in _WITHOUT_BASE else f"base_{name}"
        schemas[name] = _as_root(_with_defaults(_describe_node(kind), base=base), f"conf/{name}/*.yaml")
    return dict(sorted(schemas.items()))


def schema_reference(path: Path, conf: Path) -> str:
    """Return the comment with which editors find the schema of a YAML file, which need not exist yet.

    `path` is a file of the directory `conf`, or params.yaml. The comment may stand anywhere in the file, except above
    a `# @package` line: Hydra reads `@package` only if no other comment comes before it.

    Raises:
        UserError: the file belongs to no group that has a schema.
    """
    path, conf = path.parent.resolve() / path.name, conf.resolve()
    name = _name_schema(path, conf) if path.is_relative_to(conf) else path.stem
    if name == "params" or path.is_relative_to(conf):
        relative = os.path.relpath(conf / DIRECTORY / f"{name}.json", path.parent)
        return f"# yaml-language-server: $schema={Path(relative).as_posix()}"
    raise UserError(f"{path}: there are schemas for params.yaml and for the files of {conf} only")


def _name_schema(path: Path, conf: Path) -> str:
    group = path.relative_to(conf).with_suffix("").parts[0]
    package = _read_package(path)
    if package == "_global_" or group in ("config", *_GLOBAL):
        return "sweep" if group == "sweep" else "config"
    if package in (None, "_group_", group):
        if group == "model":
            return _name_model_schema(path, conf)
        if group in (*_GROUPS, "sweep", "gate"):
            return group
    raise UserError(f"{path}: no schema describes it: begin it with `# @package _global_` if it sets keys of a run")


def _read_package(path: Path) -> str | None:
    """Return what `# @package` names, as Hydra reads it: only above any other comment."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        header = re.match(r"\s*#\s*@(\w+)\s*(\S*)", line)
        if header and header[1] == "package":
            return header[2]
        if line.strip() and not header:
            break
    return None


def _name_model_schema(path: Path, conf: Path) -> str:
    """Return the schema of the module of a model's file, or that of all modules if the file does not show which."""
    name = path.relative_to(conf / "model").with_suffix("").as_posix()
    modules = {summary.name: summary.module for summary in summarise_models(conf)}
    module = modules.get(name, name)
    return f"model/{module}" if module is not None else "model"


# --- nodes ------------------------------------------------------------------------------------------------------------


def _describe_configuration(models: Mapping[str, type[ModelConfig]]) -> Schema:
    """Return the schema of the root configuration: `model` has the settings of any model, `hydra` those of Hydra."""
    node = _describe_node(Config)
    properties = node["properties"]
    alternatives = [{"title": name, **_describe_node(kind)} for name, kind in models.items()]
    properties["model"] = {"description": properties["model"]["description"], "anyOf": alternatives}
    keys = dict(_list_keys({"properties": {key: value for key, value in properties.items() if key != "sweep"}}))
    properties["hydra"] = {**_describe_node(HydraConf), "description": "Settings of Hydra."}
    space = properties["sweep"]["properties"]["space"]
    parameter = {"allOf": [{"$ref": "#/definitions/parameter"}]}  # draft-07 ignores what stands next to $ref
    space["properties"] = {key: {"description": text, **parameter} for key, text in keys.items() if "*" not in key}
    space["patternProperties"] = {
        f"^{re.escape(key.removesuffix('*'))}": parameter for key in keys if key.endswith(".*")
    }
    space["additionalProperties"] = False
    return {**_with_defaults(node), "definitions": {"parameter": _describe_node(ParameterConfig)}}


def _list_keys(node: Schema, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the keys of a node and of those below it, with their descriptions; `*` is any name in a mapping."""
    for alternative in node.get("anyOf", [node]):
        for name, child in alternative.get("properties", {}).items():
            yield f"{prefix}{name}", child.get("description", "")
            yield from _list_keys(child, f"{prefix}{name}.")
            if child.get("additionalProperties"):
                yield f"{prefix}{name}.*", ""


def _with_defaults(node: Schema, base: str | None = None) -> Schema:
    """Return the node of a file of conf/, which may have a `defaults` list; `base` is the schema that begins it."""
    beginning = {"default": [base, "_self_"]} if base else {}
    # A file of comments only is null, and no file is a string.
    return {
        **{key: value for key, value in node.items() if not key.startswith("pattern")},
        "type": ["object", "null"],
        "properties": {"defaults": {**_DEFAULTS, **beginning}, **node["properties"]},
    }


def _as_root(node: Schema, title: str) -> Schema:
    return {"$schema": _DRAFT, "title": title, **node}


def _describe_node(kind: Any, *, may_be_null: bool = False) -> Schema:
    """Return the schema of a dataclass: a mapping with some of its fields and no others."""
    hints, sentences = get_type_hints(kind), help_of(kind)
    return {
        "description": _first_line(kind),
        "type": ["object", "string", *["null"] * may_be_null],
        "pattern": _LATER,
        "patternErrorMessage": "must be keys with values, or ${...}",
        "properties": {
            declared.name: _describe_field(declared, hints[declared.name], sentences.get(declared.name, ""))
            for declared in fields(kind)
        },
        "additionalProperties": False,
    }


def _first_line(kind: type) -> str:
    return (getdoc(kind) or "").partition("\n")[0]


def _describe_field(declared: Field[Any], kind: Any, sentence: str) -> Schema:
    value = _describe_value(kind, declared.metadata)
    is_node = "properties" in value
    holds_nodes = any(is_dataclass(element) for element in get_args(kind))
    allowed = "" if is_node or holds_nodes or kind is Any else f"Allowed: {allowed_values(kind, declared.metadata)}."
    described = {**value, "description": " ".join(filter(None, [sentence, allowed])) or value.get("description", "")}
    default = declared.default
    if declared.default_factory is not NO_DEFAULT and not is_node:
        default = declared.default_factory()
    return {**described, "default": plain(default)} if _can_propose(default) else described


def _can_propose(default: Any) -> bool:
    """Return whether an editor can propose a default: there is one, and JSON can hold it (not infinity, not bytes)."""
    if default is NO_DEFAULT or default == MISSING:
        return False
    try:
        json.dumps(plain(default), allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _describe_value(kind: Any, limits: Mapping[str, Any]) -> Schema:
    """Return the schema of the values of a type; without restriction for a type that is not known here."""
    alternatives = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    kinds = [alternative for alternative in alternatives if alternative is not NoneType]
    described = [_describe_kind(kind, limits, may_be_null=NoneType in alternatives) for kind in kinds]
    return described[0] if len(described) == 1 else {"anyOf": described}


def _describe_kind(kind: Any, limits: Mapping[str, Any], *, may_be_null: bool) -> Schema:
    origin = get_origin(kind) or kind
    null = ["null"] * may_be_null
    if is_dataclass(kind):
        return _describe_node(kind, may_be_null=may_be_null)
    if not isinstance(origin, type):
        return {}
    if issubclass(origin, Enum):
        return _describe_enum(origin, may_be_null=may_be_null)
    if origin in _SCALARS:
        types, pattern = _SCALARS[origin]
        message = f"must be {allowed_values(kind, limits)}, or ${{...}}"
        # `pattern` restricts only strings, and a range only numbers.
        return {
            "type": types + null,
            "pattern": f"{_LATER}|{pattern}",
            "patternErrorMessage": message,
            **_range(limits),
        }
    if issubclass(origin, (str, Path)):
        return {"type": ["string", "number", "boolean", *null]}  # OmegaConf makes text of the other two
    if issubclass(origin, (list, tuple)):
        return _collection("array", "a list", null) | {"items": _describe_element(kind)}
    if issubclass(origin, dict):
        return _collection("object", "keys with values", null) | {"additionalProperties": _describe_element(kind)}
    return {}


def _range(limits: Mapping[str, Any]) -> Schema:
    keywords = {"low": "minimum", "above": "exclusiveMinimum", "high": "maximum"}
    return {keyword: limits[key] for key, keyword in keywords.items() if limits.get(key) is not None}


def _describe_enum(kind: type[Enum], *, may_be_null: bool) -> Schema:
    """Return the schema of the names of an enumeration. OmegaConf also accepts `Kind.name`, and a value that is int."""
    names: list[Any] = [*kind.__members__, *[None] * may_be_null]
    numbers = [member.value for member in kind if type(member.value) is int]
    prefixed = rf"{_LATER}|^{kind.__name__}\.({'|'.join(kind.__members__)})$"
    return {
        "anyOf": [
            {"enum": names + numbers},
            {
                "type": "string",
                "pattern": prefixed,
                "patternErrorMessage": f"must be one of {', '.join(map(str, names))}",
            },
        ]
    }


def _collection(main: str, words: str, null: list[str]) -> Schema:
    message = f"must be {words}, or ${{...}}"
    return {"type": [main, "string", *null], "pattern": _LATER, "patternErrorMessage": message}


def _describe_element(kind: Any) -> Schema:
    """Return the schema of the elements of a list or of the values of a mapping."""
    elements = [element for element in get_args(kind) if element is not ...]
    is_mapping = get_origin(kind) is dict
    if not elements or (len(set(elements)) > 1 and not is_mapping):  # a tuple of several types
        return {}
    return _describe_value(elements[-1], {})

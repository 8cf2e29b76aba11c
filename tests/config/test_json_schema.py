"""Tests for the JSON schemas of conf/: they accept what composition accepts, and refuse mistakes at their keys."""

import dataclasses
import enum
import json
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Optional, Union, get_args, get_origin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ratchet.config import Config, ModelConfig, bounded, compose, help_of
from ratchet.config.composition import check_fields
from ratchet.config.data_schema import DataConfig
from ratchet.config.json_schema import DIRECTORY, build_schemas, schema_reference, write_schemas
from ratchet.config.messages import Origin
from ratchet.config.objective_schema import GateConfig, ObjectiveConfig
from ratchet.config.schema import TrackerConfig, TrainerConfig
from ratchet.errors import UserError
from ratchet.models import settings_class
from ratchet.pipeline.plan import PipelineConfig
from ratchet.project import PACKAGED

CONF = PACKAGED / "conf"
FILES = [*sorted(CONF.rglob("*.yaml")), PACKAGED / "params.yaml"]
MODELS = {name: settings_class(name) for name in ("cnn", "regression", "rule", "transformer")}
SCHEMAS = build_schemas(MODELS, PipelineConfig)
REFERENCE = "# yaml-language-server: $schema="


def list_errors(schema: str | dict[str, Any], content: Any) -> list[str]:
    """Return the keys of `content` that a schema refuses, as `split.val`."""
    described = SCHEMAS[schema] if isinstance(schema, str) else schema
    return [".".join(map(str, error.absolute_path)) for error in Draft7Validator(described).iter_errors(content)]


def list_properties(node: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every key of a schema with its own schema; keys of Hydra are left out."""
    for alternative in node.get("anyOf", [node]):
        for name, child in alternative.get("properties", {}).items():
            if name not in ("defaults", "hydra"):
                yield (*prefix, name), child
                yield from list_properties(child, (*prefix, name))


def nest(path: tuple[str, ...], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


# --- files and groups -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGED).as_posix())
def test_file_of_the_repository_matches_its_schema(path: Path) -> None:
    reference = schema_reference(path, CONF)
    assert reference.startswith(REFERENCE)
    written = (path.parent / reference.removeprefix(REFERENCE)).resolve()
    name = written.relative_to(CONF / DIRECTORY).with_suffix("").as_posix()
    content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    assert list_errors(name, content) == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_valid_and_survives_json(name: str) -> None:
    Draft7Validator.check_schema(SCHEMAS[name])
    assert json.loads(json.dumps(SCHEMAS[name], allow_nan=False)) == SCHEMAS[name]


def test_every_group_of_conf_has_a_schema() -> None:
    groups = {path.name for path in CONF.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert "sweep" in groups
    for group in groups - {"model"}:  # a new model may have a module of its own
        reference = schema_reference(CONF / group / "new.yaml", CONF)
        assert reference.removeprefix(f"{REFERENCE}../.schema/").removesuffix(".json") in SCHEMAS


MISTAKES = [
    ("data", {"txt": ["title"]}, ""),
    ("data", {"text": "title"}, "text"),
    ("data", {"drop_bad_rows": "perhaps"}, "drop_bad_rows"),
    ("data", {"split": {"val": 0.9}}, "split.val"),
    ("data", {"split": {"val": 0}}, "split.val"),
    ("data", {"format": "xlsx"}, "format"),
    ("data", {"slices": {"short": {"kind": "short"}}}, "slices.short.kind"),
    ("data", {"labels": {"colum": "tags"}}, "labels"),
    ("data", {"filter": None}, "filter"),
    ("objective", {"flor": 0.5}, ""),
    ("objective", {"budgets": 50}, "budgets"),
    ("objective", {"budgets": {"size_mb": "big"}}, "budgets.size_mb"),
    ("objective", {"alpha": 0.6}, "alpha"),
    ("objective", {"metric": "f1"}, "metric"),
    ("objective", {"slices": {"short_text": "high"}}, "slices.short_text"),
    ("gate", {"objectiv": {}}, ""),
    ("gate", {"objective": {"floor": [0.5]}}, "objective.floor"),
    ("gate", {"objective": {"floor": -1}}, "objective.floor"),
    ("gate", {"objective": {"metric": "f1"}}, "objective.metric"),
    ("tracker", {"knd": "none"}, ""),
    ("tracker", {"project": ["ratchet"]}, "project"),
    ("tracker", {"project": None}, "project"),
    ("tracker", {"kind": "mlflow"}, "kind"),
    ("trainer", {"device": 1}, ""),
    ("trainer", {"devices": "many"}, "devices"),
    ("trainer", {"progress_bar": 0.5}, "progress_bar"),
    ("trainer", {"devices": 0}, "devices"),
    ("trainer", {"accelerator": "tpu"}, "accelerator"),
    ("config", {"sed": 1}, ""),
    ("config", {"seed": "first"}, "seed"),
    ("config", {"tags": "debug"}, "tags"),
    ("config", {"split": {"test": 0.9}}, "split.test"),
    ("config", {"evaluate": "train"}, "evaluate"),
    ("config", {"model": {"droput": 0.5}}, "model"),
    ("config", {"model": {"dropout": 0.5, "stemming": True}}, "model"),
    ("config", {"hydra": {"rn": {"dir": "."}}}, "hydra"),
    ("sweep", {"sweep": {"trails": 5}}, "sweep"),
    ("sweep", {"sweep": {"trials": "many"}}, "sweep.trials"),
    ("sweep", {"sweep": {"trials": 0}}, "sweep.trials"),
    ("sweep", {"sweep": {"cost": "money"}}, "sweep.cost"),
    ("sweep", {"sweep": {"space": {"model.droput": {"low": 0, "high": 1}}}}, "sweep.space"),
    ("sweep", {"sweep": {"space": {"model.dropout": {"lo": 0}}}}, "sweep.space.model.dropout"),
    ("model", {"droput": 0.5}, ""),
    ("model/rule", {"steming": True}, ""),
    ("model/rule", {"stemming": "sometimes"}, "stemming"),
    ("model/rule", {"complexity": -1}, "complexity"),
    ("model/regression", {"c": 1.5}, ""),
    ("model/regression", {"word_ngrams": 2}, "word_ngrams"),
    ("model/regression", {"char_ngrams": [3, "many"]}, "char_ngrams.1"),
    ("model/regression", {"C": 0}, "C"),
    ("model/cnn", {"droput": 0.5}, ""),
    ("model/cnn", {"batch_size": 3.5}, "batch_size"),
    ("model/cnn", {"batch_size": True}, "batch_size"),
    ("model/cnn", {"dropout": 1.5}, "dropout"),
    ("model/cnn", {"tokens": "letters"}, "tokens"),
    ("model/cnn", {"lexical": {"min_df": 0}}, "lexical.min_df"),
    ("model/transformer", {"poolin": "mean"}, ""),
    ("model/transformer", {"random": "small"}, "random"),
    ("model/transformer", {"random": {"layers": 0}}, "random.layers"),
    ("model/transformer", {"pooling": "last"}, "pooling"),
    ("params", {"modles": ["rule"]}, ""),
    ("params", {"models": "rule"}, "models"),
    ("params", {"repeats": ["first"]}, "repeats.0"),
    ("params", {"defaults": ["base"]}, ""),
    ("data", {"defaults": "base_data"}, "defaults"),
    ("config", {"defaults": [{"data": "sample", "model": "rule"}]}, "defaults.0"),
]


@pytest.mark.parametrize(("schema", "content", "key"), MISTAKES)
def test_mistake_is_refused_at_its_key(schema: str, content: Any, key: str) -> None:
    assert set(list_errors(schema, content)) == {key}


def test_mistakes_cover_every_schema() -> None:
    assert {schema for schema, _, _ in MISTAKES} == set(SCHEMAS)


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name != "params"])
def test_partial_file_and_defaults_are_valid(name: str) -> None:
    choices = [
        {"data": "sample"},
        {"override /model": None},
        {"override hydra/launcher": "joblib"},
        {"a@b": ["c", "d"]},
    ]
    for content in ({}, None, {"defaults": []}, {"defaults": ["base", "_self_", *choices]}):
        assert list_errors(name, content) == []


def test_global_file_accepts_the_settings_of_any_model() -> None:
    for name, settings in MODELS.items():
        keys = {field.name: "${x}" for field in dataclasses.fields(settings)}
        assert list_errors("config", {"model": keys}) == [], name
        assert list_errors("model", keys) == [], name


def test_search_space_accepts_keys_of_the_configuration() -> None:
    keys = ["model.C", "model.lexical.min_df", "threshold.value", "trainer", "evaluation.slices.short_text.max_words"]
    assert list_errors("sweep", {"sweep": {"space": {key: {"low": 1, "high": 2} for key in keys}}}) == []


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_accepts_interpolations_and_missing_values(name: str) -> None:
    properties = list(list_properties(SCHEMAS[name]))
    assert properties
    for path, described in properties:
        for value in ("${data.name}", "part_${oc.env:HOME,none}", "???"):
            # Elements of an alternative are checked alone: the keys of two models do not stand together.
            assert list_errors({**described, "definitions": SCHEMAS[name].get("definitions", {})}, value) == [], path


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_is_described(name: str) -> None:
    for path, described in list_properties(SCHEMAS[name]):
        assert described["description"], path


def test_key_has_help_range_and_default() -> None:
    devices = SCHEMAS["trainer"]["properties"]["devices"]
    assert (devices["minimum"], devices["maximum"], devices["default"]) == (1, 128, 1)
    assert devices["type"][0] == "integer"
    assert "null" in devices["type"]
    assert help_of(TrainerConfig)["devices"] in devices["description"]
    assert "at most 128" in devices["description"]
    assert SCHEMAS["data"]["properties"]["split"]["properties"]["val"]["exclusiveMinimum"] == 0
    assert SCHEMAS["model/cnn"]["properties"]["tokens"]["default"] == "word"
    assert SCHEMAS["model/cnn"]["properties"]["widths"]["default"] == [1, 2, 3]
    assert SCHEMAS["tracker"]["properties"]["entity"]["default"] is None
    assert "default" not in SCHEMAS["data"]["properties"]["name"], "??? is not a value to propose"


def test_enumeration_is_listed_by_name() -> None:
    listed = SCHEMAS["data"]["properties"]["slices"]["additionalProperties"]["properties"]["every"]["anyOf"][0]
    assert listed["enum"] == ["year", "quarter", "month", None]


Leaf = tuple[str, tuple[str, ...], type, "dataclasses.Field[Any]"]


def list_leaves(schema: str, kind: Any, prefix: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Yield the fields of a dataclass and of those inside it that are no dataclasses."""
    for declared in dataclasses.fields(kind):
        path = (*prefix, declared.name)
        nodes = [node for node in (declared.type, *get_args(declared.type)) if dataclasses.is_dataclass(node)]
        if declared.name == "model" or (nodes and get_origin(declared.type) is dict):
            continue
        for node in nodes:
            yield from list_leaves(schema, node, path)
        if not nodes:
            yield schema, path, kind, declared


ROOTS = {
    "config": Config,
    "data": DataConfig,
    "gate": GateConfig,
    "objective": ObjectiveConfig,
    "params": PipelineConfig,
    "tracker": TrackerConfig,
    "trainer": TrainerConfig,
    **{f"model/{name}": settings for name, settings in MODELS.items()},
}
LEAVES = [leaf for schema, kind in ROOTS.items() for leaf in list_leaves(schema, kind)]


def is_composed(declared: "dataclasses.Field[Any]", value: Any) -> bool:
    """Return whether composition accepts a value of a field: its type, then its range."""
    default = {
        name: getattr(declared, name)
        for name in ("default", "default_factory")
        if getattr(declared, name) is not dataclasses.MISSING
    }
    field: Any = dataclasses.field(**default, metadata=declared.metadata)
    alone = dataclasses.make_dataclass("Alone", [(declared.name, declared.type, field)])
    try:
        composed = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(alone), {declared.name: value}))
        check_fields(composed, "", Origin([]))
    except (OmegaConfBaseException, UserError):
        return False
    return True


def values_like(kind: Any) -> st.SearchStrategy[Any]:
    """Return values of a type, in all the ways in which one may write them."""
    origin = get_origin(kind) or kind
    if origin in (Union, UnionType):
        return st.one_of([values_like(alternative) for alternative in get_args(kind)])
    if origin is list:
        return st.lists(values_like(get_args(kind)[0]) if get_args(kind) else SCALARS, max_size=3)
    if origin is dict:
        return st.dictionaries(st.text(max_size=5), values_like(get_args(kind)[1]), max_size=3)
    if isinstance(origin, type) and issubclass(origin, enum.Enum):
        return st.sampled_from(
            [written for name in origin.__members__ for written in (name, f"{origin.__name__}.{name}")]
        )
    return SCALARS


NUMBERS = st.integers(-10, 200) | st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 1)
QUOTED = st.from_regex(r"\s?[+-]?[0-9_]{1,3}(\.[0-9_]{0,3})?([eE]-?[0-9]{1,2})?\s?", fullmatch=True)
WORDS = st.sampled_from(["yes", "No", "ON", "off", "y", "N", "True", "false", "inf", "-Infinity", "NaN", ".5", "null"])
SCALARS = st.none() | st.booleans() | NUMBERS | NUMBERS.map(str) | QUOTED | WORDS | st.text(max_size=8)


@given(st.data())
def test_schema_accepts_what_composition_accepts(data: st.DataObject) -> None:
    # Not generated: lists in lists, whose elements OmegaConf does not check.
    schema, path, _, declared = data.draw(st.sampled_from(LEAVES))
    value = data.draw(values_like(declared.type) | SCALARS | st.lists(SCALARS, max_size=2))
    if is_composed(declared, value):
        assert list_errors(schema, nest(path, value)) == []


def find_leaf(schema: str, *path: str) -> Leaf:
    [leaf] = [leaf for leaf in LEAVES if leaf[:2] == (schema, path)]
    return leaf


@pytest.mark.parametrize(
    ("schema", "path", "value"),
    [
        ("trainer", ("devices",), " 5 "),
        ("model/cnn", ("vocabulary_size",), "1_000"),
        ("model/cnn", ("dropout",), ".5"),
        ("model/cnn", ("dropout",), 0),
        ("objective", ("margin",), "5e-2"),
        ("trainer", ("progress_bar",), "off"),
        ("trainer", ("progress_bar",), 0),
        ("data", ("name",), 2024),
        ("data", ("name",), True),
        ("data", ("format",), "Format.csv"),
        ("params", ("repeats",), ["1", 2]),
        ("objective", ("budgets", "size_mb"), "1e3"),
    ],
)
def test_value_of_another_type_that_composes_is_valid(schema: str, path: tuple[str, ...], value: Any) -> None:
    assert is_composed(find_leaf(schema, *path)[3], value)
    assert list_errors(schema, nest(path, value)) == []


class Depth(enum.Enum):
    shallow = 1
    deep = 2


@dataclasses.dataclass
class OwnSettings(ModelConfig):
    """Settings with types that no packaged model has.

    Only the first line describes them.
    """

    depth: Depth = Depth.deep
    folder: Path = Path("own")
    shape: tuple[int, int] = (1, 2)
    either: int | bool = 1
    old: Optional[int] = bounded(None, low=1)  # noqa: UP045 (a project may write it so)
    limit: float = float("inf")
    table: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    free: Any = None


@example({"depth": 2})
@example({"depth": 3})
@example({"shape": [1, "2"], "either": True, "table": {"a": [1]}, "free": [{"b": None}]})
@example({"folder": "a/b", "old": None})
@given(st.dictionaries(st.sampled_from(["depth", "folder", "shape", "either", "old", "free"]), SCALARS))
def test_settings_of_a_project_accept_what_composition_accepts(content: dict[str, Any]) -> None:
    schema = build_schemas({"own": OwnSettings}, PipelineConfig)["model/own"]
    assert schema["description"] == "Settings with types that no packaged model has."
    fields = {field.name: field for field in dataclasses.fields(OwnSettings)}
    for key, value in content.items():
        if is_composed(fields[key], value):
            assert list_errors(schema, {key: value}) == []
    assert list_errors(schema, {"depth": 3, "old": 0, "table": {"a": 1}}) == ["depth", "old", "table.a"]


def test_default_that_json_lacks_is_left_out() -> None:
    schema = build_schemas({"own": OwnSettings}, PipelineConfig)["model/own"]
    json.dumps(schema, allow_nan=False)
    assert "default" not in schema["properties"]["limit"]
    assert schema["properties"]["depth"]["default"] == "deep"
    assert schema["properties"]["folder"]["default"] == "own"


# --- writing ----------------------------------------------------------------------------------------------------------


def test_second_call_writes_nothing(tmp_path: Path) -> None:
    paths = write_schemas(tmp_path / "new" / "schemas", MODELS, PipelineConfig)
    assert {path.relative_to(tmp_path / "new/schemas").with_suffix("").as_posix() for path in paths} == set(SCHEMAS)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in paths}
    assert write_schemas(tmp_path / "new" / "schemas", dict(reversed(MODELS.items())), PipelineConfig) == paths
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in paths} == before


def test_changed_schema_is_replaced(tmp_path: Path) -> None:
    [rule] = [path for path in write_schemas(tmp_path, MODELS, PipelineConfig) if path.stem == "rule"]
    content = rule.read_bytes()
    rule.write_text("{}", encoding="utf-8")
    write_schemas(tmp_path, MODELS, PipelineConfig)
    assert rule.read_bytes() == content


def test_broken_model_is_skipped_and_keeps_its_last_schema(tmp_path: Path) -> None:
    write_schemas(tmp_path, MODELS, PipelineConfig)
    paths = write_schemas(tmp_path, {**MODELS, "cnn": UserError("models/cnn.py, line 1")}, PipelineConfig)
    assert tmp_path / "model/cnn.json" not in paths
    assert (tmp_path / "model/cnn.json").is_file()
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert list_errors(config, {"model": {"stemming": True}}) == []
    assert list_errors(config, {"model": {"widths": [1]}}) == ["model"]


@pytest.mark.parametrize("wrong", ["schemas", "schemas/model", "schemas/data.json/inner"])
def test_file_in_the_place_of_a_directory_is_a_user_error(tmp_path: Path, wrong: str) -> None:
    (tmp_path / wrong).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / wrong).write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="schemas"):
        write_schemas(tmp_path / "schemas", MODELS, PipelineConfig)


# --- references -------------------------------------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text", "schema"),
    [
        ("model/mine.yaml", "defaults: [base_mine, _self_]\nname: mine\ncomplexity: 1\n", "../.schema/model/mine.json"),
        ("model/small.yaml", "defaults: [cnn, _self_]\nname: small\nmodule: cnn\n", "../.schema/model/cnn.json"),
        (
            "model/sub/small.yaml",
            "defaults: [/model/cnn, _self_]\nname: a\nmodule: cnn\n",
            "../../.schema/model/cnn.json",
        ),
        ("model/broken.yaml", "name: [\n", "../.schema/model.json"),
        ("model/new.yaml", None, "../.schema/model/new.json"),
        ("data/new.yaml", None, "../.schema/data.json"),
        ("experiment/new.yaml", None, "../.schema/config.json"),
        ("sweep/mine.yaml", "# @package _global_\n", "../.schema/sweep.json"),
        ("own/mine.yaml", "\n# @package _global_\n# Text.\n", "../.schema/config.json"),
        ("data/mine.yaml", "# @package _group_\nname: mine\n", "../.schema/data.json"),
        ("config.yaml", "seed: 1\n", ".schema/config.json"),
        ("../params.yaml", None, "conf/.schema/params.json"),
    ],
)
def test_reference_names_the_schema_of_the_group(tmp_path: Path, name: str, text: str | None, schema: str) -> None:
    path = tmp_path / "an ümlaut" / "conf" / name
    if text is not None:
        write(path, text)
    assert schema_reference(path, tmp_path / "an ümlaut" / "conf") == f"{REFERENCE}{schema}"


@pytest.mark.parametrize("name", ["own/mine.yaml", "data/mine.yaml", "../dvc.yaml"])
def test_file_without_a_schema_is_a_user_error(tmp_path: Path, name: str) -> None:
    write(tmp_path / "conf" / name, "# Text.\n# @package _global_\n" if "own" in name else "# @package evaluation\n")
    with pytest.raises(UserError, match=Path(name).name):
        schema_reference(tmp_path / "conf" / name, tmp_path / "conf")


def test_reference_stands_below_the_package(tmp_path: Path) -> None:
    path = tmp_path / "experiment" / "mine.yaml"
    reference = schema_reference(path, tmp_path)
    write(path, f"# @package _global_\n{reference}\nthreshold: {{method: fixed, value: 0.25}}\n")
    assert compose(["experiment=mine"], tmp_path).threshold.value == 0.25
    write(path, f"{reference}\n# @package _global_\nthreshold: {{method: fixed, value: 0.25}}\n")
    with pytest.raises(UserError, match="experiment"):  # Hydra puts the keys below `experiment`
        compose(["experiment=mine"], tmp_path)

import dataclasses
from enum import Enum
from typing import Any

import pytest

from ratchet.config import (
    Config,
    DataConfig,
    EvaluationConfig,
    ModelConfig,
    ThresholdConfig,
    TrainerConfig,
    bounded,
    data_schema,
    objective_schema,
    schema,
)
from ratchet.config import schema as schema_module
from ratchet.config.fields import unhashed
from ratchet.models import all_settings

DEFINED = [
    each
    for module in (schema_module, data_schema, objective_schema, schema, schema)
    for each in vars(module).values()
    if isinstance(each, type) and each.__module__ == module.__name__
]
SCHEMAS = [each for each in DEFINED if dataclasses.is_dataclass(each)]
ENUMS = [each for each in DEFINED if issubclass(each, Enum)]


def unhashed_fields(schema: type) -> set[str]:
    return {each.name for each in dataclasses.fields(schema) if not each.metadata.get("hashed", True)}


def test_what_does_not_count_for_a_candidates_identity() -> None:
    """A field that is added without thought must show up here: hashed wrongly, it would tear candidates apart."""
    assert unhashed_fields(Config) == {
        "evaluation",
        "evaluate",
        "tracker",
        "seed",
        "threads",
        "name",
        "parent",
        "hypothesis",
        "tags",
        "sweep_id",
        "runs_dir",
        "run_dir",
        "resume",
        "fresh",
        "promotions_dir",
        "sweep",
    }
    assert unhashed_fields(schema_module.SplitConfig) == {"seed"}
    assert unhashed_fields(data_schema.FileConfig) == {"path", "url"}
    assert unhashed_fields(DataConfig) == {"slices", "behaviour"}
    assert unhashed_fields(TrainerConfig) == {"accelerator", "devices", "progress_bar"}
    assert unhashed_fields(ModelConfig) == set()
    assert unhashed_fields(ThresholdConfig) == set()


@pytest.mark.parametrize("settings", all_settings().values(), ids=all_settings().keys())
def test_every_setting_of_a_model_counts_for_its_identity(settings: type[ModelConfig]) -> None:
    assert issubclass(settings, ModelConfig)
    assert unhashed_fields(settings) == set()


@pytest.mark.parametrize("schema", [*SCHEMAS, *all_settings().values()], ids=lambda schema: schema.__qualname__)
def test_limits_make_sense_and_every_default_lies_within_them(schema: type) -> None:
    assert schema.__doc__
    assert not schema.__doc__.startswith(f"{schema.__name__}("), "dataclass wrote the docstring"
    for field in dataclasses.fields(schema):
        low, high, above = (field.metadata.get(limit) for limit in ("low", "high", "above"))
        if high is not None:
            assert max(value for value in (low, above, high) if value is not None) == high, field.name
        if isinstance(field.default, (int, float)):
            assert low is None or field.default >= low, field.name
            assert above is None or field.default > above, field.name
            assert high is None or field.default <= high, field.name


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_an_enum_is_written_as_its_name(enum: type[Enum]) -> None:
    """Hydra reads members by name, messages and records show names: a value that differs would be a second spelling."""
    assert {member.name: member.value for member in enum} == {member.name: member.name for member in enum}


def test_bounded_and_unhashed_keep_what_they_are_told() -> None:
    @dataclasses.dataclass
    class Example:
        share: float = bounded(0.5, above=0, high=1)
        place: str = unhashed("here")
        places: list[str] = unhashed(default_factory=lambda: ["a"])  # noqa: RUF009

    fields: dict[str, dataclasses.Field[Any]] = {each.name: each for each in dataclasses.fields(Example)}
    assert Example() == Example(0.5, "here", ["a"])
    assert Example().places is not Example().places
    assert (fields["share"].metadata["above"], fields["share"].metadata["high"]) == (0, 1)
    assert "low" not in fields["share"].metadata or fields["share"].metadata["low"] is None
    assert fields["place"].metadata["hashed"] is False
    assert fields["places"].metadata["hashed"] is False


def test_the_parts_share_no_mutable_default() -> None:
    one, other = Config(model=ModelConfig()), Config(model=ModelConfig())
    one.tags.append("x")
    one.evaluation.k.append(10)
    one.data.filter.exclude.append("label")
    assert other.tags == []
    assert EvaluationConfig().k == other.evaluation.k == [1, 3, 5]
    assert other.data.filter.exclude == []

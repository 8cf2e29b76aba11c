import dataclasses
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from ratchet.cli.help import VERBS, find_options
from ratchet.config.data_schema import SplitMethod
from ratchet.config.fields import allowed_values, bounded, choices_of, help_of, range_in_words, type_in_words
from ratchet.config.objective_schema import GateConfig
from ratchet.config.schema import Config, ParameterConfig
from ratchet.models import all_settings
from ratchet.pipeline.plan import PipelineConfig


def walk_schemas(schema: Any) -> Iterator[type]:
    """Yield a dataclass and the dataclasses of its fields, including those in lists, mappings and optional values."""
    if dataclasses.is_dataclass(schema):
        assert isinstance(schema, type)
        yield schema
        for field in dataclasses.fields(schema):
            yield from walk_schemas(field.type)
    for argument in get_args(schema):
        yield from walk_schemas(argument)


def collect_schemas() -> list[type]:
    """Return every dataclass whose fields a user can set: configuration, objective, params.yaml, options of verbs."""
    options = [schema for verb in VERBS for schema in find_options(verb).values()]

    roots = [Config, GateConfig, PipelineConfig, *all_settings().values(), *options]
    return list(dict.fromkeys(schema for root in roots for schema in walk_schemas(root)))


def test_nested_schemas_are_collected() -> None:
    assert {Config, ParameterConfig, PipelineConfig} <= set(collect_schemas())
    assert sum(len(dataclasses.fields(schema)) for schema in collect_schemas()) > 200


@pytest.mark.parametrize("schema", collect_schemas(), ids=lambda schema: f"{schema.__module__}.{schema.__name__}")
def test_every_field_has_one_help_sentence(schema: type) -> None:
    helps = help_of(schema)
    for field in dataclasses.fields(schema):
        sentence = helps.get(field.name, "")
        assert re.fullmatch(r"[^\W\d_].*\.", sentence), f"{field.name}: {sentence!r}: a sentence with a full stop"
        assert not re.search(r"\. [A-Z]", sentence), f"{field.name}: {sentence!r}: one sentence"
        assert len(sentence) <= 110, field.name
        words = set(re.findall(r"\w+", sentence.lower())) - {"the", "a", "an", "of"}
        assert words > set(field.name.lower().split("_")) or not words <= set(field.name.lower().split("_")), field.name


@dataclasses.dataclass
class _Base:
    first: int = 1
    """First of the base."""
    second: int = 2
    """Second of
    the base."""


@dataclasses.dataclass
class _Derived(_Base):
    """Docstring of the class, which is not the help of a field."""

    second: int = 3
    """Second of the derived."""
    third: int = 4  # a comment is not help
    fourth: int = 5

    """Below a blank line, as Python has it."""


def test_help_is_read_from_field_docstrings_and_bases() -> None:
    assert help_of(_Base) == {"first": "First of the base.", "second": "Second of the base."}
    assert help_of(_Derived) == {
        "first": "First of the base.",
        "second": "Second of the derived.",
        "fourth": "Below a blank line, as Python has it.",
    }


def test_class_without_source_has_no_help() -> None:
    generated = dataclasses.make_dataclass("made", [("first", int, 1)])
    assert help_of(generated) == {}


def test_choices_are_listed_for_enums_and_booleans() -> None:
    assert choices_of(SplitMethod) == [member.name for member in SplitMethod]
    assert choices_of(bool | None) == ["false", "true", "null"]
    assert choices_of(int) == choices_of(str | None) == choices_of(list[int]) == []
    assert [type_in_words(kind) for kind in (int, list[int] | None)] == ["int", "list[int] | null"]


def test_range_is_described_as_declared() -> None:
    assert range_in_words({"low": 0, "high": None, "above": None}) == "at least 0"
    assert range_in_words(bounded(1, above=0, high=2).metadata) == "above 0 and at most 2"
    assert range_in_words({}) == ""
    assert allowed_values(float | None, {"above": 0}) == "float above 0 | null"
    assert allowed_values(dict[str, ParameterConfig], {}) == "dict[str, ParameterConfig]"
    assert allowed_values(bool, {}) == "false | true"

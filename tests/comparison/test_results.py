"""Tests for the JSON of `ratchet compare` and its schema."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from ratchet.comparison.results import SCHEMA_VERSION, Comparison
from ratchet.config import plain

ADAPTER = TypeAdapter(Comparison)


def build_schema() -> str:
    """Return the content of docs/compare.schema.json."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ADAPTER.json_schema()}
    return json.dumps(described, indent=1) + "\n"


def test_documented_schema_matches_code(project: Path) -> None:
    """Rewrite the file with: python tests/comparison/test_results.py > docs/compare.schema.json."""
    assert (project / "docs" / "compare.schema.json").read_text(encoding="utf-8") == build_schema()


def test_comparison_survives_json_round_trip() -> None:
    comparison = Comparison("sample", "test", "1a", "f1_weighted", "rule", 100, 10, [], [], ["left"], ["note"])
    assert ADAPTER.validate_json(json.dumps(plain(comparison)), strict=True) == comparison
    assert comparison.schema_version == SCHEMA_VERSION


def test_field_of_wrong_type_is_rejected() -> None:
    content = plain(Comparison("sample", "test", "1a", "f1_weighted", "rule", 100, 10, [], [], [], []))
    with pytest.raises(ValidationError, match="records"):
        ADAPTER.validate_python(content | {"records": "ten"})


if __name__ == "__main__":
    print(build_schema(), end="")

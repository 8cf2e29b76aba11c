"""Check the JSON of `ratchet compare` against its schema."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from ratchet.comparison.results import SCHEMA_VERSION, Comparison
from ratchet.config import plain

ADAPTER = TypeAdapter(Comparison)


def schema() -> str:
    """Return the content of docs/compare.schema.json."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ADAPTER.json_schema()}
    return json.dumps(described, indent=1) + "\n"


def test_the_schema_in_the_docs_is_that_of_the_code(project: Path) -> None:
    """Rewrite the file with: python tests/comparison/test_results.py > docs/compare.schema.json."""
    assert (project / "docs" / "compare.schema.json").read_text(encoding="utf-8") == schema()


def test_what_is_printed_is_read_back_as_it_was() -> None:
    found = Comparison("sample", "test", "1a", "f1_weighted", "rule", 100, 10, [], [], ["left"], ["note"])
    assert ADAPTER.validate_json(json.dumps(plain(found)), strict=True) == found
    assert found.schema_version == SCHEMA_VERSION


def test_a_field_of_another_type_is_no_such_comparison() -> None:
    content = plain(Comparison("sample", "test", "1a", "f1_weighted", "rule", 100, 10, [], [], [], []))
    with pytest.raises(ValidationError, match="records"):
        ADAPTER.validate_python(content | {"records": "ten"})


if __name__ == "__main__":
    print(schema(), end="")

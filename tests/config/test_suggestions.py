"""Tests for the key that a message suggests in place of one that does not exist."""

import pytest

from ratchet.config import compose
from ratchet.config.suggestions import find_field, is_mapping, suggest_key
from ratchet.errors import UserError


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trainer.max_epochs=3", "'model.max_epochs' (of cnn, transformer)"),
        ("model.max_epochs=3", "only cnn, transformer have 'max_epochs'"),
        ("max_epochs=3", "'model.max_epochs'"),
        ("epochs=3", "'model.max_epochs'"),
        ("trainer.lr=0.1", "'model.learning_rate'"),
        ("model.resamples=3", "'evaluation.resamples'"),
        ("random_state=3", "'seed'"),
        ("model.stemmin=true", "'stemming'"),
        ("trainer.nothing_like_it=1", "valid: accelerator"),
    ],
)
def test_unknown_key_names_the_node_that_has_it(override: str, expected: str) -> None:
    with pytest.raises(UserError, match=f"command line, {override}") as refused:
        compose([override])
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.slices={a: {kind: column, column: author}}", "entries of data.slices cannot be added"),
        ("+data.slices.a={kind: column, column: author}", "entries of data.slices cannot be added"),
        ("+evaluation.slices.a.kind=column", "entries of evaluation.slices cannot be added"),
        ("data.filter.where=null", "~data.filter.where.NAME"),
    ],
)
def test_what_a_mapping_does_not_take_is_explained(override: str, expected: str) -> None:
    with pytest.raises(UserError) as refused:
        compose([override])
    assert str(refused.value).startswith(f"command line, {override}: ")
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("key", "mapping"),
    [("data.filter.where", True), ("data.slices", True), ("runs_dir", False), ("data.labels.names", False)],
)
def test_declarations_are_found_by_complete_key(key: str, mapping: bool) -> None:
    declared = find_field(key)
    assert declared is not None
    assert declared.name == key.rpartition(".")[2]
    assert is_mapping(declared) is mapping
    assert find_field(f"{key}.inner") is None
    assert find_field(f"{key}x") is None


def test_near_name_of_the_same_node_wins() -> None:
    assert suggest_key("trainer.seed", ["seeds", "devices"]) == "did you mean 'seeds'?"


def test_usual_name_of_another_library_is_translated_in_its_own_node() -> None:
    assert suggest_key("model.lr", ["learning_rate", "layers"]) == "did you mean 'learning_rate'?"


def test_key_with_the_same_name_in_several_nodes_names_all() -> None:
    suggestion = suggest_key("objective.group", ["floor"])
    assert "'data.split.group'" in suggestion
    assert "'tracker.group'" in suggestion

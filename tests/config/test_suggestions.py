"""Tests for the key that a message suggests in place of one that does not exist."""

import pytest

from ratchet.config import compose
from ratchet.config.suggestions import suggest_key
from ratchet.errors import UserError


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trainer.max_epochs=3", "'model.max_epochs'"),
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


def test_near_name_of_the_same_node_wins() -> None:
    assert suggest_key("trainer.seed", ["seeds", "devices"]) == "did you mean 'seeds'?"


def test_usual_name_of_another_library_is_translated_in_its_own_node() -> None:
    assert suggest_key("model.lr", ["learning_rate", "layers"]) == "did you mean 'learning_rate'?"


def test_key_with_the_same_name_in_several_nodes_names_all() -> None:
    suggestion = suggest_key("objective.group", ["floor"])
    assert "'data.split.group'" in suggestion
    assert "'tracker.group'" in suggestion

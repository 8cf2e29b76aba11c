"""Tests for objectives: composed and checked like the configuration of a run, with a hash of their own."""

from pathlib import Path

import pytest
import yaml
from tests.commands import CONF

from ratchet.config import compose_objective, plain
from ratchet.errors import UserError

NAMES = sorted(path.stem for path in (CONF / "objective").glob("*.yaml"))


def test_default_and_strict_objectives_exist() -> None:
    assert {"default", "strict"} <= set(NAMES)
    assert compose_objective([]).name == "default"


@pytest.mark.parametrize("name", NAMES)
def test_objective_matches_its_file(name: str) -> None:
    objective = compose_objective([f"objective={name}"])
    assert objective.path == CONF / "objective" / f"{name}.yaml"
    written = yaml.safe_load(objective.path.read_text(encoding="utf-8"))
    composed = plain(objective.settings)
    del written["defaults"]
    assert set(written) == set(composed), "the file must list every key, so that users see all settings"
    for key, value in written.items():
        if isinstance(value, dict):
            assert composed[key] | value == composed[key]
        else:
            assert composed[key] == value


@pytest.mark.parametrize("name", NAMES)
def test_objective_file_starts_with_purpose_and_command(name: str) -> None:
    first, second, *_ = (CONF / "objective" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert second.startswith("# ratchet gate")
    assert name == "default" or f"objective={name}" in second


def test_strict_objective_is_stricter_than_default() -> None:
    default, strict = (compose_objective([f"objective={name}"]).settings for name in ("default", "strict"))
    assert strict.floor > default.floor
    assert strict.margin < default.margin
    assert strict.evidence.repeats > default.evidence.repeats
    for budget in ("latency_ms_p95", "size_mb", "fit_minutes"):
        assert getattr(strict.budgets, budget) < getattr(default.budgets, budget)


def test_hash_depends_only_on_the_criteria() -> None:
    default = compose_objective([])
    assert compose_objective(["objective=default"]).hash == default.hash
    assert compose_objective(["objective.margin=0.03"]).hash == default.hash, "the override equals the default"
    changed = compose_objective(["objective.margin=0.02"])
    assert changed.hash != default.hash
    assert changed.overrides == ("objective.margin=0.02",)
    assert compose_objective(["+objective.labels.audio=0.5"]).hash != default.hash
    assert len(default.hash) == 64


def test_budget_can_be_removed_by_an_override() -> None:
    assert compose_objective(["objective.budgets.size_mb=null"]).settings.budgets.size_mb is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("objective=strct", "conf/objective/strct.yaml"),
        ("objective.margn=0.1", "'margin'"),
        ("objective.margin=2", "objective.margin=2.0"),
        ("objective.margin=much", "objective.margin"),
        ("objective.metric=f1_wighted", "'f1_weighted'"),
        ("objective.labels.audio=0.5", "+objective.labels.audio="),
        ("+objective.labels.audio=1.5", "objective.labels.audio=1.5"),
        ("+objective.slices.short_text=-1", "objective.slices.short_text=-1.0"),
        ("objective.behaviour.minimal=0.5", "'minimum'"),
        ("objective.evidence.repeats=0", "at least 1"),
    ],
)
def test_wrong_objective_error_names_key_and_override(override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        compose_objective([override])
    assert message in str(caught.value)
    assert override.lstrip("+") in str(caught.value), "the error must name the override"


def test_objective_is_read_from_a_user_directory(tmp_path: Path) -> None:
    (tmp_path / "objective").mkdir()
    path = tmp_path / "objective" / "mine.yaml"
    path.write_text("defaults: [base_objective, _self_]\nfloor: 0.9\n", encoding="utf-8")
    objective = compose_objective(["objective=mine"], tmp_path)
    assert (objective.settings.floor, objective.path) == (0.9, path)
    path.write_text("defaults: [base_objective, _self_]\nfloor: 9\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"mine\.yaml"):
        compose_objective(["objective=mine"], tmp_path)


def test_objective_records_command_line_overrides() -> None:
    changes = ["+objective.slices.short_text=0.5", "objective.floor=0.1"]
    assert compose_objective(changes).overrides == tuple(changes)

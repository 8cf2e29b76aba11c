"""An objective is composed and checked like a run's configuration, and has an identity of its own."""

from pathlib import Path

import pytest
import yaml

from ratchet.config import compose_objective, plain
from ratchet.errors import UserError
from ratchet.project import CONF

NAMES = sorted(path.stem for path in (CONF / "objective").glob("*.yaml"))


def test_default_and_strict_are_there() -> None:
    assert {"default", "strict"} <= set(NAMES)
    assert compose_objective([]).name == "default"


@pytest.mark.parametrize("name", NAMES)
def test_an_objective_is_what_its_file_says(name: str) -> None:
    objective = compose_objective([f"objective={name}"])
    assert objective.path == CONF / "objective" / f"{name}.yaml"
    written = yaml.safe_load(objective.path.read_text(encoding="utf-8"))
    composed = plain(objective.settings)
    del written["defaults"]
    assert set(written) == set(composed), "every key is written down, so that people see what there is"
    for key, value in written.items():
        if isinstance(value, dict):
            assert composed[key] | value == composed[key]
        else:
            assert composed[key] == value


@pytest.mark.parametrize("name", NAMES)
def test_an_objective_opens_with_its_reason_and_its_command(name: str) -> None:
    first, second, *_ = (CONF / "objective" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert second.startswith("# ratchet gate")
    assert name == "default" or f"objective={name}" in second


def test_strict_is_stricter() -> None:
    default, strict = (compose_objective([f"objective={name}"]).settings for name in ("default", "strict"))
    assert strict.floor > default.floor
    assert strict.margin < default.margin
    assert strict.evidence.repeats > default.evidence.repeats
    for budget in ("latency_ms_p95", "size_mb", "fit_minutes"):
        assert getattr(strict.budgets, budget) < getattr(default.budgets, budget)


def test_the_hash_is_of_what_must_hold() -> None:
    plainly = compose_objective([])
    assert compose_objective(["objective=default"]).hash == plainly.hash
    assert compose_objective(["objective.margin=0.03"]).hash == plainly.hash, "set to what it was"
    changed = compose_objective(["objective.margin=0.02"])
    assert changed.hash != plainly.hash
    assert changed.overrides == ("objective.margin=0.02",)
    assert compose_objective(["+objective.labels.audio=0.5"]).hash != plainly.hash
    assert len(plainly.hash) == 64


def test_a_budget_can_be_taken_away() -> None:
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
def test_a_wrong_objective_is_told(override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        compose_objective([override])
    assert message in str(caught.value)
    assert override.lstrip("+") in str(caught.value), "where it stands"


def test_ones_own_objective_comes_from_ones_own_directory(tmp_path: Path) -> None:
    (tmp_path / "objective").mkdir()
    path = tmp_path / "objective" / "mine.yaml"
    path.write_text("defaults: [base_objective, _self_]\nfloor: 0.9\n", encoding="utf-8")
    objective = compose_objective(["objective=mine"], tmp_path)
    assert (objective.settings.floor, objective.path) == (0.9, path)
    path.write_text("defaults: [base_objective, _self_]\nfloor: 9\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"mine\.yaml"):
        compose_objective(["objective=mine"], tmp_path)


def test_what_was_added_or_taken_away_on_the_command_line_is_known() -> None:
    changes = ["+objective.slices.short_text=0.5", "objective.floor=0.1"]
    assert compose_objective(changes).overrides == tuple(changes)

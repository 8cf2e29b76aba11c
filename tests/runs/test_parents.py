"""Which run a new one iterates on: the one it names, else what is promoted, on the same split if there is one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.runs.parents import named_parent, promoted_parent
from ratchet.runs.promotions import Promotion, add_decision, promotions_file

Store = Callable[..., StoredRun]


def decide(directory: Path, runs: dict[str, str], action: str = "promote") -> None:
    content = {"at": "2026-01-01", "action": action, "data": "sample", "name": "rule", "model": "rule"}
    content |= {"config_hash": "1a", "why": "it passes", "gate": "ships"}
    add_decision(directory, Promotion.from_json({**content, "runs": runs, "forced": False}))


@pytest.mark.parametrize("named", ["whole", "beginning", "end", "directory", "last"])
def test_a_named_parent_becomes_a_whole_id(named: str, store: Store, tmp_path: Path) -> None:
    run = store()
    identifier = run.record.id
    names = {
        "whole": identifier,
        "beginning": identifier[:-1],
        "end": identifier[-6:],
        "directory": str(run.path),
        "last": "last",
    }
    assert named_parent(tmp_path / "runs", names[named]) == identifier


def test_no_name_and_none_stay_what_they_are(tmp_path: Path) -> None:
    assert named_parent(tmp_path / "nowhere", None) is None
    assert named_parent(tmp_path / "nowhere", "none") == "none"


@pytest.mark.parametrize("wanted", ["nobody", "last", ""])
def test_a_parent_that_is_not_there_is_told(wanted: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=wanted or "which run"):
        named_parent(tmp_path / "runs", wanted)


def test_a_name_of_several_runs_is_no_parent(store: Store, tmp_path: Path) -> None:
    store()
    store()
    with pytest.raises(UserError, match="'2' names 2 runs"):
        named_parent(tmp_path / "runs", "2")


def test_the_promoted_run_of_the_same_split_is_the_parent(tmp_path: Path) -> None:
    decide(tmp_path, {"one": "s0", "two": "s1", "three": "s1"})
    assert promoted_parent(tmp_path, "sample", "s0") == "one"
    assert promoted_parent(tmp_path, "sample", "s1") == "two"


def test_without_one_of_the_same_split_any_promoted_run_is(tmp_path: Path) -> None:
    decide(tmp_path, {"one": "s0", "two": "s1"})
    assert promoted_parent(tmp_path, "sample", "s2") == "one"


def test_nothing_promoted_is_no_parent(tmp_path: Path) -> None:
    assert promoted_parent(tmp_path, "sample", "s0") is None
    decide(tmp_path, {"one": "s0"})
    assert promoted_parent(tmp_path, "other", "s0") is None, "decisions on other data do not count"
    decide(tmp_path, {}, action="rollback")
    assert promoted_parent(tmp_path, "sample", "s0") is None


def test_after_a_rollback_what_was_promoted_before_is_the_parent(tmp_path: Path) -> None:
    decide(tmp_path, {"one": "s0"})
    decide(tmp_path, {"two": "s0"})
    assert promoted_parent(tmp_path, "sample", "s0") == "two"
    decide(tmp_path, {"one": "s0"}, action="rollback")
    assert promoted_parent(tmp_path, "sample", "s0") == "one"


def test_broken_promotions_are_told_not_passed_over(tmp_path: Path) -> None:
    promotions_file(tmp_path, "sample").write_text("no JSON\n")
    with pytest.raises(UserError, match="line 1: not a decision"):
        promoted_parent(tmp_path, "sample", "s0")

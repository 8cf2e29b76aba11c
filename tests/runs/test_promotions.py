"""Decisions are appended and never removed; what stands is worked out from them."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.runs.promotions import (
    Promotion,
    add_decision,
    describe_promotion,
    find_named_parent,
    find_promoted,
    find_promoted_parent,
    find_promoted_runs,
    find_standing_promotions,
    promotions_file,
    read_decisions,
)

FREE_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
Store = Callable[..., StoredRun]


def decision(name: str | None = "rule", **fields: Any) -> Promotion:
    """A promotion of `name`; with `action="rollback"` one back to it."""
    whole = Promotion(
        at="2026-01-01T00:00:00+00:00",
        action="promote",
        data="sample",
        name=name,
        model=name,
        config_hash=f"hash of {name}",
        runs={f"run of {name}": "split-0"},
        why="the only one that passes every clause",
        gate="ships",
        forced=False,
        objective={"name": "default", "settings": {"floor": 0.6}},
        evidence={"records": 354, "candidates": {"rule": 0.7}},
        commit="abc",
        commit_dirty=False,
    )
    return dataclasses.replace(whole, **fields)


def rollback(to: str | None = None) -> Promotion:
    return decision(to, action="rollback", objective={}, evidence={}, **({} if to else {"runs": {}}))


def names(decisions: Sequence[Promotion]) -> list[str | None]:
    return [each.name for each in decisions]


def test_decisions_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = [decision("rule"), decision("regression", forced=True, commit=None, commit_dirty=None), rollback("rule")]
    for each in written:
        assert add_decision(tmp_path / "promotions", each) == tmp_path / "promotions" / "sample.jsonl"
    assert read_decisions(tmp_path / "promotions", "sample") == written


def test_each_data_set_has_a_file_of_its_own(tmp_path: Path) -> None:
    add_decision(tmp_path, decision("rule"))
    add_decision(tmp_path, decision("regression", data="other"))
    assert names(read_decisions(tmp_path, "sample")) == ["rule"]
    assert names(read_decisions(tmp_path, "other")) == ["regression"]
    assert read_decisions(tmp_path, "third") == []
    assert find_promoted(tmp_path, "third") is None


@pytest.mark.parametrize("end", ["\n", ""], ids=["whole", "without its last newline"])
def test_a_new_decision_keeps_every_earlier_byte(end: str, tmp_path: Path) -> None:
    """Whoever mended the file by hand, or a newer version, wrote it otherwise than this one would."""
    lines = [json.dumps({**dataclasses.asdict(decision(why="größer")), "from_a_newer_version": 1}, indent=None)]
    lines.append(json.dumps(dataclasses.asdict(rollback()), separators=(",", ":"), ensure_ascii=True))
    before = ("\n".join(lines) + end).encode()
    path = promotions_file(tmp_path, "sample")
    path.write_bytes(before)
    add_decision(tmp_path, decision("regression"))
    after = path.read_bytes()
    assert after.startswith(before)
    assert after[len(before) :].strip().count(b"\n") == 0, "one line more"
    assert after.endswith(b"}\n")
    assert names(read_decisions(tmp_path, "sample")) == ["rule", None, "regression"]


@given(why=FREE_TEXT)
@example(why="a reason\nof two lines\r\nand a third")
@example(why="\x85\u2028\u2029")
@example(why='größer, 大, 🪤, \x00\x0b\x0c\x1c\x7f, \\n and "quotes"')
def test_whatever_the_reason_a_decision_is_one_line(tmp_path_factory: pytest.TempPathFactory, why: str) -> None:
    directory = tmp_path_factory.mktemp("promotions")
    written = decision(why=why)
    for _ in range(2):
        path = add_decision(directory, written)
    assert path.read_bytes().count(b"\n") == 2
    assert read_decisions(directory, "sample") == [written, written]
    assert [each.name for each in directory.iterdir()] == ["sample.jsonl"], "no temporary file stays"


def test_a_decision_that_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = add_decision(tmp_path, decision())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        add_decision(tmp_path, decision(evidence={"records": float("nan")}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("decisions", "stands"),
    [
        ([], []),
        ([decision("a")], ["a"]),
        ([decision("a"), decision("b")], ["a", "b"]),
        ([decision("a"), decision("b"), rollback("a")], ["a"]),
        ([decision("a"), rollback()], []),
        ([decision("a"), decision("b"), rollback("a"), rollback()], []),
        ([decision("a"), decision("b"), rollback("a"), decision("c"), rollback("a")], ["a"]),
        ([decision("a"), decision("a"), rollback("a")], ["a"]),
        ([rollback(), decision("a")], ["a"]),
    ],
    ids=lambda value: " ".join(str(each if isinstance(each, str) else f"{each.action}-{each.name}") for each in value),
)
def test_a_rollback_takes_the_last_promotion_off(decisions: list[Promotion], stands: list[str], tmp_path: Path) -> None:
    assert names(find_standing_promotions(decisions)) == stands
    for each in decisions:
        add_decision(tmp_path, each)
    found = find_promoted(tmp_path, "sample")
    assert (found.name if found else None) == (stands[-1] if stands else None)
    assert len(read_decisions(tmp_path, "sample")) == len(decisions), "the history stays"


def test_what_is_promoted_again_has_the_evidence_of_its_promotion(tmp_path: Path) -> None:
    first = decision("rule", evidence={"records": 354})
    for each in (first, decision("regression"), rollback("rule")):
        add_decision(tmp_path, each)
    assert find_promoted(tmp_path, "sample") == first


def test_runs_of_every_decision_are_kept_also_of_those_rolled_back(tmp_path: Path) -> None:
    assert find_promoted_runs(tmp_path / "nowhere") == set()
    add_decision(tmp_path, decision("rule", runs={"one": "s0", "two": "s1"}))
    add_decision(tmp_path, decision("regression", runs={"three": "s0"}))
    add_decision(tmp_path, rollback("rule"))
    add_decision(tmp_path, decision("cnn", data="other", runs={"four": "s0"}))
    assert find_promoted_runs(tmp_path) >= {"one", "two", "three", "four"}


@pytest.mark.parametrize(
    "line",
    ["<<<<<<< HEAD", "{", "", "[]", '"promote"', "1", "null", '{"at": "2026-01-01"}'],
    ids=["merge", "cut", "empty", "list", "text", "number", "null", "keys missing"],
)
def test_a_broken_line_is_told_by_file_and_number(line: str, tmp_path: Path) -> None:
    path = add_decision(tmp_path, decision())
    good = path.read_text(encoding="utf-8")
    path.write_text(f"{good}{good}{line}\n{good}", encoding="utf-8")
    for read in (lambda: read_decisions(tmp_path, "sample"), lambda: find_promoted_runs(tmp_path)):
        with pytest.raises(UserError) as caught:
            read()
        assert str(caught.value).startswith(f"{path}, line 3: ")
        assert "git" in str(caught.value)


def test_keys_of_a_newer_version_are_left_out(tmp_path: Path) -> None:
    content = {**dataclasses.asdict(decision()), "approved_by": "somebody", "schema_version": 2}
    promotions_file(tmp_path, "sample").write_text(json.dumps(content) + "\n", encoding="utf-8")
    assert read_decisions(tmp_path, "sample") == [decision(schema_version=2)]


def test_keys_that_came_later_have_their_defaults() -> None:
    content = dataclasses.asdict(decision())
    for key in ("objective", "evidence", "commit", "commit_dirty", "schema_version"):
        del content[key]
    assert Promotion.from_json(content) == decision(objective={}, evidence={}, commit=None, commit_dirty=None)


def test_what_is_said_of_a_forced_promotion_is_what_the_gate_said_and_why() -> None:
    assert describe_promotion(decision(gate="ships", why="the simplest")) == "gate: ships"
    forced = decision(gate="nothing ships", forced=True, why="the customer waits")
    assert describe_promotion(forced) == "gate: nothing ships; forced: the customer waits"


def test_lines_that_end_as_on_windows_are_read_and_kept(tmp_path: Path) -> None:
    path = add_decision(tmp_path, decision())
    before = path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(before)
    add_decision(tmp_path, decision("cnn"))
    assert path.read_bytes().startswith(before)
    assert [each.name for each in read_decisions(tmp_path, "sample")] == ["rule", "cnn"]


@pytest.mark.parametrize("content", [b"\xff\n", b'{"runs": null}\n'])
def test_a_file_that_is_none_is_told(content: bytes, tmp_path: Path) -> None:
    path = add_decision(tmp_path, decision())
    path.write_bytes(path.read_bytes() + content)
    with pytest.raises(UserError, match="line 2: "):
        read_decisions(tmp_path, "sample")


def test_an_objective_that_was_set_on_the_command_line_is_said() -> None:
    loose = decision(objective={"changed": "set on the command line: objective.floor=0.1"})
    assert describe_promotion(loose) == "gate: ships; objective set on the command line: objective.floor=0.1"


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
    assert find_named_parent(tmp_path / "runs", names[named]) == identifier


def test_no_name_and_none_stay_what_they_are(tmp_path: Path) -> None:
    assert find_named_parent(tmp_path / "nowhere", None) is None
    assert find_named_parent(tmp_path / "nowhere", "none") == "none"


@pytest.mark.parametrize("wanted", ["nobody", "last", ""])
def test_a_parent_that_is_not_there_is_told(wanted: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=wanted or "empty"):
        find_named_parent(tmp_path / "runs", wanted)


def test_a_name_of_several_runs_is_no_parent(store: Store, tmp_path: Path) -> None:
    store()
    store()
    with pytest.raises(UserError, match=r"'2'.*\b2 runs"):
        find_named_parent(tmp_path / "runs", "2")


def test_the_promoted_run_of_the_same_split_is_the_parent(tmp_path: Path) -> None:
    decide(tmp_path, {"one": "s0", "two": "s1", "three": "s1"})
    assert find_promoted_parent(tmp_path, "sample", "s0") == "one"
    assert find_promoted_parent(tmp_path, "sample", "s1") == "two"


def test_without_one_of_the_same_split_any_promoted_run_is(tmp_path: Path) -> None:
    decide(tmp_path, {"one": "s0", "two": "s1"})
    assert find_promoted_parent(tmp_path, "sample", "s2") == "one"


def test_nothing_promoted_is_no_parent(tmp_path: Path) -> None:
    assert find_promoted_parent(tmp_path, "sample", "s0") is None
    decide(tmp_path, {"one": "s0"})
    assert find_promoted_parent(tmp_path, "other", "s0") is None, "decisions on other data do not count"
    decide(tmp_path, {}, action="rollback")
    assert find_promoted_parent(tmp_path, "sample", "s0") is None


def test_after_a_rollback_what_was_promoted_before_is_the_parent(tmp_path: Path) -> None:
    decide(tmp_path, {"one": "s0"})
    decide(tmp_path, {"two": "s0"})
    assert find_promoted_parent(tmp_path, "sample", "s0") == "two"
    decide(tmp_path, {"one": "s0"}, action="rollback")
    assert find_promoted_parent(tmp_path, "sample", "s0") == "one"


def test_broken_promotions_are_told_not_passed_over(tmp_path: Path) -> None:
    promotions_file(tmp_path, "sample").write_text("no JSON\n")
    with pytest.raises(UserError, match="line 1: "):
        find_promoted_parent(tmp_path, "sample", "s0")

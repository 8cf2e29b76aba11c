"""Tests for promotion decisions, which are appended and never removed, and for the parents that follow from them."""

import dataclasses
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import ratchet
from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.runs.promotions import (
    Promotion,
    add_decision,
    check_unchanged,
    describe_promotion,
    find_named_parent,
    find_previous,
    find_promoted,
    find_promoted_parent,
    find_promoted_runs,
    find_standing_promotions,
    is_same_candidate,
    promotions_file,
    read_decisions,
)
from ratchet.schema_versions import PROMOTION_SCHEMA

FREE_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
Store = Callable[..., StoredRun]


def make_decision(name: str | None = "rule", **fields: Any) -> Promotion:
    """Return a promotion of `name`, or with `action="rollback"` a rollback to it."""
    default = Promotion(
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
    return dataclasses.replace(default, **fields)


def make_rollback(to: str | None = None) -> Promotion:
    return make_decision(to, action="rollback", objective={}, evidence={}, **({} if to else {"runs": {}}))


def get_names(decisions: Sequence[Promotion]) -> list[str | None]:
    return [decision.name for decision in decisions]


def test_decisions_round_trip(tmp_path: Path) -> None:
    written = [
        make_decision("rule"),
        make_decision("regression", forced=True, commit=None, commit_dirty=None),
        make_rollback("rule"),
    ]
    for decision in written:
        assert add_decision(tmp_path / "promotions", decision) == tmp_path / "promotions" / "sample.jsonl"
    assert read_decisions(tmp_path / "promotions", "sample") == written


def test_each_data_set_has_its_own_file(tmp_path: Path) -> None:
    add_decision(tmp_path, make_decision("rule"))
    add_decision(tmp_path, make_decision("regression", data="other"))
    assert get_names(read_decisions(tmp_path, "sample")) == ["rule"]
    assert get_names(read_decisions(tmp_path, "other")) == ["regression"]
    assert read_decisions(tmp_path, "third") == []
    assert find_promoted(tmp_path, "third") is None


@pytest.mark.parametrize("end", ["\n", ""], ids=["complete", "without its last newline"])
def test_new_decision_keeps_existing_bytes(end: str, tmp_path: Path) -> None:
    """A manual repair or a newer version may have formatted the file differently."""
    lines = [json.dumps({**dataclasses.asdict(make_decision(why="größer")), "from_a_newer_version": 1}, indent=None)]
    lines.append(json.dumps(dataclasses.asdict(make_rollback()), separators=(",", ":"), ensure_ascii=True))
    before = ("\n".join(lines) + end).encode()
    path = promotions_file(tmp_path, "sample")
    path.write_bytes(before)
    add_decision(tmp_path, make_decision("regression"))
    after = path.read_bytes()
    assert after.startswith(before)
    assert after[len(before) :].strip().count(b"\n") == 0, "one line is added"
    assert after.endswith(b"}\n")
    assert get_names(read_decisions(tmp_path, "sample")) == ["rule", None, "regression"]


@given(why=FREE_TEXT)
@example(why="a reason\nof two lines\r\nand a third")
@example(why="\x85\u2028\u2029")
@example(why='größer, 大, 🪤, \x00\x0b\x0c\x1c\x7f, \\n and "quotes"')
def test_decision_is_one_line_for_any_reason(tmp_path_factory: pytest.TempPathFactory, why: str) -> None:
    directory = tmp_path_factory.mktemp("promotions")
    written = make_decision(why=why)
    for _ in range(2):
        path = add_decision(directory, written)
    assert path.read_bytes().count(b"\n") == 2
    assert read_decisions(directory, "sample") == [written, written]
    assert [entry.name for entry in directory.iterdir()] == ["sample.jsonl"], "no temporary file is left"


def test_invalid_decision_leaves_file_unchanged(tmp_path: Path) -> None:
    path = add_decision(tmp_path, make_decision())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        add_decision(tmp_path, make_decision(evidence={"records": float("nan")}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([], []),
        ([make_decision("a")], ["a"]),
        ([make_decision("a"), make_decision("b")], ["a", "b"]),
        ([make_decision("a"), make_decision("b"), make_rollback("a")], ["a"]),
        ([make_decision("a"), make_rollback()], []),
        ([make_decision("a"), make_decision("b"), make_rollback("a"), make_rollback()], []),
        ([make_decision("a"), make_decision("b"), make_rollback("a"), make_decision("c"), make_rollback("a")], ["a"]),
        ([make_decision("a"), make_decision("a"), make_rollback("a")], ["a"]),
        ([make_rollback(), make_decision("a")], ["a"]),
    ],
    ids=lambda value: " ".join(str(item if isinstance(item, str) else f"{item.action}-{item.name}") for item in value),
)
def test_rollback_removes_last_promotion(decisions: list[Promotion], expected: list[str], tmp_path: Path) -> None:
    assert get_names(find_standing_promotions(decisions)) == expected
    for decision in decisions:
        add_decision(tmp_path, decision)
    promoted = find_promoted(tmp_path, "sample")
    assert (promoted.name if promoted else None) == (expected[-1] if expected else None)
    assert len(read_decisions(tmp_path, "sample")) == len(decisions), "the history is kept"


def test_rollback_restores_original_promotion(tmp_path: Path) -> None:
    first = make_decision("rule", evidence={"records": 354})
    for decision in (first, make_decision("regression"), make_rollback("rule")):
        add_decision(tmp_path, decision)
    assert find_promoted(tmp_path, "sample") == first


def test_promoted_runs_include_those_rolled_back(tmp_path: Path) -> None:
    assert find_promoted_runs(tmp_path / "nowhere") == set()
    add_decision(tmp_path, make_decision("rule", runs={"one": "s0", "two": "s1"}))
    add_decision(tmp_path, make_decision("regression", runs={"three": "s0"}))
    add_decision(tmp_path, make_rollback("rule"))
    add_decision(tmp_path, make_decision("cnn", data="other", runs={"four": "s0"}))
    assert find_promoted_runs(tmp_path) >= {"one", "two", "three", "four"}


@pytest.mark.parametrize(
    "line",
    ["<<<<<<< HEAD", "{", "", "[]", '"promote"', "1", "null", '{"at": "2026-01-01"}'],
    ids=["merge", "cut", "empty", "list", "text", "number", "null", "keys missing"],
)
def test_broken_line_error_names_file_and_line(line: str, tmp_path: Path) -> None:
    path = add_decision(tmp_path, make_decision())
    good = path.read_text(encoding="utf-8")
    path.write_text(f"{good}{good}{line}\n{good}", encoding="utf-8")
    for read in (lambda: read_decisions(tmp_path, "sample"), lambda: find_promoted_runs(tmp_path)):
        with pytest.raises(UserError) as error:
            read()
        assert str(error.value).startswith(f"{path}, line 3: ")
        assert "git" in str(error.value)


@pytest.mark.parametrize("data", ["../pwned", "a/b", "/etc/passwd", "..", "", "a\\b"])
def test_data_name_cannot_lead_elsewhere(data: str, tmp_path: Path) -> None:
    """It may come from the record of a foreign run."""
    for use in (
        lambda: add_decision(tmp_path / "promotions", make_decision(data=data)),
        lambda: read_decisions(tmp_path / "promotions", data),
    ):
        with pytest.raises(UserError, match="not the name of a data set"):
            use()
    assert list(tmp_path.iterdir()) == []


CUT_SHORT = """
import os, signal, sys
from pathlib import Path
from ratchet.runs.promotions import add_decision, read_decisions
write = os.write
def cut(descriptor, content):
    write(descriptor, content[:int(sys.argv[2])])
    os.kill(os.getpid(), signal.SIGKILL)
os.write = cut
add_decision(Path(sys.argv[1]), read_decisions(Path(sys.argv[1]), "sample")[0])
"""


@pytest.mark.parametrize("written", ["0", "1", "200"])
def test_killed_writer_leaves_a_readable_log(written: str, tmp_path: Path) -> None:
    path = add_decision(tmp_path, make_decision())
    before = path.read_bytes()
    killed = subprocess.run([sys.executable, "-c", CUT_SHORT, tmp_path, written], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(path.read_bytes()) == len(before) + int(written)
    assert get_names(read_decisions(tmp_path, "sample")) == ["rule"]
    add_decision(tmp_path, make_decision("cnn"))
    assert path.read_bytes().startswith(before)
    assert get_names(read_decisions(tmp_path, "sample")) == ["rule", "cnn"]


PROMOTING = """
import dataclasses, sys
from pathlib import Path
from ratchet.runs.promotions import add_decision, locked_promotions, read_decisions
directory = Path(sys.argv[1])
[decision, *_] = read_decisions(directory, "sample")
print(flush=True); input()  # all processes are ready before the first one writes
for number in range(5):
    with locked_promotions(directory):
        before = read_decisions(directory, "sample")
        add_decision(directory, dataclasses.replace(decision, name=f"{sys.argv[2]}-{number}"))
        assert len(read_decisions(directory, "sample")) == len(before) + 1
"""


def test_concurrent_processes_lose_no_decision_and_hold_the_lock(tmp_path: Path) -> None:
    add_decision(tmp_path, make_decision())
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTING, tmp_path, str(writer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for writer in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    expected = ["rule", *(f"{writer}-{number}" for writer in range(8) for number in range(5))]
    assert sorted(map(str, get_names(read_decisions(tmp_path, "sample")))) == sorted(expected)
    assert [path.name for path in tmp_path.iterdir()] == ["sample.jsonl"]


def test_changed_log_is_refused_with_what_was_recorded(tmp_path: Path) -> None:
    add_decision(tmp_path, make_decision())
    before = read_decisions(tmp_path, "sample")
    check_unchanged(tmp_path, "sample", before)
    add_decision(tmp_path, make_decision("cnn"))
    with pytest.raises(UserError, match=r"recorded meanwhile \(promote cnn at 2026-01-01T.*run it again"):
        check_unchanged(tmp_path, "sample", before)


# --- rolling back: to the last promotion of another candidate ---
STEPS = st.lists(st.one_of(st.none(), st.tuples(st.sampled_from("ABC"), st.integers(1, 2))), max_size=12)


def play(steps: Sequence[tuple[str, int] | None]) -> list[Promotion]:
    """Return the log after promotions of a candidate with a number of runs; None rolls back."""
    log: list[Promotion] = []
    for number, step in enumerate(steps):
        if step is not None:
            name, size = step
            log.append(make_decision(name, at=f"{number}", runs={f"{name}{run}": "s" for run in range(size)}))
        elif standing := find_standing_promotions(log):
            to = find_previous(standing)
            log.append(make_rollback(to.name if to else None))
            log[-1] = dataclasses.replace(log[-1], at=f"{number}", runs=to.runs if to else {})
    return log


@given(STEPS)
@example([("A", 1), ("B", 1), ("B", 1), None])
@example([("A", 1), ("B", 1), ("B", 2), ("A", 1), None, None, None])
def test_rollbacks_walk_back_through_the_candidates(steps: list[tuple[str, int] | None]) -> None:
    candidates: list[str] = []  # the model: what was in force, one entry for repeated promotions of one candidate
    for step in steps:
        if step is None:
            candidates = candidates[:-1]
        elif candidates[-1:] != [step[0]]:
            candidates.append(step[0])
    standing = find_standing_promotions(play(steps))
    assert [promotion.name for promotion in standing[-1:]] == candidates[-1:]
    before = find_previous(standing) if standing else None
    assert (before.name if before else None) == (candidates[-2] if len(candidates) > 1 else None)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"runs": {"more": "s0", "runs": "s1"}, "gate": "nothing ships", "commit": "def"}, True),
        ({"code": []}, True),
        ({"code": ["2b"]}, False),
        ({"config_hash": "other"}, False),
        ({"name": "other"}, False),
        ({"evidence": {"dataset_version": "v2"}}, False),
    ],
    ids=["equal", "more runs", "unknown code", "other code", "other configuration", "other name", "other data"],
)
def test_candidate_is_name_configuration_data_and_code(changes: dict[str, Any], same: bool) -> None:
    one = make_decision(code=["1a"], evidence={"dataset_version": "v1"})
    assert is_same_candidate(one, dataclasses.replace(one, **changes)) is same


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    content = {**dataclasses.asdict(make_decision()), "approved_by": "the team"}
    promotions_file(tmp_path, "sample").write_text(json.dumps(content) + "\n", encoding="utf-8")
    assert read_decisions(tmp_path, "sample") == [make_decision()]


def test_line_holds_the_versions_of_schema_and_ratchet(tmp_path: Path) -> None:
    content = json.loads(add_decision(tmp_path, make_decision()).read_text(encoding="utf-8"))
    assert (content["schema_version"], content["ratchet_version"]) == (PROMOTION_SCHEMA.version, ratchet.__version__)


def test_newer_line_is_refused_with_its_number(tmp_path: Path) -> None:
    path = add_decision(tmp_path, make_decision())
    content = json.loads(path.read_text(encoding="utf-8"))
    newer = {**content, "schema_version": PROMOTION_SCHEMA.version + 1, "ratchet_version": "0.9.0"}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(newer) + "\n")
    with pytest.raises(UserError) as error:
        read_decisions(tmp_path, "sample")
    assert str(error.value).startswith(f"{path}, line 2: ")
    assert "install ratchet-ml 0.9.0 or newer" in str(error.value)


def test_missing_newer_keys_get_defaults() -> None:
    content = dataclasses.asdict(make_decision())
    for key in ("objective", "evidence", "commit", "commit_dirty", "schema_version"):
        del content[key]
    assert Promotion.from_json(content) == make_decision(objective={}, evidence={}, commit=None, commit_dirty=None)


def test_description_of_forced_promotion_includes_gate_and_reason() -> None:
    assert describe_promotion(make_decision(gate="ships", why="the simplest")) == "gate: ships"
    forced = make_decision(gate="nothing ships", forced=True, why="the customer waits")
    assert describe_promotion(forced) == "gate: nothing ships; forced: the customer waits"


def test_windows_line_endings_are_read_and_kept(tmp_path: Path) -> None:
    path = add_decision(tmp_path, make_decision())
    before = path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(before)
    add_decision(tmp_path, make_decision("cnn"))
    assert path.read_bytes().startswith(before)
    assert [decision.name for decision in read_decisions(tmp_path, "sample")] == ["rule", "cnn"]


@pytest.mark.parametrize("content", [b"\xff\n", b'{"runs": null}\n'])
def test_invalid_content_error_names_line(content: bytes, tmp_path: Path) -> None:
    path = add_decision(tmp_path, make_decision())
    path.write_bytes(path.read_bytes() + content)
    with pytest.raises(UserError, match="line 2: "):
        read_decisions(tmp_path, "sample")


def test_description_includes_command_line_objective() -> None:
    promotion = make_decision(objective={"changed": "set on the command line: objective.floor=0.1"})
    assert describe_promotion(promotion) == "gate: ships; objective set on the command line: objective.floor=0.1"


def record_decision(directory: Path, runs: dict[str, str], action: str = "promote") -> None:
    content = {"at": "2026-01-01", "action": action, "data": "sample", "name": "rule", "model": "rule"}
    content |= {"config_hash": "1a", "why": "it passes", "gate": "ships"}
    add_decision(directory, Promotion.from_json({**content, "runs": runs, "forced": False}))


@pytest.mark.parametrize("named", ["whole", "beginning", "end", "directory", "last"])
def test_parent_name_becomes_complete_id(named: str, store: Store, tmp_path: Path) -> None:
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


def test_missing_name_and_none_are_returned_unchanged(tmp_path: Path) -> None:
    assert find_named_parent(tmp_path / "nowhere", None) is None
    assert find_named_parent(tmp_path / "nowhere", "none") == "none"


@pytest.mark.parametrize("name", ["unknown", "last", ""])
def test_unknown_parent_raises(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=name or "empty"):
        find_named_parent(tmp_path / "runs", name)


def test_ambiguous_parent_name_raises(store: Store, tmp_path: Path) -> None:
    store()
    store()
    with pytest.raises(UserError, match=r"'2'.*\b2 runs"):
        find_named_parent(tmp_path / "runs", "2")


def test_parent_is_promoted_run_of_same_split(tmp_path: Path) -> None:
    record_decision(tmp_path, {"one": "s0", "two": "s1", "three": "s1"})
    assert find_promoted_parent(tmp_path, "sample", "s0") == "one"
    assert find_promoted_parent(tmp_path, "sample", "s1") == "two"


def test_parent_may_be_promoted_run_of_another_split(tmp_path: Path) -> None:
    record_decision(tmp_path, {"one": "s0", "two": "s1"})
    assert find_promoted_parent(tmp_path, "sample", "s2") == "one"


def test_without_promotion_there_is_no_parent(tmp_path: Path) -> None:
    assert find_promoted_parent(tmp_path, "sample", "s0") is None
    record_decision(tmp_path, {"one": "s0"})
    assert find_promoted_parent(tmp_path, "other", "s0") is None, "decisions on other data are ignored"
    record_decision(tmp_path, {}, action="rollback")
    assert find_promoted_parent(tmp_path, "sample", "s0") is None


def test_rollback_restores_previous_parent(tmp_path: Path) -> None:
    record_decision(tmp_path, {"one": "s0"})
    record_decision(tmp_path, {"two": "s0"})
    assert find_promoted_parent(tmp_path, "sample", "s0") == "two"
    record_decision(tmp_path, {"one": "s0"}, action="rollback")
    assert find_promoted_parent(tmp_path, "sample", "s0") == "one"


def test_broken_promotions_file_raises(tmp_path: Path) -> None:
    promotions_file(tmp_path, "sample").write_text("no JSON\n")
    with pytest.raises(UserError, match="line 1: "):
        find_promoted_parent(tmp_path, "sample", "s0")

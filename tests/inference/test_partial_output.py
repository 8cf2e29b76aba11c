import json
import os
from pathlib import Path
from typing import Any

import pytest

from ratchet.errors import UserError
from ratchet.inference.partial_output import Parts, claim_parts, input_state, parts_directory, refuse_changed

STATE: dict[str, Any] = dict.fromkeys(("ratchet", "input", "model", "options", "survey"))


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """Two parts that are done."""
    found = Parts(tmp_path / "out.csv.parts")
    found.directory.mkdir()
    found.begin(STATE, [])
    found.add(0, b"a\n", {"rows": 1})
    found.add(1, b"b\n", {"rows": 2})
    return found


def test_what_was_done_is_found_again(parts: Parts) -> None:
    assert parts.done() == [{"rows": 1}, {"rows": 2}]
    parts.begin(STATE, parts.done())
    assert parts.done() == [{"rows": 1}, {"rows": 2}]


def test_a_part_counts_once_its_line_is_whole_and_only_then(parts: Parts) -> None:
    with (parts.directory / "done.jsonl").open("a") as file:
        file.write('{"rows"')
    (parts.directory / "part-000002").write_text("c")
    (parts.directory / ".part-000003.1.tmp").write_text("d")
    assert len(parts.done()) == 2
    parts.begin(STATE, parts.done())
    parts.add(2, b"c\n", {"rows": 3})
    assert parts.done() == [{"rows": 1}, {"rows": 2}, {"rows": 3}]
    assert not list(parts.directory.glob(".*"))


def test_a_part_that_is_gone_ends_what_is_done(parts: Parts) -> None:
    (parts.directory / "part-000000").unlink()
    assert parts.done() == []


def test_without_the_state_nothing_counts(parts: Parts) -> None:
    """A restart may be killed while it clears."""
    (parts.directory / "state.json").unlink()
    assert parts.done() == []


@pytest.mark.parametrize("content", ["{", '{"ratchet": "0"}'])
def test_a_state_that_cannot_be_used_is_told(content: str, parts: Parts) -> None:
    (parts.directory / "state.json").write_text(content)
    with pytest.raises(UserError, match=r"state\.json: .*restart=true"):
        parts.state()


def test_a_second_claim_is_refused_and_names_the_first(tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    with claim_parts(output) as parts:
        with pytest.raises(UserError, match=r"another process is writing it"), claim_parts(output):
            pass
        parts.begin(STATE, [])
        process = json.loads((parts.directory / "state.json").read_text())["process"]
        with pytest.raises(UserError, match=f"process {process['pid']} on {process['host']}"), claim_parts(output):
            pass
    with claim_parts(output) as again:
        assert again.state() is not None


def test_what_was_not_begun_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), claim_parts(tmp_path / "out.csv"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    parts_directory(tmp_path / "out.csv").write_text("a file")
    with pytest.raises(UserError, match=r"out\.csv\.parts: cannot be created"), claim_parts(tmp_path / "out.csv"):
        pass


BEFORE: dict[str, Any] = {
    "ratchet": "0.1.0",
    "input": {"sha256": "a" * 64},
    "model": {"name": "rule (1)", "digest": "b" * 64},
    "options": {"scores": "all", "prefix": ""},
}


def test_the_same_content_at_another_time_is_the_same_input(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("a")
    before = input_state(path)
    os.utime(path, (1, 1))
    assert input_state(path, before)["sha256"] == before["sha256"]
    path.write_text("b")
    assert input_state(path, before)["sha256"] != before["sha256"]


def test_what_is_as_it_was_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("a")
    assert input_state(path, {**input_state(path), "sha256": "believed"})["sha256"] == "believed"


def test_an_input_that_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            input_state(path)


@pytest.mark.parametrize(
    ("now", "part"),
    [
        ({"input": {"sha256": "c" * 64}}, "the input (sha256 aaaaaaaaaaaa, now cccccccccccc)"),
        ({"model": {"name": "rule (2)", "digest": "c" * 64}}, "the run, then rule (1) (digest bbbbbbbbbbbb"),
        ({"options": {"scores": "none", "prefix": ""}}, "scores=all, now none"),
        ({"ratchet": "0.2.0"}, "ratchet 0.1.0, now 0.2.0"),
    ],
)
def test_whatever_changed_is_named(now: dict[str, Any], part: str) -> None:
    refuse_changed(BEFORE, BEFORE, Path("out.parts"), 7)
    with pytest.raises(UserError) as raised:
        refuse_changed(BEFORE, {**BEFORE, **now}, Path("out.parts"), 7)
    assert f"out.parts: 7 rows were scored with something else: {part}" in str(raised.value)
    assert "restart=true" in str(raised.value)

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
    """Write two finished parts."""
    partial_output = Parts(tmp_path / "out.csv.parts")
    partial_output.directory.mkdir()
    partial_output.begin(STATE, [])
    partial_output.add(0, b"a\n", {"rows": 1})
    partial_output.add(1, b"b\n", {"rows": 2})
    return partial_output


def test_finished_parts_are_kept_on_resume(parts: Parts) -> None:
    assert parts.done() == [{"rows": 1}, {"rows": 2}]
    parts.begin(STATE, parts.done())
    assert parts.done() == [{"rows": 1}, {"rows": 2}]


def test_part_without_complete_line_is_ignored(parts: Parts) -> None:
    with (parts.directory / "done.jsonl").open("a") as file:
        file.write('{"rows"')
    (parts.directory / "part-000002").write_text("c")
    (parts.directory / ".part-000003.1.tmp").write_text("d")
    assert len(parts.done()) == 2
    parts.begin(STATE, parts.done())
    parts.add(2, b"c\n", {"rows": 3})
    assert parts.done() == [{"rows": 1}, {"rows": 2}, {"rows": 3}]
    assert not list(parts.directory.glob(".*"))


def test_missing_part_discards_following_parts(parts: Parts) -> None:
    (parts.directory / "part-000000").unlink()
    assert parts.done() == []


def test_missing_state_discards_all_parts(parts: Parts) -> None:
    """A restart may be killed while it deletes old parts."""
    (parts.directory / "state.json").unlink()
    assert parts.done() == []


@pytest.mark.parametrize("content", ["{", '{"ratchet": "0"}'])
def test_invalid_state_error_suggests_restart(content: str, parts: Parts) -> None:
    (parts.directory / "state.json").write_text(content)
    with pytest.raises(UserError, match=r"state\.json: .*restart=true"):
        parts.state()


def test_second_claim_error_names_first_process(tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    with claim_parts(output) as parts:
        with pytest.raises(UserError, match=r"another process is writing it"), claim_parts(output):
            pass
        parts.begin(STATE, [])
        process = json.loads((parts.directory / "state.json").read_text())["process"]
        with pytest.raises(UserError, match=f"process {process['pid']} on {process['host']}"), claim_parts(output):
            pass
    with claim_parts(output) as reclaimed:
        assert reclaimed.state() is not None


def test_error_before_begin_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), claim_parts(tmp_path / "out.csv"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_unwritable_location_is_reported(tmp_path: Path) -> None:
    parts_directory(tmp_path / "out.csv").write_text("a file")
    with pytest.raises(UserError, match=r"out\.csv\.parts: cannot be created"), claim_parts(tmp_path / "out.csv"):
        pass


BEFORE: dict[str, Any] = {
    "ratchet": "0.1.0",
    "input": {"sha256": "a" * 64},
    "model": {"name": "rule (1)", "digest": "b" * 64},
    "options": {"scores": "all", "prefix": ""},
}


def test_input_hash_depends_on_content_not_time(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("a")
    before = input_state(path, [path])
    os.utime(path, (1, 1))
    assert input_state(path, [path], before)["sha256"] == before["sha256"]
    path.write_text("b")
    assert input_state(path, [path], before)["sha256"] != before["sha256"]


def test_unchanged_input_is_not_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("a")
    assert input_state(path, [path], {**input_state(path, [path]), "sha256": "believed"})["sha256"] == "believed"


def test_unreadable_input_is_reported(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            input_state(path, [path])


@pytest.mark.parametrize(
    ("now", "part"),
    [
        ({"input": {"sha256": "c" * 64}}, "the input (sha256 aaaaaaaaaaaa, now cccccccccccc)"),
        ({"model": {"name": "rule (2)", "digest": "c" * 64}}, "the run, then rule (1) (digest bbbbbbbbbbbb"),
        ({"options": {"scores": "none", "prefix": ""}}, "scores=all, now none"),
        ({"ratchet": "0.2.0"}, "ratchet 0.1.0, now 0.2.0"),
    ],
)
def test_error_names_what_changed(now: dict[str, Any], part: str) -> None:
    refuse_changed(BEFORE, BEFORE, Path("out.parts"), 7)
    with pytest.raises(UserError) as error:
        refuse_changed(BEFORE, {**BEFORE, **now}, Path("out.parts"), 7)
    assert f"out.parts: 7 rows were scored with something else: {part}" in str(error.value)
    assert "restart=true" in str(error.value)

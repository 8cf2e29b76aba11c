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


def test_parts_without_done_lines_do_not_count(parts: Parts) -> None:
    """A restart may be killed while it deletes old parts."""
    (parts.directory / "done.jsonl").unlink()
    assert parts.done() == []
    with claim_parts(parts.directory.with_suffix("")) as claimed:
        claimed.clear()
    assert not parts.directory.exists()


def test_state_of_another_version_suggests_restart(parts: Parts) -> None:
    (parts.directory / "state.json").write_text('{"ratchet": "0", "input": {}, "model": {}}')
    with pytest.raises(UserError, match=r"state\.json: .*restart=true"):
        parts.state()


@pytest.mark.parametrize(
    "files",
    [
        {"thesis.docx": "my only copy"},
        {"part-000000": "my only copy", "done.jsonl": "{}"},
        {"state.json": '{"by": "another program"}', "lock": ""},
        {"state.json": "not JSON"},
        {"lock": "of a door"},
        {"chapter/state.json": "{}"},
    ],
    ids=lambda files: " ".join(files),
)
def test_foreign_directory_is_refused_and_kept(files: dict[str, str], tmp_path: Path) -> None:
    directory = parts_directory(tmp_path / "out.csv")
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)
    with (
        pytest.raises(UserError, match=r"out\.csv\.parts has files that are not of `predict`"),
        claim_parts(tmp_path / "out.csv"),
    ):
        pass
    kept = {path.relative_to(directory).as_posix(): path.read_text() for path in directory.rglob("*") if path.is_file()}
    assert kept == files


def test_linked_directory_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "out.csv.parts").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="is a link"), claim_parts(tmp_path / "out.csv"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out.csv.parts"]
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("name", ["notes.txt", "part-1", ".notes.7.tmp", "part-000002/notes.txt"])
def test_added_file_survives_a_restart_and_the_end(name: str, parts: Parts) -> None:
    (parts.directory / name).parent.mkdir(exist_ok=True)
    (parts.directory / name).write_text("mine")
    with claim_parts(parts.directory.with_suffix("")) as claimed:
        claimed.clear()
        claimed.begin(STATE, [])
        claimed.clear()
    files = [path for path in parts.directory.rglob("*") if path.is_file()]
    assert [path.relative_to(parts.directory).as_posix() for path in files] == [name]


def test_early_killed_process_does_not_block_the_next(tmp_path: Path) -> None:
    directory = parts_directory(tmp_path / "out.csv")
    directory.mkdir()
    for name in ("lock", ".state.json.12.tmp"):
        (directory / name).touch()
    with claim_parts(tmp_path / "out.csv"):
        pass
    assert not directory.exists()


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
    with pytest.raises(UserError, match=r"out\.csv\.parts is a file"), claim_parts(tmp_path / "out.csv"):
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

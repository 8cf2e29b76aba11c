"""A file is the old one or the new one, never something in between."""

import errno
import json
import os
import threading
from pathlib import Path

import pytest

from ratchet.files import append_line, replacing, replacing_directory, write_json, write_text


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_the_old_file_stands_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path  # a rename within one file system
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["record.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_whole_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "record.json"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ha")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["record.json"]


def test_an_exception_before_the_first_byte_leaves_nothing(tmp_path: Path) -> None:
    def write_nothing() -> None:
        with replacing(tmp_path / "record.json"):
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        write_nothing()
    assert names(tmp_path) == []


def test_what_json_cannot_hold_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"f1": 0.5})
    for content in ({"f1": float("nan")}, {"f1": float("inf")}, {"f1": object()}):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, content)
    assert json.loads(path.read_text()) == {"f1": 0.5}
    assert names(tmp_path) == ["metrics.json"]


def test_json_keeps_the_order_of_keys_and_readable_letters(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    write_json(path, {"b": "größe", "a": [1, None]})
    text = path.read_text(encoding="utf-8")
    assert "größe" in text
    assert text.index('"b"') < text.index('"a"')
    assert text.endswith("}\n")
    assert json.loads(text) == {"b": "größe", "a": [1, None]}


def test_line_endings_are_the_same_on_every_system(tmp_path: Path) -> None:
    write_text(tmp_path / "history.csv", "a\nb\n")
    assert (tmp_path / "history.csv").read_bytes() == b"a\nb\n"


@pytest.mark.parametrize("text", ["\udcff", "\ud800 alone"])
def test_text_that_is_no_unicode_can_be_written_and_read_back(tmp_path: Path, text: str) -> None:
    """Such halves of characters come from JSON escapes, and from arguments and paths that are no UTF-8."""
    path = tmp_path / "record.json"
    write_json(path, {"hypothesis": text})
    assert json.loads(path.read_text(encoding="utf-8")) == {"hypothesis": text}


@pytest.mark.parametrize("error", [None, OSError, KeyboardInterrupt])
def test_a_directory_is_the_old_one_or_the_new_one(tmp_path: Path, error: type[BaseException] | None) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").touch()

    def write() -> None:
        with replacing_directory(path) as temporary:
            (temporary / "new").touch()
            if error:
                raise error

    if error:
        with pytest.raises(error):
            write()
    else:
        write()
    assert names(tmp_path) == ["model"]
    assert names(path) == (["old"] if error else ["new"])


def test_a_directory_is_kept_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "weights").write_text("old")
    rename = Path.rename

    def refuse_the_new_one(self: Path, target: Path) -> Path:
        if self.name.endswith(".tmp"):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse_the_new_one)
        with pytest.raises(PermissionError), replacing_directory(path) as temporary:
            (temporary / "weights").write_text("new")
    assert (path / "weights").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_lines_are_appended_and_the_directory_is_made(tmp_path: Path) -> None:
    path = tmp_path / "log" / "events.jsonl"
    append_line(path, "first")
    append_line(path, "zwei \ud800")  # half a surrogate pair is written as its escape
    assert path.read_bytes() == b"first\nzwei \\ud800\n"


def test_a_line_that_was_cut_short_is_closed_first(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"half')
    append_line(path, "next")
    assert path.read_text() == '{"half\nnext\n'


def test_lines_of_many_writers_are_neither_lost_nor_mixed(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = [f"{writer}-{number}" for writer in range(8) for number in range(50)]

    def write(writer: int) -> None:
        for number in range(50):
            append_line(path, f"{writer}-{number}")

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_text().splitlines()) == sorted(lines)


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    append_line(path, "first")
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            append_line(path, "second")
    assert path.read_text() == "first\n"

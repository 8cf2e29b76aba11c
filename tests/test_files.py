"""Tests for atomic writes: a file is the old one or the new one, never a mix."""

import errno
import json
import os
import threading
import time
from pathlib import Path

import pytest

from ratchet.files import (
    append_line,
    locked_directory,
    read_lines,
    replacing,
    replacing_directory,
    write_json,
    write_text,
)


def list_names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_old_file_remains_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path  # so that the rename stays within one file system
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list_names(tmp_path) == ["record.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_exception_keeps_the_old_file_and_no_temporary_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "record.json"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ha")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list_names(tmp_path) == ["record.json"]


def test_exception_before_the_first_byte_leaves_no_file(tmp_path: Path) -> None:
    def write_nothing() -> None:
        with replacing(tmp_path / "record.json"):
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        write_nothing()
    assert list_names(tmp_path) == []


def test_invalid_json_values_are_refused_and_old_file_remains(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"f1": 0.5})
    for content in ({"f1": float("nan")}, {"f1": float("inf")}, {"f1": object()}):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, content)
    assert json.loads(path.read_text()) == {"f1": 0.5}
    assert list_names(tmp_path) == ["metrics.json"]


def test_json_keeps_key_order_and_non_ascii_letters(tmp_path: Path) -> None:
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
def test_lone_surrogates_can_be_written_and_read_back(tmp_path: Path, text: str) -> None:
    """Lone surrogates come from JSON escapes, and from arguments and paths that are not UTF-8."""
    path = tmp_path / "record.json"
    write_json(path, {"hypothesis": text})
    assert json.loads(path.read_text(encoding="utf-8")) == {"hypothesis": text}


@pytest.mark.parametrize("error", [None, OSError, KeyboardInterrupt])
def test_directory_is_replaced_completely_or_not_at_all(tmp_path: Path, error: type[BaseException] | None) -> None:
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
    assert list_names(tmp_path) == ["model"]
    assert list_names(path) == (["old"] if error else ["new"])


def test_old_directory_is_kept_when_replacing_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "weights").write_text("old")
    rename = Path.rename

    def refuse_temporary(self: Path, target: Path) -> Path:
        if self.name.endswith(".tmp"):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse_temporary)
        with pytest.raises(PermissionError), replacing_directory(path) as temporary:
            (temporary / "weights").write_text("new")
    assert (path / "weights").read_text() == "old"
    assert list_names(tmp_path) == ["model"]


def test_append_line_creates_the_directory(tmp_path: Path) -> None:
    path = tmp_path / "log" / "events.jsonl"
    append_line(path, "first")
    append_line(path, "zwei \ud800")  # a lone surrogate is written as its escape
    assert path.read_bytes() == b"first\nzwei \\ud800\n"


@pytest.mark.parametrize("before", ["", "{}\n"], ids=["only line", "last line"])
@pytest.mark.parametrize("cut", [b"{", b'{"half', '{"a": "ö'.encode()[:-1], b"{" + b" " * 200_000], ids=len)
def test_last_line_that_was_cut_short_is_ignored_and_then_removed(before: str, cut: bytes, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(before.encode() + cut)
    assert read_lines(path) == before.encode().splitlines()
    append_line(path, '{"next": 1}')
    assert path.read_text() == before + '{"next": 1}\n'
    assert read_lines(path) == [*before.encode().splitlines(), b'{"next": 1}']


def test_complete_last_line_without_its_end_is_kept(tmp_path: Path) -> None:
    """An editor may leave out the last newline."""
    path = tmp_path / "events.jsonl"
    path.write_text('{"long": "' + "x" * 200_000 + '"}')
    assert len(read_lines(path)) == 1
    append_line(path, "{}")
    assert [len(line) for line in read_lines(path)] == [200_012, 2]


def test_locked_directory_waits_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "new"
    inside: list[int] = []

    def enter(number: int) -> None:
        with locked_directory(path):
            inside.append(number)
            time.sleep(0.01)
            inside.append(number)

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside[::2] == inside[1::2], "one thread at a time"
    assert set(inside) == {0, 1, 2, 3}
    assert list(path.iterdir()) == []


def test_concurrent_writers_lose_and_mix_no_lines(tmp_path: Path) -> None:
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


def test_full_disk_leaves_the_log_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    append_line(path, "first")
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            append_line(path, "second")
    assert path.read_text() == "first\n"

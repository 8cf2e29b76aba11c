from pathlib import Path

import pytest

from ratchet.data.formats.folders import open_folders
from ratchet.data.formats.rows import Row
from ratchet.data.problems import Problem
from ratchet.errors import UserError


def write(directory: Path, **files: bytes | str) -> Path:
    for name, content in files.items():
        path = directory / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def test_each_file_is_a_row_with_its_path_text_and_class(tmp_path: Path) -> None:
    write(tmp_path, ui__2="two\nlines", bug__a="\ufeffcrash", bug__10="café")
    rows = open_folders(tmp_path, "docs", "utf-8")
    assert rows.columns == ["id", "text", "label"]
    assert [row.values for row in rows if isinstance(row, Row)] == [
        {"id": "bug/10", "text": "café", "label": "bug"},
        {"id": "bug/a", "text": "crash", "label": "bug"},
        {"id": "ui/2", "text": "two\nlines", "label": "ui"},
    ]
    assert list(rows) == list(rows)


def test_hidden_files_and_directories_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "bug").mkdir()
    (tmp_path / "bug" / ".DS_Store").write_bytes(b"\xff")
    (tmp_path / "bug" / "Thumbs.db").write_bytes(b"\xff")
    write(tmp_path / ".git", config="x")
    write(tmp_path, bug__a="crash")
    assert [row.values["id"] for row in open_folders(tmp_path, "docs", "utf-8") if isinstance(row, Row)] == ["bug/a"]


def test_link_to_the_directory_of_a_class_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", a="slow")
    write(tmp_path / "docs", bug__a="crash")
    (tmp_path / "docs" / "ui").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"docs/ui: links"):
        open_folders(tmp_path / "docs", "docs", "utf-8")


def test_directories_in_a_class_are_levels_of_the_label(tmp_path: Path) -> None:
    [row] = open_folders(write(tmp_path, rec__autos__1="brakes"), "docs", "utf-8")
    assert isinstance(row, Row)
    assert row.values["label"] == "rec/autos"


def test_prefix_keeps_ids_of_two_directories_apart(tmp_path: Path) -> None:
    write(tmp_path, pos__1="good")
    [row] = open_folders(tmp_path, "docs", "utf-8", id_prefix="test/")
    assert isinstance(row, Row)
    assert row.values["id"] == "test/pos/1"


def test_file_in_another_encoding_is_a_problem_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, bug__a=b"first\ncaf\xe9", bug__b="b")
    bad, good = open_folders(tmp_path, "docs", "utf-8")
    assert isinstance(bad, Problem)
    assert (Path(bad.place), bad.outcome) == (tmp_path / "bug/a", "stops")
    assert "line 2: byte 0xe9" in bad.message
    assert isinstance(good, Row)
    texts = [row.values["text"] for row in open_folders(tmp_path, "docs", "latin-1") if isinstance(row, Row)]
    assert texts == ["first\ncafé", "b"]


def test_file_without_a_class_is_a_problem(tmp_path: Path) -> None:
    problem, row = open_folders(write(tmp_path, README="about", bug__a="crash"), "docs", "utf-8")
    assert isinstance(problem, Problem)
    assert Path(problem.place).name == "README"
    assert isinstance(row, Row)


def test_labels_of_another_file_need_no_directories(tmp_path: Path) -> None:
    write(tmp_path, a="crash", b="slow")
    with pytest.raises(UserError, match=r"2 files, but no directory.*data\.labels\.file"):
        open_folders(tmp_path, "docs", "utf-8")
    rows = open_folders(tmp_path, "docs", "utf-8", has_labels=False)
    assert [row.values for row in rows if isinstance(row, Row)] == [
        {"id": "a", "text": "crash"},
        {"id": "b", "text": "slow"},
    ]


def test_directory_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bug").mkdir()
    with pytest.raises(UserError, match="holds no files"):
        open_folders(tmp_path, "docs", "utf-8")


@pytest.mark.parametrize("encoding", ["utf-9", "hex"])
def test_unknown_encoding_is_refused(encoding: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"data\.encoding='{encoding}'"):
        open_folders(write(tmp_path, bug__a="x"), "docs", encoding)

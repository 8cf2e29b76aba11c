from pathlib import Path

import pytest
from tests.data.formats.reading_files import Read, make_reader

from ratchet.config import Format
from ratchet.errors import UserError


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes a file and reads it."""
    return make_reader(tmp_path)


@pytest.mark.parametrize(
    ("line", "labels", "text"),
    [
        ("__label__bug the text", ["bug"], "the text"),
        ("__label__bug __label__log-in the text", ["bug", "log-in"], "the text"),
        ("__label__bug\tthe  text\r", ["bug"], "the  text"),
        ("the text __label__bug", ["bug"], "the text"),
        ("the text", [], "the text"),
        ("__label__bug", ["bug"], ""),
        ("__label__bug my__label__x stays", ["bug"], "my__label__x stays"),
    ],
)
def test_labels_are_separated_from_the_text(line: str, labels: list[str], text: str, read: Read) -> None:
    table = read("file.ft", f"\n{line}\n")
    assert table.names == ["labels", "text"]
    assert table.values == [{"labels": labels, "text": text}]
    assert table.locations == ["file.ft, line 2"]


def test_suffixes_and_the_format_select_fasttext(read: Read) -> None:
    for name in ("a.ft", "a.FASTTEXT"):
        assert read(name, "__label__x one").values == [{"labels": ["x"], "text": "one"}]
    assert read("a.txt", "__label__x one", format=Format.fasttext).values[0]["labels"] == ["x"]


def test_empty_file_is_reported(read: Read) -> None:
    with pytest.raises(UserError, match=r"a\.ft: the file is empty"):
        read("a.ft", "")

import gzip
from pathlib import Path

import pytest

from ratchet.data.texts import TextColumns
from ratchet.errors import UserError
from ratchet.inference.readers import delimited_reader, json_lines_reader, open_lines

TITLE = TextColumns(("title",))


def test_invalid_byte_is_reported_with_its_line(tmp_path: Path) -> None:
    """Decoders read ahead, so the line must not be that of the buffer's end."""
    lines = [b"good\n"] * 50_000
    lines[40_000] = b"b\xe4d\n"
    for name, data in (("a.csv", b"".join(lines)), ("a.csv.gz", gzip.compress(b"".join(lines)))):
        (tmp_path / name).write_bytes(data)
        with (
            pytest.raises(UserError, match=f"{name}, line 40001: byte 0xe4 is not UTF-8"),
            open_lines(tmp_path / name, "") as file,
        ):
            list(file)


@pytest.mark.parametrize(
    "data", [b"no gzip", gzip.compress(b"text\n" * 1000, mtime=0)[:-20]], ids=["another file", "cut"]
)
def test_broken_gzip_file_is_reported(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    with (
        pytest.raises(UserError, match=r"a\.jsonl\.gz: cannot be read"),
        open_lines(tmp_path / "a.jsonl.gz", "\n") as file,
    ):
        list(file)


def test_scan_counts_rows_and_collects_column_types(tmp_path: Path) -> None:
    progress: list[int] = []
    path = tmp_path / "a.jsonl"
    path.write_text('{"title": "a", "n": 1}\n' * 2000 + '{"title": null, "more": [1]}\n')
    scan = json_lines_reader(path).scan(TITLE, progress.append)
    assert scan.rows == 2001
    assert scan.columns == {"title": ["NoneType", "str"], "n": ["int"], "more": ["[int]"]}
    assert progress == [1024]


def test_missing_column_error_suggests_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("titel,text\n" + "a\n")
    with pytest.raises(UserError, match=r"no column 'title'.*did you mean 'titel'\? The file has: titel, text"):
        delimited_reader(tmp_path / "a.csv", ",").scan(TITLE, lambda rows: None)

import gzip
from pathlib import Path

import pytest

from ratchet.data.texts import TextColumns
from ratchet.errors import UserError
from ratchet.inference.readers import delimited_reader, json_lines_reader, open_lines

TITLE = TextColumns(("title",))


def test_a_bad_byte_is_told_with_its_line_wherever_it_is(tmp_path: Path) -> None:
    """Decoders run ahead of what is read."""
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
def test_a_broken_gzip_file_is_told(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    with (
        pytest.raises(UserError, match=r"a\.jsonl\.gz: cannot be read"),
        open_lines(tmp_path / "a.jsonl.gz", "\n") as file,
    ):
        list(file)


def test_a_survey_counts_rows_and_gathers_columns(tmp_path: Path) -> None:
    seen: list[int] = []
    path = tmp_path / "a.jsonl"
    path.write_text('{"title": "a", "n": 1}\n' * 2000 + '{"title": null, "more": [1]}\n')
    survey = json_lines_reader(path).scan(TITLE, seen.append)
    assert survey.rows == 2001
    assert survey.columns == {"title": ["NoneType", "str"], "n": ["int"], "more": ["[int]"]}
    assert seen == [1024]


def test_a_missing_column_is_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("titel,text\n" + "a\n")
    with pytest.raises(UserError, match=r"no column 'title'.*did you mean 'titel'\? The file has: titel, text"):
        delimited_reader(tmp_path / "a.csv", ",").scan(TITLE, lambda rows: None)

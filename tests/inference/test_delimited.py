import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.naming import predict, read_text

from ratchet.errors import UserError
from ratchet.inference.readers import delimited_reader

CELLS = st.text(st.characters(codec="utf-8") | st.sampled_from('",;\n\r\t'), max_size=12)


def parsed(text: str, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))


@settings(max_examples=40, deadline=None)
@given(cells=st.lists(st.tuples(CELLS, CELLS), max_size=6), suffix=st.sampled_from(["csv", "tsv"]))
def test_every_value_comes_back_as_it_was(
    cells: list[tuple[str, str]], suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("any")
    path = directory / f"texts.{suffix}"
    separator = "\t" if suffix == "tsv" else ","
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows([["title", "description"], *cells])
    summary = predict(path, directory / f"out.{suffix}")
    [header, *rows] = parsed(read_text(directory / f"out.{suffix}"), separator)
    assert summary.rows == len(cells)
    assert header == ["title", "description", "predicted", "scores"]
    assert [tuple(row[:2]) for row in rows] == cells


def test_labels_and_scores_stand_at_the_end_of_the_row(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text('\ufeffzip,title,description\r\n007,audio,"vision\r\nand so on"\r\n\r\n1.0,,\r\n', encoding="utf-8")
    predict(path, tmp_path / "out.csv")
    assert read_text(tmp_path / "out.csv") == (
        'zip,title,description,predicted,scores\n007,audio,"vision\r\nand so on",audio;vision,0.9;0.9\n1.0,,,,\n'
    )


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["texts.csv: the file is empty"]),
        (b"title,title\n", ["column 'title'", "the first row"]),
        (b"id,title\n1,a\n", ["no column 'description'", "The file has: id, title", "text=title,description"]),
        (b"title,description\na,b\nc\n", ["texts.csv, row 3: 1 fields"]),
        (b'title,description\na,b\n"c,d\n', ["texts.csv, after row 2: "]),
        (b"title,description\na,b\nc,\xe9\n", ["texts.csv, line 3: byte 0xe9 is not UTF-8"]),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_scored(content: bytes, parts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        predict(path, tmp_path / "out.csv")
    assert all(part in str(raised.value) for part in parts), raised.value
    assert list(tmp_path.iterdir()) == [path]


def test_no_row_is_read_before_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("title\n" + "a\n" * 5 + "b,b\n" + "c\n" * 100_000)
    batches = delimited_reader(path, ",").batches(2, start=1)
    assert [next(batches).column("title") for _ in range(2)] == [["a", "a"], ["a", "a"]]
    with pytest.raises(UserError, match="row 7"):
        next(batches)


def test_a_table_without_rows_stays_one(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("title,description\n")
    assert predict(tmp_path / "texts.csv", tmp_path / "out.csv").rows == 0
    assert read_text(tmp_path / "out.csv") == "title,description,predicted,scores\n"

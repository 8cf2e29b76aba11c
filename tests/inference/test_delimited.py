import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.naming import predict, read_text

from ratchet.config import Format
from ratchet.data.formats import Dialect
from ratchet.errors import UserError
from ratchet.inference.readers import reader_of

CELLS = st.text(st.characters(codec="utf-8") | st.sampled_from('",;\n\r\t'), max_size=12)


def parse_rows(text: str, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))


@settings(max_examples=40, deadline=None)
@given(cells=st.lists(st.tuples(CELLS, CELLS), max_size=6), suffix=st.sampled_from(["csv", "tsv"]))
def test_all_values_are_preserved(
    cells: list[tuple[str, str]], suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("any")
    path = directory / f"texts.{suffix}"
    separator = "\t" if suffix == "tsv" else ","
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows([["title", "description"], *cells])
    # A text with a tab and a line end may look like two rows of TSV without quoting, so that it is read as CSV.
    dialect = Dialect(Format.csv, separator=separator, option_prefix="input_")
    summary = predict(path, directory / f"out.{suffix}", dialect=dialect)
    [header, *rows] = parse_rows(read_text(directory / f"out.{suffix}"), separator)
    assert summary.rows == len(cells)
    assert header == ["title", "description", "predicted", "scores"]
    assert [tuple(row[:2]) for row in rows] == cells


def test_labels_and_scores_are_appended_to_rows(tmp_path: Path) -> None:
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
        (b"id,title\n1,a\n", ["no column 'description'", "the file has: id, title", "text=title,description"]),
        (b"title,description\na,b\nc\n", ["texts.csv, row 3: 1 fields"]),
        (b'title,description\na,b\n"c,d\n', ["texts.csv, after row 2: "]),
        (b"title,description\na,b\nc,\xe9\n", ["texts.csv, line 3: byte 0xe9 is not utf-8: set input_encoding"]),
    ],
)
def test_invalid_input_is_reported_before_scoring(content: bytes, parts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        predict(path, tmp_path / "out.csv")
    assert all(part in str(error.value) for part in parts), error.value
    assert list(tmp_path.iterdir()) == [path]


def test_rows_are_read_lazily(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("title\n" + "a\n" * 5 + "b,b\n" + "c\n" * 100_000)
    batches = reader_of(path).batches(2, start=1)
    assert [next(batches).column("title") for _ in range(2)] == [["a", "a"], ["a", "a"]]
    with pytest.raises(UserError, match="row 7"):
        next(batches)


def test_empty_table_gives_empty_output(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("title,description\n")
    assert predict(tmp_path / "texts.csv", tmp_path / "out.csv").rows == 0
    assert read_text(tmp_path / "out.csv") == "title,description,predicted,scores\n"

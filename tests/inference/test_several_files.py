import json
from pathlib import Path

import polars as pl
import pytest
from tests.inference.naming import interrupt_prediction, predict, read_text

from ratchet.data.texts import TextColumns
from ratchet.errors import UserError

HEADER = "title,description\n"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Write a directory with three files of 6, 1 and 5 rows."""
    directory = tmp_path / "texts"
    directory.mkdir()
    for name, rows in (("b.csv", 1), ("a.csv", 6), ("c.csv", 5)):
        lines = [f"audio {name} {row},graphs\n" for row in range(rows)]
        (directory / name).write_text(HEADER + "".join(lines))
    return directory


@pytest.mark.parametrize("pattern", ["", "*.csv", "[abc].csv", "**/*.csv"])
def test_files_are_read_in_the_order_of_their_names(pattern: str, texts: Path, tmp_path: Path) -> None:
    summary = predict(texts / pattern if pattern else texts, tmp_path / "out.csv")
    assert summary.rows == 12
    rows = [line.split(",")[0] for line in read_text(tmp_path / "out.csv").splitlines()[1:]]
    assert rows == [f"audio {name}.csv {row}" for name, count in (("a", 6), ("b", 1), ("c", 5)) for row in range(count)]


@pytest.mark.parametrize("at", range(5))
def test_interrupted_prediction_resumes_in_the_right_file(at: int, texts: Path, tmp_path: Path) -> None:
    predict(texts, tmp_path / "whole.csv")
    interrupt_prediction(texts, tmp_path / "out.csv", at)
    assert predict(texts, tmp_path / "out.csv").rows == 12
    assert read_text(tmp_path / "out.csv") == read_text(tmp_path / "whole.csv")


@pytest.mark.parametrize("change", ["edit", "add", "rename"])
def test_changed_files_are_not_resumed(change: str, texts: Path, tmp_path: Path) -> None:
    interrupt_prediction(texts, tmp_path / "out.csv", 2)
    if change == "edit":
        (texts / "c.csv").write_text(HEADER + "other,\n")
    elif change == "add":
        (texts / "d.csv").write_text(HEADER + "new,\n")
    else:
        (texts / "a.csv").rename(texts / "z.csv")
    with pytest.raises(UserError, match="the input"):
        predict(texts, tmp_path / "out.csv")


def test_output_has_the_columns_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/1.jsonl").write_text('{"title": "audio", "n": 1}\n')
    (tmp_path / "in/2.jsonl").write_text('{"title": "vision", "n": 0.5, "more": [true]}\n')
    text = TextColumns(("title",))
    predict(tmp_path / "in", tmp_path / "out.parquet", text=text)
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame.select("title", "n", "more").rows() == [("audio", 1.0, None), ("vision", 0.5, [True])]
    predict(tmp_path / "in", tmp_path / "out.csv", text=text)
    assert read_text(tmp_path / "out.csv").splitlines()[:2] == ["title,n,more,predicted,scores", "audio,1,,audio,0.9"]


def test_parquet_files_keep_their_types_and_must_agree(source: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("1.parquet", "2.parquet"):
        (tmp_path / "in" / name).write_bytes(source.read_bytes())
    assert predict(tmp_path / "in", tmp_path / "out.parquet").rows == 20
    pl.read_parquet(source).with_columns(id=pl.int_range(10)).write_parquet(tmp_path / "in/2.parquet")
    with pytest.raises(UserError, match=r"2\.parquet: column 'id' is Int64, in 1\.parquet String"):
        predict(tmp_path / "in", tmp_path / "other.parquet")


def test_parts_of_a_saved_data_set_are_read(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    for part in ("train", "test"):
        (saved / part).mkdir(parents=True)
        pl.DataFrame({"title": [f"audio {part}"], "description": [""]}).write_ipc(saved / part / "data-0.arrow")
        (saved / part / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-0.arrow"}]}))
    (saved / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    predict(saved, tmp_path / "out.csv")
    assert [line.split(",")[0] for line in read_text(tmp_path / "out.csv").splitlines()[1:]] == [
        "audio train",
        "audio test",
    ]


def test_broken_row_of_a_later_file_stops_before_any_work(texts: Path, tmp_path: Path) -> None:
    (texts / "c.csv").write_text(HEADER + "one,two,three\n")
    with pytest.raises(UserError, match=r"c\.csv, row 2"):
        predict(texts, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv.parts").exists()


@pytest.mark.parametrize(
    ("source", "output", "reason"),
    [
        ("texts", "texts/out.csv", "would be in the input"),
        ("texts/*.csv", "texts/out.csv", "would match the input"),
        ("texts/**/*.csv", "texts/out.csv", "would match the input"),
        ("texts/*.csv", "texts/a.csv", "is a file of the input"),
    ],
)
def test_output_must_be_outside_the_input(source: str, output: str, reason: str, texts: Path, tmp_path: Path) -> None:
    before = (texts / "a.csv").read_bytes()
    with pytest.raises(UserError, match=reason):
        predict(tmp_path / source, tmp_path / output, replace=True)
    assert (texts / "a.csv").read_bytes() == before
    predict(tmp_path / source, tmp_path / "texts/out.jsonl.gz" if "*" in source else tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("files", "source", "parts"),
    [
        ([], "in/*.csv", ["no file matches the pattern", "in/*.csv"]),
        ([], "in", ["the directory is empty"]),
        ([], "none", ["none: no such file or directory"]),
        (["a.csv", "b.jsonl"], "in", ["several formats", "*.csv"]),
        (["a.csv", "b.parquet"], "in/*", ["b.parquet is Parquet", "a.csv is not"]),
    ],
)
def test_input_without_files_of_one_format_is_refused(
    files: list[str], source: str, parts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for name in files:
        (tmp_path / "in" / name).write_bytes(b"PAR1PAR1" if name.endswith("parquet") else HEADER.encode())
    with pytest.raises(UserError) as error:
        predict(tmp_path / source, tmp_path / "out.csv")
    for part in parts:
        assert part in str(error.value)

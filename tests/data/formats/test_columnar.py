import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.config import Format
from ratchet.data.formats.columnar import open_columnar
from ratchet.data.formats.rows import Row, Rows
from ratchet.data.problems import Problem
from ratchet.errors import UserError

WRITERS: dict[str, tuple[Format, Callable[[pl.DataFrame, Path], Any]]] = {
    "parquet": (Format.parquet, lambda frame, path: frame.write_parquet(path)),
    "arrow file": (Format.arrow, lambda frame, path: frame.write_ipc(path)),
    "arrow stream": (Format.arrow, lambda frame, path: frame.write_ipc_stream(path)),
}
FRAME = pl.DataFrame(
    {
        "text": ["slow page", "crash", "no login"],
        "tags": [["ui", "speed"], [], None],
        "meta": [{"lang": "en", "votes": [1, 2]}, {"lang": "de", "votes": []}, None],
        "day": [date(2024, 1, 2), None, date(2024, 3, 4)],
        "thumb": [b"\xff\xfe", b"\x00", b"\x80"],
    }
)


def values_of(rows: Rows) -> list[Any]:
    items = list(rows)
    assert all(isinstance(item, Row) for item in items), items
    return [item.values for item in items if isinstance(item, Row)]


@pytest.fixture(params=WRITERS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[pl.DataFrame], tuple[Path, Format]]:
    form, write = WRITERS[request.param]

    def save(frame: pl.DataFrame) -> tuple[Path, Format]:
        path = tmp_path / "records.bin"
        write(frame, path)
        return path, form

    return save


Written = Callable[[pl.DataFrame], tuple[Path, Format]]


def test_only_columns_in_use_are_read(written: Written) -> None:
    path, form = written(FRAME)
    rows = open_columnar(path, "a", form, ["text", "tags"])
    assert rows.columns == ["text", "tags", "meta", "day", "thumb"]
    assert values_of(rows) == [
        {"text": "slow page", "tags": ["ui", "speed"]},
        {"text": "crash", "tags": []},
        {"text": "no login", "tags": None},
    ]


def test_nested_values_are_lists_and_dicts(written: Written) -> None:
    rows = values_of(open_columnar(*_swap(written(FRAME)), ["meta.lang", "day"]))
    assert rows[0] == {"meta": {"lang": "en", "votes": [1, 2]}, "day": date(2024, 1, 2)}
    assert rows[2]["meta"] is None


def _swap(saved: tuple[Path, Format]) -> tuple[Path, str, Format]:
    return saved[0], "a", saved[1]


def test_bytes_in_use_that_are_not_utf_8_are_a_problem_of_their_row(written: Written) -> None:
    path, form = written(pl.DataFrame({"text": [b"caf\xc3\xa9", b"caf\xe9", None]}))
    first, second, third = open_columnar(path, "a.bin", form, ["text"])
    assert isinstance(first, Row)
    assert first.values == {"text": "café"}
    assert isinstance(second, Problem)
    assert (second.place, second.outcome) == ("a.bin, row 2", "stops")
    assert "column text holds bytes that are not UTF-8" in second.message
    assert isinstance(third, Row)
    assert third.values == {"text": None}


def test_rows_are_numbered_across_blocks_and_can_be_read_again(written: Written) -> None:
    path, form = written(pl.DataFrame({"text": [f"text {number}" for number in range(20_001)]}))
    rows = open_columnar(path, "a", form, ["text"])
    for _ in range(2):
        items = [(row.number, row.values["text"]) for row in rows if isinstance(row, Row)]
        assert items == [(number + 1, f"text {number}") for number in range(20_001)]


def test_rows_without_a_column_in_use_are_still_counted(written: Written) -> None:
    path, form = written(FRAME)
    assert values_of(open_columnar(path, "a", form, ["absent"])) == [{}, {}, {}]


def test_empty_file_has_columns_and_no_rows(written: Written) -> None:
    path, form = written(FRAME.clear())
    rows = open_columnar(path, "a", form, ["text"])
    assert (rows.columns[0], list(rows)) == ("text", [])


@pytest.mark.parametrize("form", [Format.parquet, Format.arrow])
@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PAR1", b"ARROW1\0\0", b"\xff" * 64])
def test_other_content_is_refused(form: Format, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"^a\.bin: not an? (Parquet|Arrow) file"):
        list(open_columnar(path, "a.bin", form, None))


def test_truncated_file_is_refused_while_reading(written: Written) -> None:
    path, form = written(pl.DataFrame({"text": [f"text {number * 7919 % 1000}" for number in range(5000)]}))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"^a: not an? "):
        list(open_columnar(path, "a", form, None))


CLASSES = {"names": ["bug", "feature", "question"], "_type": "ClassLabel"}
FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": CLASSES,
    "tags": {"feature": CLASSES, "_type": "Sequence"},
    "recent": {"feature": CLASSES, "_type": "List"},
    "old": [CLASSES],
    "meta": {"kind": CLASSES, "note": {"dtype": "string", "_type": "Value"}},
}
CLASSIFIED = pl.DataFrame(
    {
        "text": ["a", "b"],
        "label": [2, -1],
        "tags": [[0, 1], []],
        "recent": [[1], None],
        "old": [[2], [0]],
        "meta": [{"kind": 1, "note": "x"}, None],
    }
)
NAMED = [
    {
        **{"text": "a", "label": "question", "tags": ["bug", "feature"], "recent": ["feature"], "old": ["question"]},
        "meta": {"kind": "feature", "note": "x"},
    },
    {"text": "b", "label": None, "tags": [], "recent": None, "old": ["bug"], "meta": None},
]


def test_classes_of_parquet_metadata_are_names(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    CLASSIFIED.write_parquet(path, metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})})
    assert values_of(open_columnar(path, "a", Format.parquet, None)) == NAMED
    numbers = values_of(open_columnar(path, "a", Format.parquet, ["label"], class_names=False))
    assert numbers == [{"label": 2}, {"label": -1}]


def test_classes_of_a_saved_directory_are_names(tmp_path: Path) -> None:
    path = tmp_path / "data-00000-of-00001.arrow"
    CLASSIFIED.write_ipc_stream(path)
    (tmp_path / "dataset_info.json").write_text(json.dumps({"features": FEATURES}), encoding="utf-8")
    assert values_of(open_columnar(path, "a", Format.arrow, None)) == NAMED


def test_class_without_a_name_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    features = {"label": {"names": ["only"], "_type": "ClassLabel"}}
    frame = pl.DataFrame({"label": [0, 5]})
    frame.write_parquet(path, metadata={"huggingface": json.dumps({"info": {"features": features}})})
    good, bad = open_columnar(path, "a", Format.parquet, None)
    assert isinstance(good, Row)
    assert isinstance(bad, Problem)
    assert (bad.place, "class 5" in bad.message) == ("a, row 2", True)


@pytest.mark.parametrize("stored", ["{}", "[]", "null", '{"info": null}', '{"info": {"features": []}}'])
def test_metadata_without_features_change_nothing(stored: str, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"label": [0, 5]}).write_parquet(path, metadata={"huggingface": stored})
    assert values_of(open_columnar(path, "a", Format.parquet, None)) == [{"label": 0}, {"label": 5}]


def test_metadata_that_are_no_json_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"label": [0]}).write_parquet(path, metadata={"huggingface": "{"})
    with pytest.raises(UserError, match="Hugging Face metadata"):
        open_columnar(path, "a", Format.parquet, None)


def test_metadata_of_a_saved_directory_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    pl.DataFrame({"label": [0]}).write_ipc_stream(path)
    (tmp_path / "dataset_info.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match="Hugging Face metadata"):
        open_columnar(path, "a", Format.arrow, None)


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.none(), max_size=8))
def test_texts_are_read_as_they_were_written(texts: list[str | None], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    for form, write in WRITERS.values():
        write(pl.DataFrame({"text": texts}, schema={"text": pl.String}), path)
        assert [row["text"] for row in values_of(open_columnar(path, "a", form, None))] == texts

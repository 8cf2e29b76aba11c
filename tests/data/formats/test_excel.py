from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ratchet.data.formats.dialect import Dialect
from ratchet.data.formats.excel import open_excel
from ratchet.data.formats.rows import Row
from ratchet.data.problems import Problem
from ratchet.errors import UserError


def write(path: Path, **sheets: Sequence[Sequence[Any]]) -> Path:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)  # type: ignore[arg-type]  # a new workbook has a sheet
    for title, rows in sheets.items():
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
    workbook.save(path)
    return path


def read(path: Path, columns: list[str] | None = None, **dialect: Any) -> list[Any]:
    return list(open_excel(path, "a.xlsx", Dialect(**dialect), columns))


def test_cells_keep_their_own_type(tmp_path: Path) -> None:
    cells = [7, 2.5, "007", True, date(2024, 1, 2), datetime(2024, 1, 2, 3, 4), None]
    names = ["whole", "share", "code", "done", "day", "time", "empty"]
    [row] = read(write(tmp_path / "a.xlsx", One=[names, cells]))
    assert row == Row(2, dict(zip(names, cells, strict=True)))
    assert [type(value) for value in row.values.values()] == [type(cell) for cell in cells]


def test_large_numbers_do_not_pretend_to_be_exact(tmp_path: Path) -> None:
    [row] = read(write(tmp_path / "a.xlsx", One=[["n", "m"], [2**53, 1e20]]))
    assert row.values == {"n": 2**53, "m": 1e20}
    assert isinstance(row.values["m"], float)


def test_row_numbers_are_those_of_the_spreadsheet(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", One=[[], ["text"], [], ["a"], [None], ["b"]])
    rows = open_excel(path, "a.xlsx", Dialect())
    assert [rows.location(row) for row in rows if isinstance(row, Row)] == ["a.xlsx, row 4", "a.xlsx, row 6"]
    assert list(rows) == list(rows)


def test_too_many_skipped_rows_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.skip_rows"):
        read(write(tmp_path / "a.xlsx", One=[["text"], ["a"]]), skip_rows=2)


def test_sheet_is_chosen_by_name_and_the_first_is_the_default(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", One=[["text"], ["a"]], Two=[["text"], ["b"]])
    assert [row.values["text"] for row in read(path)] == ["a"]
    assert [row.values["text"] for row in read(path, sheet="Two")] == ["b"]
    with pytest.raises(UserError, match=r"no sheet 'three' \(data\.records\.sheet\).*One, Two"):
        read(path, sheet="three")
    with pytest.raises(UserError, match="did you mean 'Two'"):
        read(path, sheet="tow")


def test_title_rows_are_named_and_skipped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", One=[["Export of May"], [], ["text", "labels"], ["a", "x"]])
    with pytest.raises(UserError, match=r"row 3: set data\.skip_rows=2"):
        read(path, ["text", "labels"])
    assert read(path, ["text", "labels"], skip_rows=2) == [Row(4, {"text": "a", "labels": "x"})]


def test_columns_without_a_header_are_numbered_or_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", One=[["a"], ["b", "x"]])
    assert read(path, header=False) == [Row(1, {"1": "a", "2": None}), Row(2, {"1": "b", "2": "x"})]
    named = read(path, header=False, column_names=("text", "labels"))
    assert named[1] == Row(2, {"text": "b", "labels": "x"})
    with pytest.raises(UserError, match=r"2 columns, but data\.column_names has 1"):
        read(path, header=False, column_names=("text",))


def test_repeated_column_is_refused_only_in_use(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", One=[["text", "tag", "tag"], ["a", "x", "y"], ["b", "z", None]])
    assert [row.values for row in read(path, ["text"])] == [{"text": "a"}, {"text": "b"}]
    with pytest.raises(UserError, match="'tag' occurs twice in row 1"):
        read(path, ["text", "tag"])
    assert [row.values["tag"] for row in read(path, ["text", "tag"], repeated=("tag",))] == [["x", "y"], ["z", None]]


def test_notes_beside_the_table_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", One=[["text", None, "label"], ["a", "note", "x", "checked by Ann"]])
    assert read(path) == [Row(2, {"text": "a", "label": "x"})]


def test_second_header_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", One=[["text", "n"], ["a", 1], ["text", "n"], ["b", 2]])
    problem = read(path)[1]
    assert isinstance(problem, Problem)
    assert (problem.place, problem.outcome) == ("a.xlsx, row 3", "stops")


def test_empty_sheet_is_refused_with_the_others(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", Cover=[], Data=[["text"], ["a"]])
    with pytest.raises(UserError, match=r"sheet 'Cover' has no rows: set data\.records\.sheet.*Cover, Data"):
        read(path)


@pytest.mark.parametrize(
    "content", [b"", b"text,labels\n", b"PK\x03\x04" + b"\0" * 60, b"\xd0\xcf\x11\xe0" + b"\0" * 600]
)
def test_other_content_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"^a\.xlsx: not a workbook"):
        read(path)


def test_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratchet.extras._is_found", lambda module: module != "python_calamine")
    with pytest.raises(UserError, match=r"a\.xlsx.* needs python_calamine.*\[excel\]"):
        read(write(tmp_path / "a.xlsx", One=[["text"], ["a"]]))

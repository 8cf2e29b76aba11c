"""Read a sheet of a workbook (.xlsx, .xls, .ods): each cell keeps its own type."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.data.formats.dialect import Dialect
from ratchet.data.formats.rows import Row, Rows, is_used
from ratchet.data.problems import Problem
from ratchet.errors import UserError, did_you_mean
from ratchet.extras import require_extra

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

_MAX_TITLE_ROWS = 50  # rows in which the header is looked for, for the message
_EXACT = 2**53  # a workbook stores numbers as floats: above this, an integer may have lost digits


def open_excel(path: Path, name: str, dialect: Dialect, columns: Collection[str] | None = None) -> Rows:
    """Open a workbook, and return the rows of the dialect's sheet, numbered as a spreadsheet shows them.

    `columns` are those in use (None: all). A whole number is an integer, a date is a date; empty rows are skipped.

    Raises:
        UserError: python-calamine is not installed, the workbook cannot be read, there is no such sheet, the sheet is
            empty, or a column in use occurs twice.
    """
    require_extra("excel", what=f"{name} (an Excel or OpenDocument workbook)")
    table = _open_table(path, name, dialect, columns)
    return Rows(name, "row", [column for column in table.names if column], table.iterate)


@dataclass(frozen=True)
class _Table:
    """A sheet whose header was read. `names` has a name ("" without one) for each column; rows after `start` are read.

    A column without a name is never read: unlike in CSV, its values cannot be those of another column.
    """

    path: Path
    name: str
    dialect: Dialect
    names: list[str]
    start: int
    used: list[int]

    def iterate(self) -> Iterator[Row | Problem]:
        """Yield each row that is not empty, or the problem of a row that repeats the header."""
        many = {
            column: [index for index in self.used if self.names[index] == column] for column in self.dialect.repeated
        }
        single = [index for index in self.used if self.names[index] not in many]
        sheet = _open_sheet(self.path, self.name, self.dialect)
        for number, cells in _iterate_rows(sheet, self.start):
            if self.dialect.header and [_to_name(cell) for cell in cells] == self.names:
                message = "repeats the header: remove the row"
                yield Problem("repeated header", f"{self.name}, row {number}", message, "stops")
                continue
            values = {self.names[index]: _get_cell(cells, index) for index in single}
            lists = {column: [_get_cell(cells, index) for index in indices] for column, indices in many.items()}
            yield Row(number, values | {column: items for column, items in lists.items() if items})


def _open_table(path: Path, name: str, dialect: Dialect, columns: Collection[str] | None) -> _Table:
    sheet = _open_sheet(path, name, dialect)
    key = dialect.key
    number, first = next(_iterate_rows(sheet, dialect.skip_rows), (0, []))
    if not first:
        if dialect.skip_rows and next(_iterate_rows(sheet, 0), None) is not None:
            raise UserError(
                f"{name}: sheet {sheet.name!r} has no rows after row {dialect.skip_rows}: lower {key('skip_rows')}"
            )
        others = f" (sheets: {', '.join(list_sheets(path))})"
        raise UserError(f"{name}: sheet {sheet.name!r} has no rows: set {key('sheet')}{others}")
    if dialect.header:
        names, start, source = [_to_name(cell) for cell in first], number, f"row {number}"
        if columns is not None and not all(_has_column(names, column) for column in columns):
            _refuse_title_rows(sheet, name, dialect, columns, number)
    else:
        width = max(len(cells) for _, cells in _iterate_rows(sheet, dialect.skip_rows))
        names, start, source = (
            list(dialect.column_names or map(str, range(1, width + 1))),
            number - 1,
            key("column_names"),
        )
        if len(names) != width:
            raise UserError(f"{name}: {width} columns, but {source} has {len(names)}: name every column")
    used = [index for index, column in enumerate(names) if column and is_used(column, columns)]
    count = Counter(names[index] for index in used if names[index] not in dialect.repeated)
    repeated = next((column for column, number in count.items() if number > 1), None)
    if repeated is not None:
        raise UserError(f"{name}: column {repeated!r} occurs twice in {source}: rename one of them")
    return _Table(path, name, dialect, names, start, used)


def _open_sheet(path: Path, name: str, dialect: Dialect) -> "CalamineSheet":
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, WorksheetNotFound

    try:
        workbook = CalamineWorkbook.from_path(path)
        sheets = workbook.sheet_names
        if not sheets:
            raise UserError(f"{name}: the workbook has no sheets")
        return workbook.get_sheet_by_name(sheets[0] if dialect.sheet is None else dialect.sheet)
    except WorksheetNotFound as error:
        near = did_you_mean(str(dialect.sheet), sheets)
        raise UserError(f"{name}: no sheet {dialect.sheet!r} ({dialect.key('sheet')}); {near}") from error
    except PasswordError as error:
        raise UserError(f"{name}: the workbook has a password: save it without one") from error
    except (CalamineError, OSError) as error:
        raise UserError(f"{name}: not a workbook (.xlsx, .xls, .ods) that can be read: {error}") from error


def list_sheets(path: Path) -> list[str]:
    """Return the names of the sheets of a workbook that can be read, in order."""
    from python_calamine import CalamineWorkbook

    return CalamineWorkbook.from_path(path).sheet_names


def _iterate_rows(sheet: "CalamineSheet", skip: int) -> Iterator[tuple[int, list[Any]]]:
    """Yield number and cells of each row after `skip` that is not empty, without the empty cells at its end."""
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        width = next((index for index in range(len(cells), 0, -1) if cells[index - 1] != ""), 0)
        if width and number > skip:
            yield number, cells[:width]


def _get_cell(cells: Sequence[Any], index: int) -> Any:
    """Return a cell by its own type: None if it is empty, an integer if it is a whole number."""
    cell = cells[index] if index < len(cells) else ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) <= _EXACT:
        return int(cell)
    return None if cell == "" else cell


def _to_name(cell: Any) -> str:
    value = _get_cell([cell], 0)
    return "" if value is None else str(value)


def _has_column(names: Sequence[str], used: str) -> bool:
    return any(is_used(name, [used]) for name in names if name)


def _refuse_title_rows(
    sheet: "CalamineSheet", name: str, dialect: Dialect, columns: Collection[str], header: int
) -> None:
    """Refuse a sheet whose header is below its first row."""
    for number, cells in islice(_iterate_rows(sheet, header), _MAX_TITLE_ROWS):
        names = [_to_name(cell) for cell in cells]
        if all(_has_column(names, column) for column in columns):
            raise UserError(
                f"{name}: the header seems to be in row {number}: set {dialect.key('skip_rows')}={number - 1}"
            )

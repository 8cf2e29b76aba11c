"""Show tables in a notebook, and convert frames.

The HTML inherits font and colours, so that it is readable in dark and in light notebooks, and it needs no other files.
Tones are signs, as on the page of the report, because a colour alone is not readable by everyone.
"""

from collections.abc import Iterator, Sequence
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ratchet.errors import UserError
from ratchet.reporting.blocks import Cell, Column, Facts, Paragraph, Table, TextBlock, list_notes

if TYPE_CHECKING:
    import polars as pl

_SIGNS = {"good": "▲ ", "bad": "▼ ", "even": "● "}
_MUTED = "opacity: .75; font-size: .9em"


def to_html(blocks: Sequence[TextBlock]) -> str:
    """Return blocks as HTML. Everything in them is escaped: names and messages come from users' files."""
    content = "".join("".join(_write_block(block)) for block in blocks)
    html = f'<div style="color: inherit; background: none; overflow-x: auto">{content}</div>'
    return html.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is written as its escape


def _write_block(block: TextBlock) -> Iterator[str]:
    match block:
        case Paragraph():
            yield f"<p>{escape(block.text)}</p>"
        case Facts():
            yield from _write_title(block.title)
            yield from _write_facts(block)
        case Table():
            yield from _write_title(block.title)
            yield from _write_table(block)


def _write_title(title: str) -> Iterator[str]:
    if title:
        yield f'<p style="margin: 1em 0 .3em"><strong>{escape(title)}</strong></p>'


def _write_facts(block: Facts) -> Iterator[str]:
    yield '<ul style="margin-top: 0">'
    for name, text in block.facts:
        # An empty name continues the fact above, so it gets no bullet.
        head = f"<li><strong>{escape(name)}</strong>: " if name else '<li style="list-style: none">'
        yield f"{head}{escape(text)}</li>"
    yield "</ul>"


def _write_table(block: Table) -> Iterator[str]:
    yield '<table style="border-collapse: collapse; margin: 0; font-size: inherit"><thead><tr>'
    for column in block.columns:
        about = f' title="{escape(column.about)}"' if column.about else ""
        yield f'<th scope="col" style="{_style_of(column)}"{about}>{escape(column.title)}</th>'
    yield "</tr></thead><tbody>"
    for row in block.rows:
        yield "<tr>"
        for column, cell in zip(block.columns, row, strict=True):
            yield f'<td style="{_style_of(column)}">{_write_cell(cell)}</td>'
        yield "</tr>"
    yield "</tbody></table>"
    notes = list_notes(block)
    if notes:
        yield f'<p style="{_MUTED}">{escape(notes)}</p>'


def _style_of(column: Column) -> str:
    aligned = "text-align: right; white-space: nowrap" if column.numeric else "text-align: left"
    return f"{aligned}; vertical-align: top; padding: .2em 1em .2em 0"


def _write_cell(cell: Cell) -> str:
    text = f"{_SIGNS.get(cell.tone, '')}{escape(cell.text)}"
    return f"<code>{text}</code>" if cell.code else text


def to_pandas(frame: "pl.DataFrame") -> Any:
    """Return a polars frame as a `pandas.DataFrame`. Polars' own conversion needs pyarrow, too.

    Raises:
        UserError: pandas is not installed.
    """
    try:
        pandas: Any = import_module("pandas")  # not a dependency, nor are its types
    except ModuleNotFoundError as error:
        raise UserError(
            "to_pandas needs pandas, which is not installed: pip install pandas, or use to_polars"
        ) from error
    return pandas.DataFrame(frame.to_dict(as_series=False))

"""Blocks as Markdown: for `format=md`, and for the files that the pipeline writes."""

from collections.abc import Sequence

from ratchet.printable import printable
from ratchet.reporting.blocks import Facts, Paragraph, Table, TextBlock, list_notes, one_line


def to_markdown(blocks: Sequence[TextBlock]) -> str:
    """Return the blocks as printable Markdown, with an empty line between two and a newline at the end."""
    return printable("\n".join("\n".join(_write_lines(block)) + "\n" for block in blocks))


def _write_lines(block: TextBlock) -> list[str]:
    match block:
        case Paragraph():
            return [block.text]
        case Facts():
            return [*_write_title(block.title), *_write_facts(block)]
        case Table():
            notes = list_notes(block)
            return [*_write_title(block.title), *_write_table(block), *(["", notes] if notes else [])]


def _write_title(title: str) -> list[str]:
    # Without the empty line Markdown takes the title for the first row of the table.
    return [f"**{title}**", ""] if title else []


def _write_facts(block: Facts) -> list[str]:
    """Return a list item for each fact; further texts of the same name are nested below it."""
    lines: list[str] = []
    named = False
    for name, text in block.facts:
        named = named or bool(name)
        lines.append(f"- {name}: {text}" if name else f"  - {text}" if named else f"- {text.removeprefix('- ')}")
    return lines


def _write_table(block: Table) -> list[str]:
    rows = [
        [column.title for column in block.columns],
        ["---:" if column.numeric else "---" for column in block.columns],
        *([_escape(cell.text) for cell in row] for row in block.rows),
    ]
    return [f"| {' | '.join(row)} |" for row in rows]


def _escape(text: str) -> str:
    return one_line(text).replace("|", "\\|")

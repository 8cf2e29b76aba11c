"""The parts of a report: tables, facts, paragraphs and charts, without any HTML, Markdown or terminal codes.

Each table is built once, from `Cell`s that are already formatted. `terminal`, `markdown` and `page` draw it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ratchet.comparison.results import Difference, Interval
from ratchet.printable import printable

if TYPE_CHECKING:  # altair takes 0.3 s to import, and a table in a terminal has no charts
    from ratchet.charts.theme import Chart
    from ratchet.reporting.examples import Example

NONE = "-"  # the text of a value that does not exist


@dataclass(frozen=True)
class Cell:
    """A formatted value. The page sorts a column by `order`, or by the text where there is none.

    `tone` is good, bad or even; `code` marks a command.
    """

    text: str
    order: float | None = None
    tone: str = ""
    code: bool = False


@dataclass(frozen=True)
class Column:
    """The head of a column. Numeric columns are aligned to the right.

    `about` explains the column: as a tooltip on the page, in a line below the table elsewhere. In a narrow terminal
    columns of words fold, except where `whole` is set (ids, for example).
    """

    title: str
    numeric: bool = False
    about: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells, which can be sorted on the page; there the title is for screen readers."""

    kind: ClassVar[str] = "table"
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Facts:
    """Pairs of a name and a text. An empty name continues the fact above it.

    The texts of the names in `whole` are never wrapped, so that a command can be copied.
    """

    kind: ClassVar[str] = "facts"
    title: str
    facts: Sequence[tuple[str, str]]
    whole: Sequence[str] = ()


@dataclass(frozen=True)
class Paragraph:
    """Plain text. The tone `note` marks what must not be overlooked."""

    kind: ClassVar[str] = "paragraph"
    text: str
    tone: str = ""


@dataclass(frozen=True)
class Figure:
    """A chart with a caption that explains how to read it. `name` is its id on the page."""

    kind: ClassVar[str] = "figure"
    name: str
    title: str
    caption: str
    chart: "Chart"

    def spec(self) -> dict[str, Any]:
        """Return the Vega-Lite specification, without the width and the configuration, which the page sets."""
        content: dict[str, Any] = self.chart.to_dict()
        return {key: value for key, value in content.items() if key not in ("width", "config")}


@dataclass(frozen=True)
class ExampleList:
    """Records with their texts and labels."""

    kind: ClassVar[str] = "examples"
    title: str
    examples: Sequence["Example"]
    baseline: str
    candidate: str


@dataclass(frozen=True)
class Details:
    """Blocks under a title that the reader opens and closes."""

    kind: ClassVar[str] = "details"
    title: str
    blocks: Sequence["Block"]
    open: bool = False
    tone: str = ""


TextBlock = Table | Facts | Paragraph  # what a terminal and Markdown can show
Block = TextBlock | Figure | ExampleList | Details


@dataclass(frozen=True)
class Section:
    """A part of the page. `name` is its entry in the list of contents."""

    name: str
    title: str
    blocks: Sequence[Block] = field(default=())

    @property
    def anchor(self) -> str:
        """Return the id that links point to."""
        return self.name.lower()


# --- values as texts --------------------------------------------------------------------------------------------------


def format_number(value: float | None, form: str = ".3f") -> str:
    """Format a value with three decimals, or as `form` says; a dash if there is none."""
    return NONE if value is None else format(value, form)


def format_amount(value: float | None) -> str:
    """Format a cost with about three significant digits."""
    if value is None:
        return NONE
    if value < 0.01:
        return "<0.01"
    return format(value, ",.0f" if value >= 100 else ".1f" if value >= 10 else ".2f")


def format_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Format a value with its interval, as `0.561 [0.512, 0.604]`; without the interval if there is none."""
    bounds = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return format_number(value) + bounds


def format_metric(metrics: Mapping[str, Any], key: str) -> str:
    """Format a metric of a run with its 95 % interval over records."""
    return format_interval(metrics.get(key), metrics.get(f"{key}_ci_low"), metrics.get(f"{key}_ci_high"))


# --- values as cells --------------------------------------------------------------------------------------------------


def text(value: str, tone: str = "") -> Cell:
    """Return a cell of words."""
    return Cell(value, tone=tone)


def number(value: float | None, form: str = ".3f") -> Cell:
    """Return a cell of a number; missing ones are sorted below all others."""
    return Cell(format_number(value, form), float("-inf") if value is None else value)


def amount(value: float | None) -> Cell:
    """Return a cell of a cost."""
    return Cell(format_amount(value), float("-inf") if value is None else value)


def interval(estimate: Interval) -> Cell:
    """Return a cell of a value and its interval, sorted by the value."""
    return Cell(format_interval(estimate.value, estimate.low, estimate.high), estimate.value)


def difference(estimate: Difference | Interval | None) -> Cell:
    """Return a cell of a difference and its interval, with signs."""
    if estimate is None:
        return number(None)
    return Cell(f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]", estimate.value)


def p_value(value: float | None) -> Cell:
    """Return a cell of a p-value; missing ones are sorted above all others."""
    if value is None:
        return Cell(NONE, float("inf"))
    return Cell("<.001" if value < 0.001 else f"{value:.3f}", value)


# --- tables from simple rows ------------------------------------------------------------------------------------------


def table_of_texts(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table of words only."""
    return Table(title, [Column(name) for name in columns], [[text(value) for value in row] for row in rows])


def table_of_rows(
    rows: Sequence[Mapping[str, str]], *, left: int = 1, whole: Sequence[str] = (), title: str = ""
) -> Table:
    """Return a table of at least one row, as mappings with equal keys.

    The first `left` columns are words and those named in `whole` do not fold; the others are numeric.
    """
    columns = [Column(name, numeric=index >= left, whole=name in whole) for index, name in enumerate(rows[0])]
    return Table(title, columns, [[text(value) for value in row.values()] for row in rows])


# --- for the renderers of text ----------------------------------------------------------------------------------------


def list_notes(table: Table) -> str:
    """Return what the columns mean, in one line; columns with the same explanation share it."""
    titles: dict[str, list[str]] = {}
    for column in table.columns:
        if column.about:
            titles.setdefault(column.about, []).append(column.title)
    return "; ".join(f"{', '.join(names)}: {about}" for about, names in titles.items())


def one_line(value: str) -> str:
    """Replace tabs, line ends and other spaces by blanks, and what else is not `printable` by its escape."""
    return printable(re.sub(r"[\t-\r\x1c-\x1f\x85\u2028\u2029]", " ", value))

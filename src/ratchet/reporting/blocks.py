"""What a page is made of: sections of text, tables, figures, and things that fold away. No HTML here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ratchet.charts.theme import Chart
from ratchet.comparison.results import Difference, Interval
from ratchet.reporting.examples import Example


@dataclass(frozen=True)
class Cell:
    """A value as people read it, and what a table is sorted by (the text, unless given).

    `tone` says that it is good, bad or neither; `code` that it is a command.
    """

    text: str
    order: float | None = None
    tone: str = ""
    code: bool = False


@dataclass(frozen=True)
class Column:
    """The head of a column; numbers stand to the right."""

    title: str
    numeric: bool = False
    about: str = ""


@dataclass(frozen=True)
class Table:
    """Rows that can be sorted, and filtered where there are many. `title` is for those who do not see it."""

    kind: ClassVar[str] = "table"
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Figure:
    """A chart, with a line on how to read it. `name` is its place in the page."""

    kind: ClassVar[str] = "figure"
    name: str
    title: str
    caption: str
    chart: Chart

    def spec(self) -> dict[str, Any]:
        """As Vega-Lite takes it, without what the page sets itself: its width."""
        content: dict[str, Any] = self.chart.to_dict()
        return {key: value for key, value in content.items() if key not in ("width", "config")}


@dataclass(frozen=True)
class Paragraph:
    """Some words; `tone` is `note` for what must not be overlooked."""

    kind: ClassVar[str] = "paragraph"
    text: str
    tone: str = ""


@dataclass(frozen=True)
class ExampleList:
    """Records with their texts."""

    kind: ClassVar[str] = "examples"
    title: str
    examples: Sequence[Example]
    baseline: str
    candidate: str


@dataclass(frozen=True)
class Details:
    """Blocks under a title that opens and closes."""

    kind: ClassVar[str] = "details"
    title: str
    blocks: Sequence["Block"]
    open: bool = False
    tone: str = ""


Block = Table | Figure | Paragraph | ExampleList | Details


@dataclass(frozen=True)
class Section:
    """A part of the page; `name` is its word in the list of contents."""

    name: str
    title: str
    blocks: Sequence[Block] = field(default=())

    @property
    def place(self) -> str:
        """Where links lead."""
        return self.name.lower()


def text(value: str, tone: str = "") -> Cell:
    """Words."""
    return Cell(value, tone=tone)


def number(value: float | None, form: str = ".3f") -> Cell:
    """A figure; a dash where there is none."""
    return Cell("–", float("-inf")) if value is None else Cell(format(value, form), value)


def amount(value: float | None) -> Cell:
    """About three digits, for what is spent."""
    if value is None:
        return number(None)
    form = ",.0f" if value >= 100 else ".1f" if value >= 10 else ".2f"
    return Cell("<0.01" if value < 0.01 else format(value, form), value)


def interval(found: Interval) -> Cell:
    """A value and its interval, sorted by the value."""
    return Cell(f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]", found.value)


def difference(found: Difference | Interval | None) -> Cell:
    """A difference and its interval."""
    if found is None:
        return Cell("–", float("-inf"))
    return Cell(f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]", found.value)


def p_value(value: float | None) -> Cell:
    """Three digits, or that it is smaller."""
    if value is None:
        return Cell("–", float("inf"))
    return Cell("<.001" if value < 0.001 else f"{value:.3f}", value)

"""Tables for the terminal, for Markdown and for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

COST_COLUMNS = {
    "fit s": "fit_seconds",
    "p50ms": "latency_ms_p50",
    "p95ms": "latency_ms_p95",
    "texts/s": "items_per_second",
    "peak MB": "peak_memory_mb",
    "MB": "size_mb",
}  # as tables call them, and as cost.json does


class Format(Enum):
    """How a table is printed."""

    table = "table"
    md = "md"
    json = "json"


def print_table(rows: Sequence[Mapping[str, str]], *, markdown: bool = False, left: int = 1) -> None:
    """Print rows of equal keys, aligned: the first `left` columns to the left, the others to the right."""
    if not rows:
        return
    rows = [{key: " ".join(value.split("\n")) for key, value in row.items()} for row in rows]
    if markdown:
        _print_markdown(rows, left)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(rows[0]):
        table.add_column(column, justify="left" if index < left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(value) for value in row.values()))
    width = None if sys.stdout.isatty() else 10_000  # piped: nothing is cut
    Console(width=width, highlight=False, emoji=False).print(table)


def _print_markdown(rows: Sequence[Mapping[str, str]], left: int) -> None:
    print("|", " | ".join(rows[0]), "|")
    print("|", " | ".join("---" if index < left else "---:" for index in range(len(rows[0]))), "|")
    for row in rows:
        print("|", " | ".join(value.replace("|", "\\|") for value in row.values()), "|")


def print_json(content: Any) -> None:
    """Print as JSON, for programs."""
    print(json.dumps(content, indent=1, ensure_ascii=False))


def number(value: Any, digits: int = 3) -> str:
    """A figure as a short string; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def short(value: Any) -> str:
    """About three significant digits, for costs."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def with_interval(figures: Mapping[str, Any], key: str) -> str:
    """A metric with its 95 % interval, as `0.561 [0.512, 0.604]`."""
    low, high = figures.get(f"{key}_ci_low"), figures.get(f"{key}_ci_high")
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return number(figures.get(key)) + interval

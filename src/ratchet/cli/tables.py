"""Tables for the terminal, for Markdown and for programs."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from ratchet.cli.columns import Column, arranged
from ratchet.cli.lines import terminal_width

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


def print_table(
    rows: Sequence[Mapping[str, str]], *, markdown: bool = False, left: int = 1, whole: Sequence[str] = ()
) -> None:
    """Print rows of equal keys, aligned: the first `left` columns to the left, the others (figures) to the right.

    On a terminal that is too narrow columns to the left fold, but for those that are named in `whole`, such as ids.
    """
    if not rows:
        return
    rows = [{key: " ".join(value.split("\n")) for key, value in row.items()} for row in rows]
    if markdown:
        _print_markdown(rows, left)
        return
    columns = [
        Column(title, [_line(row[title]) for row in rows], index >= left, index < left and title not in whole)
        for index, title in enumerate(rows[0])
    ]
    for number_of_block, block in enumerate(arranged(columns, terminal_width())):
        print("\n" * bool(number_of_block), end="")
        _print_titles(block.titles)
        print("\n".join(block.body))


def _line(text: str) -> str:
    """A cell as it can stand in a line: what would move the cursor elsewhere is a blank."""
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", " ", text)


def _print_titles(lines: Sequence[str]) -> None:
    """In bold on a terminal, unless it is a dumb one."""
    if not sys.stdout.isatty():
        print("\n".join(lines))
        return
    from rich.console import Console
    from rich.text import Text

    Console().print(Text("\n".join(lines), style="bold"), soft_wrap=True)


def _print_markdown(rows: Sequence[Mapping[str, str]], left: int) -> None:
    print("|", " | ".join(rows[0]), "|")
    print("|", " | ".join("---" if index < left else "---:" for index in range(len(rows[0]))), "|")
    for row in rows:
        print("|", " | ".join(value.replace("|", "\\|") for value in row.values()), "|")


def print_json(content: Any) -> None:
    """Print as JSON, for programs; letters that the output's encoding may not have are escaped as JSON has it."""
    print(json.dumps(content, indent=1, ensure_ascii=(sys.stdout.encoding or "utf-8").lower() != "utf-8"))


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

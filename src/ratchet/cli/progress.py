"""A bar for work on rows whose number may not be known: how far it is, and how fast."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ratchet.cli.selecting import Advance


@contextmanager
def row_bars() -> Iterator[Callable[[str, int | None], Advance]]:
    """`begin("predicting", rows)` begins a bar and gives what moves it on; nothing is shown without a terminal.

    A bar takes the place of the one before it.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Pace(ProgressColumn):
        """Rows done, of how many, and how many a second."""

        def render(self, task: Task) -> Text:
            """The column's text."""
            of = "" if task.total is None else f" of {task.total:,.0f}"
            pace = "" if not task.speed else f", {task.speed:,.0f}/s"
            return Text(f"{task.completed:,.0f}{of} rows{pace}")

    columns = (TextColumn("{task.description}"), BarColumn(), Pace())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:

        def begin(what: str, rows: int | None) -> Advance:
            for each in bars.task_ids:
                bars.remove_task(each)
            task = bars.add_task(what, total=rows)
            return lambda done: bars.advance(task, done)

        yield begin

"""Parse the options that compare, gate, promote and review share; show progress bars."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ratchet.config import Objective, bounded, compose_objective, located, parse_options, register, take_config_dir
from ratchet.printable import filter_output, printable, unfiltered
from ratchet.reporting.terminal import Format
from ratchet.runs.selection import Selection, select

Advance = Callable[[int], None]
Begin = Callable[[int], Advance]


@contextmanager
def show_row_bars() -> Iterator[Callable[[str, int | None], Advance]]:
    """Yield `begin`: `begin("predicting", rows)` starts a bar and returns the function that advances it.

    A new bar replaces the one before it. Nothing is shown unless stderr is a terminal.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Pace(ProgressColumn):
        """Number of rows done, total number of rows, and rows per second."""

        def render(self, task: Task) -> Text:
            """Return the text of the column."""
            of = "" if task.total is None else f" of {task.total:,.0f}"
            pace = "" if not task.speed else f", {task.speed:,.0f}/s"
            return Text(f"{task.completed:,.0f}{of} rows{pace}")

    columns = (TextColumn("{task.description}"), BarColumn(), Pace())
    console = Console(file=unfiltered(sys.stderr))
    hidden = not sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=hidden) as bars, filter_output():

        def begin(what: str, rows: int | None) -> Advance:
            for task_id in bars.task_ids:
                bars.remove_task(task_id)
            task = bars.add_task(what, total=rows)
            return lambda done: bars.advance(task, done)

        yield begin


@dataclass
class SelectingOptions:
    """Which runs: of one data set, by name, by id (both separated by commas), or all configurations of a name."""

    data: str | None = None
    """Name of the data set; needed only if there are runs of several."""
    name: str | None = None
    """Names of candidates to use, separated by commas; null uses all."""
    runs: str | None = None
    """Ids of runs to use, separated by commas; null uses the newest of each candidate."""
    all: bool = False
    """Use all configurations of a name instead of the newest one."""
    resamples: int = bounded(10_000, low=100, high=1_000_000)
    """Number of bootstrap resamples and of permutations."""
    format: Format = Format.table
    """Format of the printed result."""
    runs_dir: str = located("runs")
    """Directory of all runs."""


Options = TypeVar("Options", bound=SelectingOptions)


def parse_selecting(
    schema: type[Options], arguments: Sequence[str], also: Sequence[str] = ()
) -> tuple[Options, Objective]:
    """Return the options of a verb and its objective (`objective=...`, `objective.<key>=...`, --config-dir).

    `also` are further groups whose arguments the verb has already removed from `arguments`.

    Raises:
        UserError: an unknown key, a wrong type, a value out of range.
    """
    register()
    rest, config_dir = take_config_dir(arguments)
    of_objective = filter_group("objective", rest)
    own = [argument for argument in rest if argument not in of_objective]
    return parse_options(schema, own, ["objective", *also]), compose_objective(of_objective, config_dir)


def filter_group(group: str, arguments: Sequence[str]) -> list[str]:
    """Return the arguments that choose or change an option of this group of conf/."""
    return [argument for argument in arguments if argument.lstrip("+~").partition("=")[0].partition(".")[0] == group]


def select_runs(options: SelectingOptions, part: str = "test", *, min_splits: int = 1) -> Selection:
    """Select the runs that the options name. Without names, candidates with fewer than `min_splits` are set aside.

    Raises:
        UserError: nothing to select, or runs that cannot be compared.
    """
    return select(
        Path(options.runs_dir),
        data=options.data,
        names=_split_list(options.name),
        ids=_split_list(options.runs),
        every=options.all,
        part=part,
        min_splits=min_splits,
    )


def _split_list(text: str | None) -> list[str]:
    return [item.strip() for item in (text or "").strip().strip("[]").split(",") if item.strip()]


@contextmanager
def show_progress() -> Iterator[Callable[[str], Begin]]:
    """Yield `bar`: `bar("bootstrapping")(steps)` starts a bar and returns the function that advances it.

    Nothing is shown unless stderr is a terminal.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    console = Console(file=unfiltered(sys.stderr))
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar, filter_output():

        def begin(what: str, steps: int) -> Advance:
            task = bar.add_task(escape(printable(what)), total=steps)
            return lambda done: bar.advance(task, done)

        yield lambda what: lambda steps: begin(what, steps)

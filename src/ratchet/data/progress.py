"""Show what a run is doing: a line for the current step, and a bar for a long step of preparing data."""

import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ratchet.printable import filter_output, printable, unfiltered

_steps = logging.getLogger("ratchet.steps")


def report_step(what: str) -> None:
    """Log the step that begins, such as "loading torch"; `show_steps` shows it."""
    _steps.info(what)


@contextmanager
def show_steps(*, shown: bool = True) -> Iterator[None]:
    """Show the step that was reported last, in a line that is cleared at the end. Without a terminal, show nothing."""
    if not (shown and sys.stderr.isatty()):
        yield
        return
    line, level = _StepLine(), _steps.level
    _steps.addHandler(line)
    _steps.setLevel(logging.INFO)
    try:
        yield
    finally:
        _steps.removeHandler(line)
        _steps.setLevel(level)
        line.clear()


class _StepLine(logging.Handler):
    """Write each step over the one before it. What others print below it moves it out of the way.

    There is no thread that animates the line: importing torch would stop it, and it would survive in a forked process.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Show a step."""
        self.clear()
        step = f"{printable(record.getMessage())} ..."
        print(step[: shutil.get_terminal_size().columns - 1], end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Clear the line."""
        print("\r\x1b[2K", end="", file=unfiltered(sys.stderr), flush=True)


def end_steps() -> None:
    """Clear the line of `show_steps`: a progress bar takes its place until the next step is reported."""
    for handler in _steps.handlers:
        if isinstance(handler, _StepLine):
            handler.clear()


@contextmanager
def show_progress(what: str, total: int, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances a bar by a number of steps. Without a terminal, or `shown`, there is no bar."""
    if not (shown and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    end_steps()
    with Progress(console=Console(file=unfiltered(sys.stderr)), transient=True) as bars, filter_output():
        task = bars.add_task(what, total=total)
        yield lambda steps: bars.advance(task, steps)

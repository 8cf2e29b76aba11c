"""Show how far a long step of preparing data is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def show_progress(what: str, total: int, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances a bar by a number of steps. Without a terminal, or `shown`, there is no bar."""
    if not (shown and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda steps: bars.advance(task, steps)

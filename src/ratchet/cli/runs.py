"""`ratchet runs list | show RUN | prune`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ratchet.config import is_option, located, parse_options, plain
from ratchet.errors import UserError, did_you_mean
from ratchet.reporting.run_details import show_run
from ratchet.reporting.run_tables import ladder, list_runs, run_costs
from ratchet.reporting.terminal import Format, print_blocks, print_json
from ratchet.runs import StoredRun, find_run, find_runs
from ratchet.runs.promotions import find_promoted_runs
from ratchet.runs.selection import find_prunable, remove
from ratchet.sweeps.ledger import find_last_sweep, find_sweep_runs

_STATUSES = ("running", "finished", "failed", "interrupted", "killed", "pruned")


@dataclass
class ShowOptions:
    """Arguments of `runs show`."""

    format: Format = Format.table
    """Format of the printed result."""
    runs_dir: str = located("runs")
    """Directory of all runs."""


def show(arguments: list[str]) -> None:
    """Run `ratchet runs show RUN`."""
    if not arguments or is_option(arguments[0]):
        raise UserError("which run? `ratchet runs show RUN`; RUN is an id, a directory or `last`")
    options = parse_options(ShowOptions, arguments[1:])
    run = find_run(Path(options.runs_dir), arguments[0])
    if options.format is Format.json:
        print_json({**plain(run.record), "path": str(run.path), "status": run.status, "figures": run.read_metrics()})
    else:
        print_blocks(show_run(run), markdown=options.format is Format.md)


@dataclass
class ListOptions:
    """Arguments of `runs list`. `sweep` is a sweep's id or `last`; `ladder` and `costs` show one row per candidate."""

    data: str | None = None
    """Data set whose runs are listed; null lists all."""
    name: str | None = None
    """Candidate whose runs are listed; null lists all."""
    status: str | None = None
    """Status of the runs to list: running, finished, failed, interrupted or killed; null lists all."""
    sweep: str | None = None
    """Id of the grid or search whose runs are listed, or last; null lists all."""
    ladder: bool = False
    """Print one row per candidate, from simple to complex, with its metrics."""
    costs: bool = False
    """Print one row per candidate with its costs."""
    format: Format = Format.table
    """Format of the printed result."""
    runs_dir: str = located("runs")
    """Directory of all runs."""


@dataclass
class PruneOptions:
    """Arguments of `runs prune`. Runs are only deleted with `delete=true`, and never those that a promotion names."""

    status: list[str] = field(default_factory=lambda: ["failed", "interrupted", "killed"])
    """Statuses of the runs to delete."""
    superseded: bool = False
    """Delete finished runs that a newer run of the same configuration replaces, too."""
    older_than_days: float = 0.0
    """Only runs that started at least this many days ago are deleted."""
    delete: bool = False
    """Delete the runs; without it they are only listed."""
    runs_dir: str = located("runs")
    """Directory of all runs."""
    promotions_dir: str = located("promotions")
    """Directory of the promotions log."""


ACTIONS = {"list": ListOptions, "show": ShowOptions, "prune": PruneOptions}


def run(arguments: list[str]) -> int:
    """Run the verb `runs`."""
    action, *rest = arguments or ["list"]
    actions = {"list": _list, "show": show, "prune": _prune}
    if action not in actions:
        raise UserError(f"runs {action}: {did_you_mean(action, actions)}")
    actions[action](rest)
    return 0


def _list(arguments: list[str]) -> None:
    options = parse_options(ListOptions, arguments)
    if options.status is not None and options.status not in _STATUSES:
        raise UserError(f"runs list: status={options.status}: {did_you_mean(options.status, _STATUSES)}")
    runs = _select_runs(find_runs(Path(options.runs_dir)), options)
    if options.format is Format.json:
        print_json([{**plain(run.record), "path": str(run.path), "status": run.status} for run in runs])
    elif not runs:
        print(f"no runs in {options.runs_dir}")
    else:
        finished = [run for run in runs if run.status == "finished"]
        tables = run_costs(finished) if options.costs else ladder(finished) if options.ladder else [list_runs(runs)]
        print_blocks(tables, markdown=options.format is Format.md)


def _select_runs(runs: list[StoredRun], options: ListOptions) -> list[StoredRun]:
    if options.sweep is not None:
        runs_dir = Path(options.runs_dir)
        runs = find_sweep_runs(runs_dir, find_last_sweep(runs_dir) if options.sweep == "last" else options.sweep)
    conditions = {"data": options.data, "name": options.name}
    return [
        run
        for run in runs
        if all(value is None or getattr(run.record, key) == value for key, value in conditions.items())
        and options.status in (None, run.status)
    ]


def _prune(arguments: list[str]) -> None:
    options = parse_options(PruneOptions, arguments)
    for status in options.status:
        if status not in _STATUSES or status == "running":
            raise UserError(f"runs prune: status={status}: {did_you_mean(status, _STATUSES[1:])}")
    runs = find_runs(Path(options.runs_dir))
    chosen = find_prunable(
        runs,
        statuses=options.status,
        superseded=options.superseded,
        older_than_days=options.older_than_days,
        keep=find_promoted_runs(Path(options.promotions_dir)),
    )
    _print_prunable(chosen, options.delete)
    if options.delete:
        for run in chosen:
            remove(run)


def _print_prunable(chosen: Sequence[StoredRun], delete: bool) -> None:
    if not chosen:
        print("nothing to prune")
        return
    print_blocks([list_runs(chosen, sizes=True)])
    outcome = "removed" if delete else "would be removed; delete=true removes them"
    print(f"\n{len(chosen)} run{'s' if len(chosen) > 1 else ''} {outcome}")

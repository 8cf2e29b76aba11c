"""`ratchet runs list | show RUN | measure RUN | prune`."""

from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from ratchet.config import bounded, is_option, located, parse_options, plain, register
from ratchet.errors import UserError, did_you_mean
from ratchet.evaluation.cost import explain_disturbance
from ratchet.models import all_settings
from ratchet.reporting.blocks import format_amount
from ratchet.reporting.run_details import show_run
from ratchet.reporting.run_tables import ladder, list_runs, run_costs
from ratchet.reporting.terminal import Format, print_blocks, print_json, print_table, print_text
from ratchet.runs import StoredRun, find_run, find_runs
from ratchet.runs.pruning import (
    Plan,
    Request,
    delete_leftovers,
    delete_runs,
    find_promoted,
    find_promotion_directories,
    plan_pruning,
)
from ratchet.sweeps.ledger import find_last_sweep, find_sweep_runs
from ratchet.sweeps.trials import find_best_runs

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
        raise UserError(
            "which run? `ratchet runs show RUN`; RUN is an id, a directory or `last` (the last finished run)"
        )
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
    """Arguments of `runs prune`. Runs are only deleted with `delete=true`, and never those that something depends on.

    Promotions of the project that the runs are in are found from any directory, `promotions_dir` adds another one.
    """

    status: list[str] = field(default_factory=lambda: ["failed", "interrupted", "killed"])
    """Statuses of the runs to delete."""
    superseded: bool = False
    """Delete finished runs that a newer run of the same configuration replaces, too."""
    older_than_days: float = bounded(0.0, low=0, high=36_500)
    """Only runs that started at least this many days ago are deleted."""
    delete: bool = False
    """Delete the runs; without it they are only listed."""
    runs_dir: str = located("runs")
    """Directory of all runs."""
    promotions_dir: str = located("promotions")
    """Directory of the promotions log."""


@dataclass
class MeasureOptions:
    """Arguments of `runs measure`."""

    format: Format = Format.table
    """Format of the printed result."""
    runs_dir: str = located("runs")
    """Directory of all runs."""


def _measure(arguments: list[str]) -> None:
    """Measure the latency of runs again. All runs are looked up before the first is measured."""
    names = list(takewhile(lambda argument: not is_option(argument), arguments))
    if not names:
        raise UserError("which runs? `ratchet runs measure RUN [RUN ...]`; RUN is an id, a directory or `last`")
    options = parse_options(MeasureOptions, arguments[len(names) :])
    runs = [find_run(Path(options.runs_dir), name) for name in names]
    register(all_settings())

    from ratchet.evaluating import measure_cost_again
    from ratchet.pipeline.plan import RUNS

    before = [run.read_json("cost.json") for run in runs]
    now = [measure_cost_again(run) for run in runs]
    if options.format is Format.json:
        print_json([{"run": run.record.id, "costs": costs} for run, costs in zip(runs, now, strict=True)])
        return
    rows = [_compare_costs(*row) for row in zip(runs, before, now, strict=True)]
    print_table(rows, markdown=options.format is Format.md, left=2)
    if any(row["machine"] != "idle" for row in rows):
        print_text("the machine was busy, which only adds time: measure again on an idle one to know the latency")
    paths = [run.path.resolve() for run in runs]
    stages = [f"train@{path.parent.name}-{path.name}" for path in paths if RUNS.resolve() in path.parents]
    if stages:  # of these stages only: else DVC takes the verdict on the old costs for that on the new ones
        print_text(
            f"DVC tracks these runs: `dvc commit -f {' '.join(stages)}` keeps the costs, `dvc repro` judges them"
        )


def _compare_costs(run: StoredRun, before: dict[str, Any], now: dict[str, Any]) -> dict[str, str]:
    """Return the row of a run: costs before and now, and whether the machine was busy."""
    shown = {"run": run.record.id, "name": run.record.name}
    for key, title in (("latency_ms_p50", "p50 (ms)"), ("latency_ms_p95", "p95 (ms)"), ("items_per_second", "texts/s")):
        shown[title] = f"{format_amount(before.get(f'cost/{key}'))} -> {format_amount(now[f'cost/{key}'])}"
    return {**shown, "machine": explain_disturbance(now, "latency_ms_p95") or "idle"}


ACTIONS = {"list": ListOptions, "show": ShowOptions, "measure": MeasureOptions, "prune": PruneOptions}


def run(arguments: list[str]) -> int:
    """Run the verb `runs`."""
    action, *rest = arguments or ["list"]
    actions = {"list": _list, "show": show, "measure": _measure, "prune": _prune}
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
    runs_dir = Path(options.runs_dir)
    request = Request(options.status, options.superseded, options.older_than_days)
    runs = find_runs(runs_dir)
    asked = plan_pruning(runs, request).runs
    promotions_dir = Path(options.promotions_dir)
    promotions = find_promotion_directories(runs_dir, asked, promotions_dir)
    is_finished = any(run.status == "finished" for run in asked)
    best = dict.fromkeys(find_best_runs(runs_dir) if is_finished else (), "best trial of a study")
    plan = plan_pruning(runs, request, best | find_promoted(promotions))
    _print_prunable(plan)
    if options.delete:
        delete_leftovers(runs_dir)
        deleted = delete_runs(runs_dir, plan.runs, request, promotions_dir=promotions_dir, keep=best)
        _print_deleted(len(deleted), len(plan.runs) - len(deleted))
    elif plan.runs:
        print(f"{_count(len(plan.runs))} would be removed; delete=true removes them")


def _print_prunable(plan: Plan) -> None:
    """Print the runs that can be deleted, and how many others are kept, by reason."""
    if plan.runs:
        print_blocks([list_runs(plan.runs, sizes=True)])
        print()
    else:
        print("nothing to prune")
    for reason, count in plan.kept.items():
        print_text(f"kept: {_count(count)}, {reason}")


def _print_deleted(deleted: int, changed: int) -> None:
    if deleted or changed:
        print(f"{_count(deleted)} removed")
    if changed:
        print(f"kept: {_count(changed)}, used or changed meanwhile")


def _count(number: int) -> str:
    return f"{number} run{'s' if number != 1 else ''}"

"""`ratchet runs list | show RUN | prune`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ratchet.cli.ladder import print_costs, print_ladder
from ratchet.cli.show import Options as ShowOptions
from ratchet.cli.show import show
from ratchet.cli.tables import Format, number, print_json, print_table
from ratchet.config import parse_options, plain
from ratchet.errors import UserError, did_you_mean
from ratchet.evaluation.cost import size_mb
from ratchet.runs import StoredRun, find_runs
from ratchet.runs.promotions import promoted_runs
from ratchet.runs.pruning import prunable, remove
from ratchet.runs.sweeps import last_sweep, runs_of

_WHOLE = ("run", "status")  # columns that a narrow terminal does not fold
_STATUSES = ("running", "finished", "failed", "interrupted", "killed", "pruned")


@dataclass
class ListOptions:
    """Arguments of `runs list`. `sweep` is a sweep's id or `last`; `ladder` and `costs` make one row a candidate."""

    data: str | None = None
    name: str | None = None
    status: str | None = None
    sweep: str | None = None
    ladder: bool = False
    costs: bool = False
    format: Format = Format.table
    runs_dir: str = "runs"


@dataclass
class PruneOptions:
    """Arguments of `runs prune`. Nothing is deleted without `delete=true`, and no run that a promotion rests on."""

    status: list[str] = field(default_factory=lambda: ["failed", "interrupted", "killed"])
    superseded: bool = False
    older_than_days: float = 0.0
    delete: bool = False
    runs_dir: str = "runs"
    promotions_dir: str = "promotions"


ACTIONS = {"list": ListOptions, "show": ShowOptions, "prune": PruneOptions}


def run(arguments: list[str]) -> int:
    """The verb `runs`."""
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
    runs = _selected(find_runs(Path(options.runs_dir)), options)
    if options.format is Format.json:
        print_json([{**plain(run.record), "path": str(run.path), "status": run.status} for run in runs])
    elif not runs:
        print(f"no runs in {options.runs_dir}")
    elif options.ladder or options.costs:
        table = print_costs if options.costs else print_ladder
        table([run for run in runs if run.status == "finished"], markdown=options.format is Format.md)
    else:
        rows = [_row(run) for run in runs]
        print_table(rows, markdown=options.format is Format.md, left=4, whole=_WHOLE)


def _selected(runs: list[StoredRun], options: ListOptions) -> list[StoredRun]:
    if options.sweep is not None:
        runs_dir = Path(options.runs_dir)
        runs = runs_of(runs_dir, last_sweep(runs_dir) if options.sweep == "last" else options.sweep)
    wanted = {"data": options.data, "name": options.name}
    return [
        run
        for run in runs
        if all(value is None or getattr(run.record, key) == value for key, value in wanted.items())
        and options.status in (None, run.status)
    ]


def _row(run: StoredRun) -> dict[str, str]:
    record = run.record
    part = record.evaluate
    figures = run.figures()
    return {
        "run": record.id,
        "data": record.data,
        "name": record.name,
        "status": run.status,
        "seeds": f"{record.split_seed}/{record.seed}",
        "F1 weighted": f"{part} {number(figures.get(f'{part}/f1_weighted'))}",
    }


def _prune(arguments: list[str]) -> None:
    options = parse_options(PruneOptions, arguments)
    for status in options.status:
        if status not in _STATUSES or status == "running":
            raise UserError(f"runs prune: status={status}: {did_you_mean(status, _STATUSES[1:])}")
    runs = find_runs(Path(options.runs_dir))
    found = prunable(
        runs,
        statuses=options.status,
        superseded=options.superseded,
        older_than_days=options.older_than_days,
        keep=promoted_runs(Path(options.promotions_dir)),
    )
    _print_prunable(found, options.delete)
    if options.delete:
        for run in found:
            remove(run)


def _print_prunable(found: Sequence[StoredRun], delete: bool) -> None:
    if not found:
        print("nothing to prune")
        return
    rows = [{**_row(run), "MB": f"{size_mb(run.path):.2f}"} for run in found]
    print_table(rows, left=4, whole=_WHOLE)
    what = "removed" if delete else "would be removed; delete=true does it"
    print(f"\n{len(found)} run{'s' if len(found) > 1 else ''} {what}")

"""`ratchet runs list | show RUN | prune`."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ratchet.cli.ladder import print_costs, print_ladder
from ratchet.cli.lines import print_facts, print_text
from ratchet.cli.tables import Format, number, print_json, print_table
from ratchet.config import is_option, parse_options, plain
from ratchet.errors import UserError, did_you_mean
from ratchet.evaluation.cost import size_mb
from ratchet.runs import StoredRun, find_run, find_runs
from ratchet.runs.promotions import promoted_runs
from ratchet.runs.selection import prunable, remove
from ratchet.runs.sweeps import last_sweep, runs_of

_STATUSES = ("running", "finished", "failed", "interrupted", "killed", "pruned")


@dataclass
class ShowOptions:
    """Arguments of `runs show`."""

    format: Format = Format.table
    runs_dir: str = "runs"


def show(arguments: list[str]) -> None:
    """`ratchet runs show RUN`: its record, headline figures, reliability, and the behavioural cases that it fails."""
    if not arguments or is_option(arguments[0]):
        raise UserError("which run? `ratchet runs show RUN`; RUN is an id, a directory or `last`")
    options = parse_options(ShowOptions, arguments[1:])
    stored = find_run(Path(options.runs_dir), arguments[0])
    if options.format is Format.json:
        print_json(
            {**plain(stored.record), "path": str(stored.path), "status": stored.status, "figures": stored.figures()}
        )
        return
    record = stored.record
    git = record.git.get("commit")
    changed = " with changes (code.diff)" if record.git.get("dirty") else ""
    facts = {
        "run": record.id,
        "status": stored.status,
        "path": str(stored.path),
        "command": shlex.join(["python", "train.py", *record.overrides]),
        "name": f"{record.name} (model {record.model}, config {record.config_hash[:12]})",
        "data": f"{record.data}, version {_hash(record.dataset_version)}, split {_hash(record.split_hash)}",
        "seeds": f"split {record.split_seed}, training {record.seed}",
        "code": f"{git[:12]}{changed}" if git else "not in git",
        "started": record.started_at,
        "ended": record.finished_at or "-",
        "parent": record.parent or "-",
        "hypothesis": record.hypothesis or "-",
        "resumed": ", ".join(each["at"] for each in record.resumes) or "-",
    }
    if record.error:
        facts["error"] = f"{record.error['type']}: {record.error['message']}"
    for name, text in facts.items():
        if name == "command":
            print(f"{name:12}{text}")  # in one piece, to be copied
        else:
            print_facts([(name, text)], at=12)
    headline = {
        key: value
        for key, value in stored.figures().items()
        if key.count("/") == 1 and not key.endswith(("_low", "_high"))
    }
    if headline:
        print()
        rows = [{"figure": key, "value": _figure(value)} for key, value in headline.items()]
        print_table(rows, markdown=options.format is Format.md)
    _print_reliability(stored, options.format)
    _print_failed_cases(stored)


def _print_reliability(stored: StoredRun, form: Format) -> None:
    name = f"reliability/{stored.record.evaluate}.json"
    bins = stored.read_json(name) if (stored.path / name).is_file() else []
    rows = [
        {
            f"scores of {stored.record.evaluate}": f"{each['low']:.1f} to {each['high']:.1f}",
            "count": f"{each['count']:,}",
            "mean score": number(each["mean_score"]),
            "share true": number(each["share_positive"]),
        }
        for each in bins
    ]
    if rows:
        print()
        print_table(rows, markdown=form is Format.md)


def _print_failed_cases(stored: StoredRun) -> None:
    cases = stored.read_json("behaviour.json") if (stored.path / "behaviour.json").is_file() else []
    failed = [case for case in cases if case["passed"] is False]
    if failed:
        print()
        print(f"behavioural cases that fail ({len(failed)} of {sum(case['passed'] is not None for case in cases)})")
    for case in failed:
        print()
        print_text(f"{case['kind']}: {case['name']}")
        print_text(case["found"], indent=2)
        for text in case["texts"]:
            print_text(f"- {text}", indent=2)


def _hash(value: str | None) -> str:
    return value[:12] if value else "-"


def _figure(value: float | int | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


_WHOLE = ("run", "status")  # columns that a narrow terminal does not fold


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

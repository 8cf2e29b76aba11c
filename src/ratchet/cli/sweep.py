"""The verb `sweep`: `list` grids and searches, `show` the jobs of one; and what a search prints."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.comparison.results import metric_name
from ratchet.config import SearchConfig, located, parse_options, plain, search_settings
from ratchet.errors import UserError, did_you_mean
from ratchet.extras import require_extra
from ratchet.files import write_text
from ratchet.reporting.blocks import format_amount, format_number
from ratchet.reporting.terminal import Format, print_facts, print_json, print_table, print_text
from ratchet.sweeps.ledger import Job, find_last_sweep, find_recorded_run, list_sweeps, read_jobs, read_study_id
from ratchet.sweeps.space import to_overrides
from ratchet.sweeps.study import find_study, read_about
from ratchet.sweeps.trials import SearchResult, TrialResult, read_results

if TYPE_CHECKING:
    from ratchet.sweeps.search import SearchOutcome, SearchStart


@dataclass
class ListOptions:
    """Options of `sweep list`."""

    format: Format = Format.table
    """Format of the printed result."""
    runs_dir: str = located("runs")
    """Directory of all runs."""


@dataclass
class ShowOptions(ListOptions):
    """Options of `sweep show`. `out` writes the charts of a search as a page."""

    out: str | None = located(None)
    """File for the charts of a search; null writes none."""


ACTIONS = {"list": ListOptions, "show": ShowOptions}


def run(arguments: list[str]) -> int:
    """Run the verb, and return the exit code."""
    action, *rest = arguments or ["list"]
    if action not in ACTIONS:
        raise UserError(f"sweep {action}: {did_you_mean(action, ACTIONS)}")
    named = [argument for argument in rest if "=" not in argument]
    settings = [argument for argument in rest if "=" in argument]
    if len(named) > (action == "show"):
        raise UserError(f"sweep {action}: {named[-1]!r} is not understood; only key=value")
    if action == "list":
        _list(parse_options(ListOptions, settings))
    else:
        _show(named[0] if named else "last", parse_options(ShowOptions, settings))
    return 0


def _list(options: ListOptions) -> None:
    runs_dir = Path(options.runs_dir)
    rows = [_build_sweep_row(runs_dir, sweep_id) for sweep_id in list_sweeps(runs_dir)]
    if options.format is Format.json:
        print_json(rows)
    elif not rows:
        print(f"no sweeps in {runs_dir}")
    else:
        print_table(rows, markdown=options.format is Format.md, left=3, whole=("sweep",))


def _build_sweep_row(runs_dir: Path, sweep_id: str) -> dict[str, str]:
    jobs = read_jobs(runs_dir, sweep_id)
    outcomes = [job.outcome for job in jobs]
    counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in dict.fromkeys(outcomes))
    return {"sweep": sweep_id, "study": read_study_id(runs_dir, sweep_id) or "-", "jobs": counts or "none"}


def _show(name: str, options: ShowOptions) -> None:
    """Show a sweep by its id, a study by its id or a prefix of it, or the last sweep."""
    runs_dir = Path(options.runs_dir)
    sweeps = list_sweeps(runs_dir)
    sweep_id = find_last_sweep(runs_dir) if name == "last" else name
    if name == "last" and not sweeps:
        raise UserError(f"no sweeps in {runs_dir}: `ratchet train -m ...` makes one")
    if sweep_id not in sweeps:
        _show_study(find_study(runs_dir, name), options)
        return
    study = read_study_id(runs_dir, sweep_id)
    if study is not None:
        _show_study(find_study(runs_dir, study), options)
        return
    if options.out is not None:
        raise UserError(f"out={options.out}: {sweep_id} is a grid; `ratchet report` draws its runs")
    _show_grid(runs_dir, sweep_id, options.format)


def _show_grid(runs_dir: Path, sweep_id: str, form: Format) -> None:
    jobs = read_jobs(runs_dir, sweep_id)
    if form is Format.json:
        print_json([plain(job) for job in jobs])
        return
    print_text(f"sweep {sweep_id}: {len(jobs)} jobs")
    print()
    print_table([_build_job_row(runs_dir, job) for job in jobs], markdown=form is Format.md, left=3)


def _build_job_row(runs_dir: Path, job: Job) -> dict[str, str]:
    stored = find_recorded_run(runs_dir, job.run) if job.run is not None else None
    metrics = stored.read_metrics() if stored is not None else {}
    part = stored.record.evaluate if stored is not None else "test"
    return {
        "job": f"#{job.number}",
        "overrides": " ".join(job.overrides),
        "outcome": f"{job.outcome}: {job.reason}" if job.reason else job.outcome,
        "F1 weighted": f"{part} {format_number(metrics.get(f'{part}/f1_weighted'))}",
        "fit s": format_amount(metrics.get("cost/fit_seconds")),
    }


def _show_study(directory: Path, options: ShowOptions) -> None:
    about = read_about(directory)
    settings = search_settings(about["settings"])
    result = read_results(directory, settings)
    if options.format is Format.json:
        print_json({"study": directory.name, **about, "trials": plain(result.trials), "importance": result.importance})
        return
    facts = search_facts(result, settings)
    if options.out is not None:
        _write_page(Path(options.out), directory.name, about, result, settings)
        return
    print_text(f"study {directory.name}: {' '.join(about['overrides'])}")
    print()
    rows = [_build_trial_row(trial, settings) for trial in _sort_trials(result)]
    print_table(rows, markdown=options.format is Format.md, left=3, whole=("trial", "state"))
    print()
    print_facts(facts, at=14)


def _sort_trials(result: SearchResult) -> list[TrialResult]:
    """Return the best trial first, and those that did not finish last, in order."""
    return sorted(result.trials, key=lambda trial: (trial.metric is None, -(trial.metric or 0), trial.number))


def _build_trial_row(trial: TrialResult, settings: SearchConfig) -> dict[str, str]:
    cost = {} if settings.cost is None else {settings.cost.name: format_amount(trial.cost)}
    return {
        "trial": f"#{trial.number}",
        "state": trial.state,
        "settings": " ".join(value.removeprefix("model.") for value in to_overrides(trial.values)),
        "val": format_number(trial.metric),
        **cost,
        "s": format_amount(trial.seconds),
    }


def _write_page(path: Path, study: str, about: dict[str, object], result: SearchResult, settings: SearchConfig) -> None:
    require_extra("report", what="the page of a search")
    from ratchet.reporting.page import refuse_output
    from ratchet.reporting.search_page import build_search_page

    refuse_output(path)
    all_facts = dict(search_facts(result, settings))
    facts = [
        ("study", study),
        *((name, all_facts[name]) for name in ("trials", "best", "default") if name in all_facts),
    ]
    page = build_search_page(f"A search of {about['model']}'s settings on {about['data']}", result, settings, facts)
    write_text(path, page)
    print(f"{path} ({len(page.encode()) / 1e6:.1f} MB): open it in a browser; it needs no network")


def print_search_start(start: "SearchStart") -> None:
    """Print the state of a study before the first trial of a search."""
    for setting in start.outside:
        print(f"{setting}, the default, is outside the search space: it is not tried, and no gain will be known")
    print(f"study {start.study_id}: {start.tried} of {start.wanted} trials exist")
    sys.stdout.flush()


def print_search(outcome: "SearchOutcome") -> None:
    """Print the results of a search, the experiment that it wrote, and what to do next."""
    if outcome.stopped_after is not None:
        print(f"the first {outcome.stopped_after} trials failed: the search stops", file=sys.stderr)
    facts = search_facts(outcome.result, outcome.settings)
    if outcome.lost_weights is not None:
        facts.append(("weights", outcome.lost_weights))
    if outcome.experiment is not None:
        facts += [("experiment", str(outcome.experiment.path)), ("test it once", outcome.experiment.command)]
    facts.append(("charts", f"ratchet sweep show {outcome.study_id} out=search.html"))
    print()
    print_facts(facts, at=14)


def search_facts(result: SearchResult, settings: SearchConfig) -> list[tuple[str, str]]:
    """Return the facts of a search: the trials, the best one, the default it is compared with, and what matters."""
    states = [trial.state for trial in result.trials]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    facts = [("trials", ", ".join(counts) or "none")]
    best = result.best
    if best is None:
        return [*facts, ("best", "no trial finished")]
    facts += [
        ("best", f"#{best.number}, {_format_result(best, settings)} on val"),
        ("default", _describe_default(result, settings)),
        ("settings", " ".join(to_overrides(best.values))),
    ]
    if result.front:
        front = [f"#{trial.number} ({_format_result(trial, settings)})" for trial in result.front]
        facts.append(("Pareto front", ", ".join(front)))
    if result.importance:
        shares = [
            f"{key.removeprefix('model.')} {share:.0%}" for key, share in result.importance.items() if share >= 0.005
        ]
        facts.append(("importance", ", ".join(shares)))
    return facts


def _describe_default(result: SearchResult, settings: SearchConfig) -> str:
    """Return how the best trial compares with the default settings; without a trial of these, why it is unknown."""
    if result.outside:
        return f"not tried: {' '.join(result.outside)} is outside the space, so no gain is known; compare them on test"
    if result.default is None or result.gain is None:
        return "no trial of it finished, so no gain is known"
    if result.best is result.default:
        return "the best trial: no other is better"
    return (
        f"#{result.default.number}, {_format_result(result.default, settings)} on val: {result.gain:+.3f} on val, "
        "where the best was chosen; this does not measure the test set, `ratchet compare` does"
    )


def _format_result(trial: TrialResult, settings: SearchConfig) -> str:
    cost = "" if settings.cost is None else f", {settings.cost.name} {format_amount(trial.cost)}"
    return f"{metric_name(settings.metric.name)} {format_number(trial.metric)}{cost}"

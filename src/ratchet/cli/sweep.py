"""`ratchet sweep list | show [SWEEP]`: grids and searches, what became of their jobs, and how a search went."""

from dataclasses import dataclass
from pathlib import Path

from ratchet.cli.search_summary import search_facts
from ratchet.config import SearchConfig, parse_options, plain, search_settings
from ratchet.errors import UserError, did_you_mean
from ratchet.files import write_text
from ratchet.reporting.blocks import format_amount, format_number
from ratchet.reporting.terminal import Format, print_facts, print_json, print_table, print_text
from ratchet.runs.stored import read_run
from ratchet.runs.sweeps import Job, jobs_of, known_sweeps, last_sweep, study_of
from ratchet.search.places import find_study
from ratchet.search.results import SearchResult, TrialResult, results_of
from ratchet.search.space import overrides_of
from ratchet.search.study import read_about, read_study


@dataclass
class ListOptions:
    """Arguments of `sweep list`."""

    format: Format = Format.table
    """How the result is printed."""
    runs_dir: str = "runs"
    """Directory of all runs."""


@dataclass
class ShowOptions(ListOptions):
    """Arguments of `sweep show`. `out` writes a search's charts as a page."""

    out: str | None = None
    """File for the charts of a search; null writes none."""


ACTIONS = {"list": ListOptions, "show": ShowOptions}


def run(arguments: list[str]) -> int:
    """The verb `sweep`."""
    action, *rest = arguments or ["list"]
    if action not in ACTIONS:
        raise UserError(f"sweep {action}: {did_you_mean(action, ACTIONS)}")
    named, given = [each for each in rest if "=" not in each], [each for each in rest if "=" in each]
    if len(named) > (action == "show"):
        raise UserError(f"sweep {action}: {named[-1]!r} is not understood; only key=value")
    if action == "list":
        _list(parse_options(ListOptions, given))
    else:
        _show(named[0] if named else "last", parse_options(ShowOptions, given))
    return 0


def _list(options: ListOptions) -> None:
    runs_dir = Path(options.runs_dir)
    rows = [_sweep_row(runs_dir, sweep_id) for sweep_id in known_sweeps(runs_dir)]
    if options.format is Format.json:
        print_json(rows)
    elif not rows:
        print(f"no sweeps in {runs_dir}")
    else:
        print_table(rows, markdown=options.format is Format.md, left=3, whole=("sweep",))


def _sweep_row(runs_dir: Path, sweep_id: str) -> dict[str, str]:
    jobs = jobs_of(runs_dir, sweep_id)
    outcomes = [job.outcome for job in jobs]
    counts = ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes))
    return {"sweep": sweep_id, "study": study_of(runs_dir, sweep_id) or "-", "jobs": counts or "none"}


def _show(wanted: str, options: ShowOptions) -> None:
    """A sweep by its id, a study by its id or the beginning of it, or the last sweep."""
    runs_dir = Path(options.runs_dir)
    sweeps = known_sweeps(runs_dir)
    sweep_id = last_sweep(runs_dir) if wanted == "last" else wanted
    if wanted == "last" and not sweeps:
        raise UserError(f"no sweeps in {runs_dir}: `python train.py -m ...` makes one")
    if sweep_id not in sweeps:
        _show_study(find_study(runs_dir, wanted), options)
        return
    study = study_of(runs_dir, sweep_id)
    if study is not None:
        _show_study(find_study(runs_dir, study), options)
        return
    if options.out is not None:
        raise UserError(f"out={options.out}: {sweep_id} is a grid; `ratchet report` draws its runs")
    _show_grid(runs_dir, sweep_id, options.format)


def _show_grid(runs_dir: Path, sweep_id: str, form: Format) -> None:
    jobs = jobs_of(runs_dir, sweep_id)
    if form is Format.json:
        print_json([plain(job) for job in jobs])
        return
    print_text(f"sweep {sweep_id}: {len(jobs)} jobs")
    print()
    print_table([_job_row(runs_dir, job) for job in jobs], markdown=form is Format.md, left=3)


def _job_row(runs_dir: Path, job: Job) -> dict[str, str]:
    path = runs_dir / job.run if job.run is not None else None
    there = path is not None and (path / "record.json").is_file()
    stored = read_run(path) if path is not None and there else None
    figures = stored.figures() if stored is not None else {}
    part = stored.record.evaluate if stored is not None else "test"
    said = f"{job.outcome}: {job.reason}" if job.reason else job.outcome
    return {
        "job": f"#{job.number}",
        "overrides": " ".join(job.overrides),
        "outcome": said,
        "F1 weighted": f"{part} {format_number(figures.get(f'{part}/f1_weighted'))}",
        "fit s": format_amount(figures.get("cost/fit_seconds")),
    }


def _show_study(directory: Path, options: ShowOptions) -> None:
    about = read_about(directory)
    settings = search_settings(about["settings"])
    found = results_of(read_study(directory, settings), settings)
    if options.format is Format.json:
        print_json({"study": directory.name, **about, "trials": plain(found.trials), "importance": found.importance})
        return
    facts = search_facts(found, settings)
    if options.out is not None:
        _write_page(Path(options.out), directory.name, about, found, settings)
        return
    print_text(f"study {directory.name}: {' '.join(about['overrides'])}")
    print()
    rows = [_trial_row(trial, settings) for trial in _in_order(found)]
    print_table(rows, markdown=options.format is Format.md, left=3, whole=("trial", "state"))
    print()
    print_facts(facts, at=14)


def _in_order(found: SearchResult) -> list[TrialResult]:
    """The best first; what did not finish last, in its order."""
    return sorted(found.trials, key=lambda trial: (trial.metric is None, -(trial.metric or 0), trial.number))


def _trial_row(trial: TrialResult, settings: SearchConfig) -> dict[str, str]:
    cost = {} if settings.cost is None else {settings.cost.name: format_amount(trial.cost)}
    return {
        "trial": f"#{trial.number}",
        "state": trial.state,
        "settings": " ".join(each.removeprefix("model.") for each in overrides_of(trial.values)),
        "val": format_number(trial.metric),
        **cost,
        "s": format_amount(trial.seconds),
    }


def _write_page(path: Path, study: str, about: dict[str, object], found: SearchResult, settings: SearchConfig) -> None:
    from ratchet.reporting.search_page import build_search_page

    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"out={path}: {'a directory' if path.is_dir() else 'no such directory'}: name a file")
    said = dict(search_facts(found, settings))
    facts = [("study", study), *((name, said[name]) for name in ("trials", "best"))]
    page = build_search_page(f"A search of {about['model']}'s settings on {about['data']}", found, settings, facts)
    write_text(path, page)
    print(f"{path} ({len(page.encode()) / 1e6:.1f} MB): open it in a browser; it needs no network")

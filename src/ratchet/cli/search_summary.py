"""The end of a search: what was best, what mattered, and the experiment that is left to try on test."""

from pathlib import Path
from typing import Any

from ratchet.cli.search_request import Request
from ratchet.comparison.results import metric_name
from ratchet.config import Config, SearchConfig, compose, config_hash, hashed
from ratchet.machine import available_cores
from ratchet.project import CONF
from ratchet.reporting.blocks import format_amount, format_number
from ratchet.reporting.terminal import print_facts
from ratchet.runs.stored import read_run
from ratchet.search.experiment import differences, experiment_text, write_experiment
from ratchet.search.results import SearchResult, TrialResult, results_of
from ratchet.search.space import overrides_of
from ratchet.search.study import read_study

_KEPT = ("data", "split", "seed", "threads", "trainer", "runs_dir", "promotions_dir")  # of a command line, for the test


def conclude(request: Request, directory: Path) -> None:
    """Print what the study in `directory` found, and write its best trial to conf/experiment/.

    Raises:
        UserError: the experiment's file cannot be written.
    """
    settings = request.config.sweep
    found = results_of(read_study(directory, settings), settings)
    facts = search_facts(found, settings)
    best = found.best
    if best is not None and best is not found.default:
        path, command = _write(request, best, len(found.trials))
        facts += [("experiment", str(path)), ("test it once", command)]
    facts.append(("charts", f"ratchet sweep show {directory.name} out=search.html"))
    print()
    print_facts(facts, at=14)


def search_facts(found: SearchResult, settings: SearchConfig) -> list[tuple[str, str]]:
    """What was tried, which trial is best and by how much, and what mattered."""
    states = [trial.state for trial in found.trials]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    facts = [("trials", ", ".join(counts) or "none")]
    best, default = found.best, found.default
    if best is None:
        return [*facts, ("best", "no trial finished")]
    said = f"#{best.number}, {_measured(best, settings)}"
    if best is default:
        said += ": the default settings; nothing that was tried is better"
    elif default is not None and best.metric is not None and default.metric is not None:
        gain = best.metric - default.metric
        said += f"; the default {_measured(default, settings)}: {gain:+.3f}, flattered by the choice"
    facts += [("best", said), ("settings", " ".join(overrides_of(best.values)))]
    if found.front:
        unbeaten = [f"#{trial.number} ({_measured(trial, settings)})" for trial in found.front]
        facts.append(("nothing beats", ", ".join(unbeaten)))
    if found.importance:
        named = {key.removeprefix("model."): share for key, share in found.importance.items()}
        shares = [f"{name} {share:.0%}" for name, share in named.items() if share >= 0.005]
        facts.append(("importance", ", ".join(shares)))
    return facts


def _measured(trial: TrialResult, settings: SearchConfig) -> str:
    cost = "" if settings.cost is None else f", {settings.cost.name} {format_amount(trial.cost)}"
    return f"{metric_name(settings.metric.name)} {format_number(trial.metric)}{cost}"


def _write(request: Request, best: TrialResult, trials: int) -> tuple[Path, str]:
    """The experiment's file, and the command that runs it on test."""
    config = request.config
    name = config.sweep.experiment or f"{config.model.name}_tuned"
    tuned = compose([*request.fixed, *overrides_of(best.values)], request.config_dir)
    usual = compose([f"model={config.model.name}", f"data={config.data.name}"], request.config_dir)
    changed = differences(_candidate(usual), _candidate(tuned))
    kept = [f"data={config.data.name}", *(each for each in request.fixed if _is_kept(each))]
    further = [f"--config-dir {request.config_dir}"] if request.config_dir else []
    command = " ".join(["python train.py", f"experiment={name}", *kept, *further])
    what = f"the best settings of {config.model.name} that {trials} trials found"
    text = experiment_text(name, config.model.name, changed, what, command, _expected(config, best))
    path = write_experiment((request.config_dir or CONF) / "experiment", name, text)
    again = compose([f"experiment={name}", *kept], request.config_dir)
    assert config_hash(again) == config_hash(tuned), f"{path} does not say all of what was tried"
    return path, command


def _is_kept(override: str) -> bool:
    """Whether it is for the command that tests the experiment: its data set is named there by itself."""
    key = override.lstrip("+").partition("=")[0]
    return key != "data" and key.partition(".")[0] in _KEPT


def _candidate(config: Config) -> dict[str, Any]:
    """What of a candidate an experiment sets: all but its data and how they are divided, which the command names."""
    return {key: value for key, value in hashed(config).items() if key not in ("data", "split", "trainer")}


def _expected(config: Config, best: TrialResult) -> str:
    """What it costs and reaches, in a line, as every experiment says it (docs/command-line.md)."""
    assert best.run is not None
    figures = read_run(Path(config.runs_dir) / best.run).figures()
    seconds, cores = figures["cost/fit_seconds"], config.threads or available_cores()
    spent = f"{max(seconds, 1):.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    value, low, high = (
        f"{figures[f'val/f1_weighted{end}']:.3f}".removeprefix("0") for end in ("", "_ci_low", "_ci_high")
    )
    machine = f"{cores} core{'s' if cores > 1 else ''}"
    return f"About {spent} on {machine}; weighted F1 {value} [{low}, {high}] on val of split {config.split.seed}."

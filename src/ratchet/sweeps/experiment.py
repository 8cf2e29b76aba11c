"""Write the best trial of a search to conf/experiment/, with the command that evaluates it on test."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ratchet.config import Config, compose, config_hash, hashed
from ratchet.errors import UserError
from ratchet.files import write_text
from ratchet.machine import available_cores
from ratchet.project import current_project
from ratchet.sweeps.ledger import find_recorded_run
from ratchet.sweeps.space import SearchRequest, to_overrides
from ratchet.sweeps.trials import TrialResult

_MARK = "# Written by a search"
_KEPT = ("data", "split", "seed", "threads", "trainer", "runs_dir", "promotions_dir")  # arguments for the test command


@dataclass(frozen=True)
class Experiment:
    """A file in conf/experiment/, and the command that runs it on test."""

    path: Path
    command: str


def write_best(request: SearchRequest, best: TrialResult, num_trials: int) -> Experiment:
    """Write the settings of the best trial as an experiment. A file of an earlier search is replaced.

    Raises:
        UserError: the file cannot be written, or no search wrote it.
    """
    config = request.config
    name = config.sweep.experiment or f"{config.model.name}_tuned"
    tuned = compose([*request.fixed, *to_overrides(best.values)], request.config_dir)
    plain_model = compose([f"model={config.model.name}", f"data={config.data.name}"], request.config_dir)
    changed = find_changes(_settings_of_model(plain_model), _settings_of_model(tuned))
    kept = [f"data={config.data.name}", *(override for override in request.fixed if _is_kept(override))]
    config_dir = [f"--config-dir {request.config_dir}"] if request.config_dir else []
    command = " ".join(["ratchet train", f"experiment={name}", *kept, *config_dir])
    title = f"the best settings of {config.model.name} in {num_trials} trials"
    text = experiment_text(name, config.model.name, changed, title, command, _expected_result(config, best))
    path = write_experiment((request.config_dir or current_project().conf) / "experiment", name, text)
    reread = compose([f"experiment={name}", *kept], request.config_dir)
    assert config_hash(reread) == config_hash(tuned), f"{path} does not contain all settings of the trial"
    return Experiment(path, command)


def _is_kept(override: str) -> bool:
    """Return whether the test command repeats an override. It names the data set itself."""
    key = override.lstrip("+").partition("=")[0]
    return key != "data" and key.partition(".")[0] in _KEPT


def _settings_of_model(config: Config) -> dict[str, Any]:
    """Return what an experiment sets: everything hashed except the data and the split, which the command names."""
    return {key: value for key, value in hashed(config).items() if key not in ("data", "split", "trainer")}


def _expected_result(config: Config, best: TrialResult) -> str:
    """Return cost and metric in one line, in the form that all experiments have (docs/command-line.md)."""
    assert best.run is not None
    run = find_recorded_run(Path(config.runs_dir), best.run)
    if run is None:
        raise UserError(f"{config.runs_dir}/{best.run}: the run of the best trial was removed: restore it")
    metrics = run.read_metrics()
    seconds, cores = metrics["cost/fit_seconds"], config.threads or available_cores()
    duration = f"{max(seconds, 1):.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    f1, low, high = (f"{metrics[f'val/f1_weighted{end}']:.3f}".removeprefix("0") for end in ("", "_ci_low", "_ci_high"))
    machine = f"{cores} core{'s' if cores > 1 else ''}"
    return f"About {duration} on {machine}; weighted F1 {f1} [{low}, {high}] on val of split {config.split.seed}."


def find_changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the nested keys of `after` whose values differ from those of `before`."""
    changes: dict[str, Any] = {}
    for key, value in after.items():
        if isinstance(value, dict) and isinstance(before.get(key), dict):
            inner = find_changes(before[key], value)
            if inner:
                changes[key] = inner
        elif key not in before or before[key] != value:
            changes[key] = value
    return changes


def experiment_text(name: str, model: str, changed: dict[str, Any], title: str, command: str, expected: str) -> str:
    """Return the text of the file, with the same head as all experiments; `changed` holds the nested keys it sets."""
    body = "".join(_to_yaml({key: value}) for key, value in changed.items())
    return (
        "# @package _global_\n"
        f"{_MARK}: {title}.\n"
        f"# {command}\n"
        f"# {expected}\n"
        "defaults:\n"
        f"  - override /model: {model}\n"
        f"name: {name}\n"
        f"{body}"
    )


def _to_yaml(changed: dict[str, Any]) -> str:
    # With None, PyYAML writes the innermost values in braces; a flat mapping would be all braces.
    is_nested = any(isinstance(value, dict) for value in changed.values())
    flow_style = None if is_nested else False
    return str(yaml.safe_dump(changed, sort_keys=False, default_flow_style=flow_style, allow_unicode=True))


def write_experiment(directory: Path, name: str, text: str) -> Path:
    """Write `directory`/<name>.yaml, and return its path. A file that a search wrote is replaced.

    Raises:
        UserError: a file of that name that no search wrote, or one that cannot be written.
    """
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise UserError(f"sweep.experiment={name!r} names a file: letters, digits, '_', '-' and '.' only")
    path = directory / f"{name}.yaml"
    try:
        if path.is_file() and _MARK not in path.read_text(encoding="utf-8"):
            raise UserError(f"{path}: exists, and no search wrote it: set sweep.experiment=ANOTHER_NAME")
        directory.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
    return path

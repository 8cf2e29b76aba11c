"""The verb `train`: `python train.py [-m] [overrides]`. Hydra composes, then a run or a sweep starts."""

import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import main as hydra_main
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode

from ratchet.cli.arguments import VERSION, check_arguments, check_hydra_settings
from ratchet.cli.locating import enter_project
from ratchet.cli.main import HELP, print_error, print_replaced, print_version, run_guarded
from ratchet.config import COMPOSITION_ERRORS, Config, Origin, explain, load, register, take_config_dir, to_config
from ratchet.config.composition import compose_node
from ratchet.config.grammar import list_sweep_values, take_first_value
from ratchet.config.search_path import searching
from ratchet.data.progress import show_steps
from ratchet.errors import RunFailed, UserError
from ratchet.machine import TERMINATED, environment
from ratchet.models import all_settings
from ratchet.project import PACKAGED, VARIABLE
from ratchet.sweeps.jobs import (
    JobResult,
    Plan,
    find_finished_jobs,
    new_sweep_id,
    plan_grid,
    recorded_overrides,
    run_job,
)
from ratchet.sweeps.ledger import Job, SweepResult, read_sweep
from ratchet.tracking import print_upload

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ratchet.runs import StoredRun

FULL = os.environ.get("HYDRA_FULL_ERROR") == "1"
# Hydra takes overrides before or after a flag, not on both sides. Users write this flag anywhere, so it goes first.
_MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")
_OTHER_CONFIG = ("--config-name", "-cn", "--config-path", "-cp")
_WITH_RESUME = ("resume=", "runs_dir=", "trainer.progress_bar=")  # keys that do not change what is trained
_ASKS = ("--hydra-help", "--cfg", "-c", "--info", "-i", "--version", "--shell-completion", "-sc")


def main(project: Path | None = None) -> int:
    """Run `python train.py` with the arguments of the process, and return the exit code.

    `project` is the root of the project that the script belongs to; by default the project is that of the working
    directory.
    """
    return run_guarded(_run_here if project is None else lambda: _run_in(project))


def _run_here() -> int:
    arguments = enter_project(sys.argv[1:])
    print_replaced("train", arguments)
    return run(arguments)


def _run_in(project: Path) -> int:
    """Run in the project of a script, unless the user named another one or works in a subdirectory."""
    if not os.environ.get(VARIABLE):
        os.environ[VARIABLE] = str(project.resolve())
    return _run_here()


def run(arguments: Sequence[str]) -> int:
    """Run Hydra's command line with these arguments, and return the exit code."""
    register(all_settings())
    overrides, config_dir = take_config_dir(arguments)
    check_arguments(overrides)
    if VERSION in overrides:
        return print_version()
    overrides = [_quote_run(argument) for argument in overrides]
    if not HELP.isdisjoint(overrides):
        return _print_help(overrides, config_dir)
    multirun = [argument for argument in overrides if argument in _MULTIRUN]
    overrides = [argument for argument in overrides if argument not in _MULTIRUN]
    asks = any(argument.split("=")[0] in _ASKS for argument in arguments)
    command = [*multirun, *overrides]
    planned = None
    try:
        if multirun:
            command = [*multirun, *list_sweep_values(overrides, config_dir)]
            overrides = command[len(multirun) :]
        if multirun and not asks:
            sweep_id = new_sweep_id()
            if not any(argument.split("=")[0] in _OTHER_CONFIG for argument in arguments):
                keys = [argument for argument in overrides if not argument.startswith("-")]
                planned = plan_grid(keys, config_dir, sweep_id)
                finished = planned and not any("hydra" in key for key in keys) and find_finished_jobs(planned)
                if planned and finished:
                    return _print_finished(planned, finished)
            command.append(f"sweep_id={sweep_id}")
        with searching(config_dir) as primary, environment(HYDRA_FULL_ERROR="1"), _replace_argv(command):
            # With the variable Hydra raises, and `run_guarded` prints.
            conf = str(PACKAGED / "conf")
            hydra_main(config_path=conf, config_name=primary, version_base="1.3")(_run_hydra_job)()
    except COMPOSITION_ERRORS as error:
        keys = [argument for argument in overrides if "=" in argument]
        raise explain(error, Origin(keys, config_dir=config_dir)) from error
    except (KeyboardInterrupt, SystemExit) as stop:
        if planned is not None and (isinstance(stop, KeyboardInterrupt) or stop.code == TERMINATED):
            _print_interrupted(read_sweep(planned.runs_dir, sweep_id))
        raise
    return 0


def _print_finished(plan: Plan, results: Sequence[JobResult]) -> int:
    """Print a grid all of whose jobs finished before; return the exit code."""
    for result in results:
        print_job(result)
    sweep = read_sweep(plan.runs_dir, plan.sweep_id)
    _print_end(sweep)
    return 0 if sweep.succeeded else 1


@contextmanager
def _replace_argv(arguments: Sequence[str]) -> Iterator[None]:
    """Set sys.argv until the block ends: `hydra.main` parses it, and has no parameter for arguments."""
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        yield
    finally:
        sys.argv = before


def _print_help(arguments: Sequence[str], config_dir: Path | None) -> int:
    """Print what can be set, for the configuration that the arguments choose; of listed values, use the first.

    This happens before Hydra starts, whose own help copies the complete configuration store once for each group.
    """
    from ratchet.cli.help import print_configuration

    overrides = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
    if set(_MULTIRUN) & set(arguments):
        overrides = [first for override in overrides if (first := take_first_value(override))]
    cfg, origin = compose_node("config", overrides, config_dir)
    print_configuration(to_config(cfg, origin), origin.choices, config_dir)
    return 0


def _quote_run(override: str) -> str:
    """Quote the run of `parent=` and `resume=`: Hydra would read an id that ends in 26e551 as a number."""
    key, _, value = override.partition("=")
    is_id = key in ("parent", "resume") and re.fullmatch(r"\d[\w-]*", value)
    is_path = key == "resume" and not re.fullmatch(r"'.*'|\".*\"|[a-z]*", value)  # null and last are keywords
    if not (is_id or is_path):
        return override
    # A backslash counts only before a quote, the closing one included.
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + "\\'" * bool(match[2]), value)
    return f"{key}='{escaped}'"


def _run_hydra_job(cfg: "DictConfig") -> None:
    """Run one job of Hydra: the only run, or a job of a sweep."""
    hydra = HydraConfig.get()
    overrides = recorded_overrides(hydra.overrides.task)
    sources = hydra.runtime.config_sources
    config_dir = next((Path(source.path) for source in sources if source.provider == "command-line"), None)
    origin = Origin(overrides, dict(hydra.runtime.choices), config_dir)
    if hydra.mode is RunMode.MULTIRUN:
        config = to_config(cfg, origin)
        with show_steps(shown=config.trainer.progress_bar):
            job = run_job(config, overrides, hydra.job.num, config_dir)
        print_job(job)
        return
    from ratchet.reporting.run_details import summarise_run
    from ratchet.reporting.terminal import print_blocks
    from ratchet.runs.stored import read_run
    from ratchet.training import train

    try:
        check_hydra_settings(hydra.run.dir, bool(hydra.job.chdir), origin.of("hydra.run", "hydra.job"))
        config = to_config(cfg, origin)
        if config.sweep.space:
            raise UserError(
                f"command line, sweep={origin.choices['sweep']}: a search needs -m: ratchet train -m sweep=..."
            )
        with show_steps(shown=config.trainer.progress_bar):
            if config.resume is None:
                outcome = train(config, overrides, config_dir=config_dir)
            else:
                stored, config = _read_resumed(config, overrides)
                outcome = train(config, overrides, resume=stored)
        print_blocks(summarise_run(read_run(outcome.path), outcome.test_readings))
        print_upload([outcome.path])
    except (UserError, RunFailed) as error:  # printed here, because Hydra would add a line of its own
        sys.exit(print_error(error, full=FULL))
    except OSError:  # of stdout: `run_guarded` reports it
        raise
    except Exception:  # a bug; `run` would report it as an error of the configuration
        traceback.print_exc()
        sys.exit(1)


def _read_resumed(config: Config, overrides: Sequence[str]) -> "tuple[StoredRun, Config]":
    """Return the run that `resume` names, and the configuration that it started with."""
    from ratchet.runs import find_run
    from ratchet.runs.accesses import find_runs_dir

    others = [override for override in overrides if not override.startswith(_WITH_RESUME)]
    if others:
        raise UserError(
            f"command line, {others[0]}: resume={config.resume} uses the configuration that the run started "
            "with: leave the others out, or start a new run"
        )
    stored = find_run(Path(config.runs_dir), str(config.resume), to_resume=True)
    own = load(stored.path / "config.yaml", all_settings())
    own.trainer.progress_bar = config.trainer.progress_bar
    own.runs_dir = str(find_runs_dir(stored, own.runs_dir, has_own_place=own.run_dir is not None))
    return stored, own


def print_job(result: JobResult) -> None:
    """Print the outcome of a job in one line; add a stack trace unless it is a user error."""
    from ratchet.reporting.run_details import print_job_line

    job, label = result.job, _name_job(result.job)
    if job.outcome == "pruned":
        print(f"{label}: pruned, {job.reason}")
    elif result.error is not None:
        if FULL or not isinstance(result.error, UserError):
            traceback.print_exception(result.error)
        print_failed_job(job)
    elif result.path is not None:
        print_job_line(f"{label}: done before" if job.outcome == "done before" else label, result.path)
    if result.not_recorded is not None:
        print(f"{label}: {job.outcome}, but not recorded: {result.not_recorded}", file=sys.stderr)


def print_failed_job(job: Job) -> None:
    """Print a job that failed, with the reason."""
    print(f"{_name_job(job)}: failed: {job.reason}", file=sys.stderr)


def print_output(out: str, err: str) -> None:
    """Print what a job printed in its own process."""
    print(out, end="", flush=True)
    print(err, end="", file=sys.stderr)


def _name_job(job: Job) -> str:
    """Return the number and overrides of a job; for a trial, its own number and only the keys of the search."""
    for index, override in enumerate(job.overrides):
        key, _, trial = override.partition("=")
        if key == "sweep.trial":
            return " ".join([f"#{trial}", *(tried.removeprefix("model.") for tried in job.overrides[index + 1 :])])
    return " ".join([f"#{job.number}", *job.overrides])


class SweepEnd(Callback):
    """Print the end of a sweep. Hydra calls it after the last job; it exits with code 1 if a job did not finish."""

    def on_multirun_end(self, config: "DictConfig", **_: Any) -> None:
        """Print the table of the sweep's runs, and the jobs that did not finish with their reasons."""
        try:
            sweep = read_sweep(Path(config.runs_dir), config.sweep_id)
        except UserError as error:  # Hydra would turn it into a warning
            sys.exit(print_error(error))
        _print_end(sweep)
        print_upload(run.path for run in sweep.runs)
        if not sweep.succeeded:
            sys.exit(1)


def _print_end(sweep: SweepResult) -> None:
    from ratchet.reporting.run_tables import ladder
    from ratchet.reporting.terminal import print_blocks

    if sweep.finished and not sweep.is_search:  # a search has printed its results
        print()
        print_blocks(ladder(sweep.finished))
    _print_lost(sweep)
    for run in sweep.unrecorded:
        overrides = " ".join(run.record.overrides)
        print(f"finished, but not recorded in the sweep: {overrides} ({run.path})", file=sys.stderr)
    if sweep.lost or not (sweep.runs or sweep.is_search):
        total = max(len(sweep.jobs), len(sweep.runs))
        print(f"{len(sweep.lost)} of {total} runs did not finish", file=sys.stderr)


def _print_interrupted(sweep: SweepResult) -> None:
    """Print which jobs of an interrupted sweep did not finish, and how to continue it."""
    _print_lost(sweep)
    print(f"{len(sweep.lost)} of {len(sweep.jobs)} runs did not finish; the same command continues", file=sys.stderr)


def _print_lost(sweep: SweepResult) -> None:
    for lost in sweep.lost:
        line = ": ".join(filter(None, (lost.status, " ".join(lost.overrides), lost.reason)))
        print(f"{line} ({lost.path})" if lost.path else line, file=sys.stderr)

"""`-m`: jobs that are all checked before the first one starts, none of them done twice, none of them lost."""

import secrets
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.cli.search_request import read_request
from ratchet.config import Config, compose
from ratchet.errors import Pruned, RunFailed, UserError
from ratchet.runs.sweeps import Job, Outcome, note_job, plan_sweep

if TYPE_CHECKING:
    from ratchet.runs import StoredRun
    from ratchet.training import Inputs


def new_sweep_id() -> str:
    """When the sweep began, and something that no other one has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def recorded(overrides: Sequence[str]) -> list[str]:
    """What of a job's overrides its record has: not what Hydra is to do, nor who runs it for which sweep."""
    return [
        each for each in overrides if not each.lstrip("+~").startswith(("hydra.", "hydra/", "launcher=", "sweep_id="))
    ]


def plan_grid(overrides: Sequence[str], config_dir: Path | None, sweep_id: str) -> Path | None:
    """Compose every job of a grid, so that the last one's typo is told before the first one's hours; write them down.

    Returns the runs directory that they are written to, None where another sweeper than Hydra's own decides on them.

    Raises:
        UserError: a mistake in any of them; a key that makes no sense for several runs.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    keys = {override.key_or_group for override in parsed}
    if "resume" in keys:
        raise UserError("command line: resume goes on with one run, -m makes new ones: leave one of them out")
    if "run_dir" in keys:
        raise UserError("command line: run_dir fixes one directory, -m makes several runs: leave run_dir out")
    if any(override.key_or_group == "launcher" and override.is_sweep_override() for override in parsed):
        raise UserError("command line: one launcher runs all jobs: choose one")
    if "hydra/sweeper" in keys:  # which jobs there will be is its own affair
        return None
    if "sweep" in keys:
        return Path(read_request(overrides, config_dir).config.runs_dir)
    jobs = [list(job) for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None) for job in batch]
    configs = [compose(job, config_dir) for job in jobs]
    runs_dir = Path(configs[0].runs_dir)
    plan_sweep(runs_dir, sweep_id, [recorded(job) for job in jobs])
    return runs_dir


def run_job(config: Config, overrides: Sequence[str], number: int, *, full: bool = False) -> None:
    """Make the run of a job, unless it is done already; whatever becomes of it, the other jobs go on.

    `full` shows the stack trace of a user's mistake, too.
    """
    shown = _shown(config, overrides, number)
    job, path = Job(number, list(overrides), "failed"), None
    try:
        outcome, path = _made(config, overrides, shown)
        job = replace(job, outcome=outcome)
    except Pruned as stop:
        print(f"{shown}: pruned, {stop}")
        job, path = replace(job, outcome="pruned", reason=str(stop)), stop.path
    except (RunFailed, UserError) as error:  # the table at the end names it
        reason, path = (error.reason, error.path) if isinstance(error, RunFailed) else (error, None)
        if full or not isinstance(reason, UserError):
            traceback.print_exception(reason)
        print(f"{shown}: failed: {reason}", file=sys.stderr)
        job = replace(job, reason=str(reason))
    if config.sweep_id is not None:
        try:
            note_job(Path(config.runs_dir), config.sweep_id, job, path)
        except UserError as error:  # the other jobs can still be made; the table at the end misses the note
            print(f"{shown}: {job.outcome}, but not noted: {error}", file=sys.stderr)


def _shown(config: Config, overrides: Sequence[str], number: int) -> str:
    """What a job is called: of a search, what is tried."""
    trial = config.sweep.trial
    if trial is None:
        return f"#{number} {' '.join(overrides)}"
    tried = [each.removeprefix("model.") for each in overrides[overrides.index(f"sweep.trial={trial}") + 1 :]]
    return f"#{trial} {' '.join(tried)}"


def _made(config: Config, overrides: Sequence[str], shown: str) -> tuple[Outcome, Path]:
    """The directory of the job's run, and whether it was made now or before."""
    from ratchet.reporting.run_details import print_job_line
    from ratchet.search.pruning import watch_of
    from ratchet.training import read_inputs, settle_devices, train

    settle_devices(config)
    read = cache(lambda: read_inputs(config))
    done = None if config.fresh else _done(config, read)
    if done is not None:
        print_job_line(f"{shown}: done before", done.path)
        return "done before", done.path
    watch = watch_of(config.sweep, Path(config.runs_dir))
    path = train(config, overrides, read=lambda _: read(), watch=watch).path
    print_job_line(shown, path)
    return "finished", path


def _done(config: Config, read: "Callable[[], Inputs]") -> "StoredRun | None":
    """The run that was made before, if there is one."""
    from ratchet.evaluation.behaviour import behaviour_hash
    from ratchet.machine import available_cores
    from ratchet.runs.done import DataIdentity, find_done

    def data() -> DataIdentity:
        return read().prepared.version, read().split.hash, behaviour_hash(read().behaviour)

    try:
        return find_done(config, config.threads or available_cores(), data)
    except UserError:  # what is wrong with the data is for the record of a run to say
        return None

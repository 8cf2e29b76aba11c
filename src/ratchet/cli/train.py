"""`python train.py`: Hydra composes, every job is checked before the first one starts, then training.train runs."""

import os
import re
import secrets
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import main as hydra_main
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from ratchet.cli.main import guarded, report
from ratchet.config import (
    COMPOSITION_ERRORS,
    CONF,
    Config,
    Origin,
    compose,
    explain,
    load,
    register,
    take_config_dir,
    to_config,
)
from ratchet.errors import RunFailed, UserError
from ratchet.models import all_settings

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ratchet.runs import StoredRun

_FULL = os.environ.get("HYDRA_FULL_ERROR") == "1"
# Hydra takes overrides before or after a flag, not on both sides; people put this one anywhere, so it is put first.
_MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")
_OTHER_CONFIG = ("--config-name", "-cn", "--config-path", "-cp")
_WITH_RESUME = ("resume=", "runs_dir=", "trainer.progress_bar=")  # what does not change what is trained
_ASKS = ("-h", "--help", "--hydra-help", "--cfg", "-c", "--info", "-i", "--version", "--shell-completion", "-sc")


def main() -> int:
    """`python train.py [overrides]`; returns the exit code."""
    return guarded(lambda: run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The verb `train`: Hydra's command line with these arguments."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands exceptions on, `guarded` says them
    register(all_settings())
    overrides, config_dir = take_config_dir(arguments)
    overrides = [_id_as_text(each) for each in overrides]
    grid = [argument for argument in overrides if argument in _MULTIRUN]
    overrides = [argument for argument in overrides if argument not in _MULTIRUN]
    sys.argv = [sys.argv[0], *grid, *(["--config-dir", str(config_dir)] if config_dir else []), *overrides]
    asks = any(argument.split("=")[0] in _ASKS for argument in arguments)
    try:
        if grid and not asks:
            if not any(argument.split("=")[0] in _OTHER_CONFIG for argument in arguments):
                _check_jobs([argument for argument in overrides if not argument.startswith("-")], config_dir)
            sys.argv.append(f"sweep_id={datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}")
        hydra_main(config_path=str(CONF), config_name="config", version_base="1.3")(_job)()
    except COMPOSITION_ERRORS as error:
        raise explain(error, Origin([each for each in overrides if "=" in each], config_dir=config_dir)) from error
    return 0


def _id_as_text(override: str) -> str:
    """A run's id that ends in 26e551 or 012345 is no number, whatever Hydra's grammar makes of it."""
    key, _, value = override.partition("=")
    return f"{key}='{value}'" if key in ("parent", "resume") and re.fullmatch(r"\d[\w-]*", value) else override


def _check_jobs(overrides: Sequence[str], config_dir: Path | None) -> None:
    """Compose every job of a grid, so that the last one's typo is told before the first one's hours."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    if any(override.key_or_group == "resume" for override in parsed):
        raise UserError("command line: resume goes on with one run, -m makes new ones: leave one of them out")
    if any(override.key_or_group in ("hydra/sweeper", "run_dir") for override in parsed):
        if any(override.key_or_group == "run_dir" for override in parsed):
            raise UserError("command line: run_dir fixes one directory, -m makes several runs: leave run_dir out")
        return
    for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None):
        for job in batch:
            compose(list(job), config_dir)


def _job(cfg: "DictConfig") -> None:
    """One job of Hydra's: one run."""
    hydra = HydraConfig.get()
    overrides = [each for each in hydra.overrides.task if not each.startswith("sweep_id=")]
    extra = [Path(each.path) for each in hydra.runtime.config_sources if each.provider == "command-line"]
    origin = Origin(overrides, dict(hydra.runtime.choices), extra[0] if extra else None)
    if hydra.mode is RunMode.MULTIRUN:
        _job_of_a_grid(to_config(cfg, origin), overrides, hydra.job.num)
        return
    from ratchet.cli.summary import print_summary
    from ratchet.training import train

    try:
        config = to_config(cfg, origin)
        if config.resume is None:
            print_summary(train(config, overrides))
        else:
            stored, config = _resumed(config, overrides)
            print_summary(train(config, overrides, resume=stored))
    except (UserError, RunFailed) as error:  # said here: Hydra would put a line of its own before it
        sys.exit(report(error, full=_FULL))
    except BrokenPipeError:
        raise
    except Exception:  # a defect of ours: not to be taken for one of the configuration's
        traceback.print_exc()
        sys.exit(1)


def _resumed(config: Config, overrides: Sequence[str]) -> "tuple[StoredRun, Config]":
    """The run that `resume` names, and the configuration that it began with."""
    from ratchet.runs import find_run

    others = [each for each in overrides if not each.startswith(_WITH_RESUME)]
    if others:
        raise UserError(
            f"command line, {others[0]}: resume={config.resume} goes on with the configuration that the run began "
            "with: leave the others out, or start a new run"
        )
    stored = find_run(Path(config.runs_dir), str(config.resume))
    own = load(stored.path / "config.yaml", all_settings())
    own.trainer.progress_bar = config.trainer.progress_bar
    return stored, own


def _job_of_a_grid(config: Config, overrides: Sequence[str], number: int) -> None:
    from ratchet.cli.summary import print_job_line
    from ratchet.training import train

    job = f"#{number} {' '.join(overrides)}"
    try:
        print_job_line(job, train(config, overrides))
    except RunFailed as error:  # its record says so; the other jobs go on, and the table at the end names it
        if _FULL or not isinstance(error.reason, UserError):
            traceback.print_exception(error.reason)
        print(f"{job}: failed: {error.reason}", file=sys.stderr)

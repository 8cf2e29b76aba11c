"""`python train.py`: Hydra composes, every job is checked before the first one starts, then training.train runs."""

import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import main as hydra_main
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from ratchet.cli.grid import new_sweep_id, plan_grid, recorded, run_job
from ratchet.cli.main import TERMINATED, guarded, report
from ratchet.config import COMPOSITION_ERRORS, Config, Origin, explain, load, register, take_config_dir, to_config
from ratchet.errors import RunFailed, UserError
from ratchet.models import all_settings
from ratchet.project import CONF

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ratchet.runs import StoredRun

FULL = os.environ.get("HYDRA_FULL_ERROR") == "1"
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
    overrides = [_run_as_text(each) for each in overrides]
    grid = [argument for argument in overrides if argument in _MULTIRUN]
    overrides = [argument for argument in overrides if argument not in _MULTIRUN]
    sys.argv = [sys.argv[0], *grid, *(["--config-dir", str(config_dir)] if config_dir else []), *overrides]
    asks = any(argument.split("=")[0] in _ASKS for argument in arguments)
    planned = None
    try:
        if grid and not asks:
            sweep_id = new_sweep_id()
            if not any(argument.split("=")[0] in _OTHER_CONFIG for argument in arguments):
                keys = [argument for argument in overrides if not argument.startswith("-")]
                planned = plan_grid(keys, config_dir, sweep_id)
            sys.argv.append(f"sweep_id={sweep_id}")
        hydra_main(config_path=str(CONF), config_name="config", version_base="1.3")(_job)()
    except COMPOSITION_ERRORS as error:
        raise explain(error, Origin([each for each in overrides if "=" in each], config_dir=config_dir)) from error
    except (KeyboardInterrupt, SystemExit) as stop:
        if planned is not None and (isinstance(stop, KeyboardInterrupt) or stop.code == TERMINATED):
            from ratchet.cli.ladder import print_interrupted

            print_interrupted(planned, sweep_id)
        raise
    return 0


def _run_as_text(override: str) -> str:
    """A run's id that ends in 26e551 is no number to Hydra, nor has the directory to resume a grammar."""
    key, _, value = override.partition("=")
    is_id = key in ("parent", "resume") and re.fullmatch(r"\d[\w-]*", value)
    is_path = key == "resume" and not re.fullmatch(r"'.*'|\".*\"|[a-z]*", value)  # null and last are words
    if not (is_id or is_path):
        return override
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + "\\'" * bool(found[2]), value)
    return f"{key}='{escaped}'"  # backslashes count in front of a quote alone


def _job(cfg: "DictConfig") -> None:
    """One job of Hydra's: one run."""
    hydra = HydraConfig.get()
    overrides = recorded(hydra.overrides.task)
    extra = [Path(each.path) for each in hydra.runtime.config_sources if each.provider == "command-line"]
    origin = Origin(overrides, dict(hydra.runtime.choices), extra[0] if extra else None)
    if hydra.mode is RunMode.MULTIRUN:
        run_job(to_config(cfg, origin), overrides, hydra.job.num, full=FULL)
        return
    from ratchet.reporting.run_details import summarise_run
    from ratchet.reporting.terminal import print_blocks
    from ratchet.runs.stored import read_run
    from ratchet.training import train

    try:
        config = to_config(cfg, origin)
        if config.sweep.space:
            raise UserError(
                f"command line, sweep={origin.choices['sweep']}: a search needs -m: python train.py -m sweep=..."
            )
        if config.resume is None:
            outcome = train(config, overrides)
        else:
            stored, config = _resumed(config, overrides)
            outcome = train(config, overrides, resume=stored)
        print_blocks(summarise_run(read_run(outcome.path), outcome.test_readings))
    except (UserError, RunFailed) as error:  # said here: Hydra would put a line of its own before it
        sys.exit(report(error, full=FULL))
    except OSError:  # of what is printed: for `guarded` to say
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

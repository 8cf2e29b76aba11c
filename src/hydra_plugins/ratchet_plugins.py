"""Ratchet's launchers and its sweeper for Hydra, which finds plug-ins only in this package, and imports all of them.

`launcher=joblib|submitit_local|submitit_slurm` replace Hydra's launchers of these names, `-m sweep=<model>` uses the
sweeper. This is an adapter: the work is in `ratchet.sweeps`, which gets no configuration of Hydra, and `ratchet.cli`
prints. Both are imported when they are used, because Hydra imports this module at every start.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Joblib(Launcher):
    """Run jobs in a pool of processes of this machine."""

    kind = "joblib"

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: "DictConfig") -> None:
        """Keep what the jobs need."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs. Their outcomes are in the ledger; what Hydra gets says only that they ended."""
        from ratchet.cli.train import FULL, print_failed_job, print_output
        from ratchet.sweeps.launchers import Sweep, launch

        def set_up(launcher: Launcher, task: TaskFunction) -> None:
            launcher.setup(hydra_context=self.context, task_function=task, config=self.config)

        runs_dir, sweep_id = Path(self.config.runs_dir), str(self.config.sweep_id)
        sweep = Sweep(runs_dir, sweep_id, self.task, set_up, print_failed_job, print_output, FULL)
        launch(self.kind, self.settings, sweep, job_overrides, initial_job_idx)
        return [JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED) for overrides in job_overrides]


class SubmititLocal(Joblib):
    """Run each job in its own process of this machine."""

    kind = "submitit_local"


class SubmititSlurm(Joblib):
    """Run jobs as a job array of a SLURM cluster."""

    kind = "submitit_slurm"


class Search(Sweeper):
    """Ask for trials and run them with the configured launcher until there are enough.

    Hydra's stable Optuna sweeper needs Optuna 2 and SQLAlchemy 1; this one works with Optuna 5.
    """

    launcher: Launcher
    config_dir: Path | None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: "DictConfig") -> None:
        """Keep the launcher and the additional directory of configurations; the search composes its own."""
        from hydra.core.plugins import Plugins

        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        sources = config.hydra.runtime.config_sources
        self.config_dir = next((Path(source.path) for source in sources if source.provider == "command-line"), None)

    def sweep(self, arguments: list[str]) -> None:
        """Run the search. `arguments` are the overrides of the command line without Hydra's own."""
        from ratchet.cli.sweep import print_search, print_search_start
        from ratchet.sweeps.search import run_search

        def launch(jobs: list[list[str]], first: int) -> None:
            self.launcher.launch(jobs, initial_job_idx=first)

        print_search(run_search(arguments, launch, self.config_dir, print_search_start))

"""`launcher=joblib|submitit_local|submitit_slurm`: what Hydra's own launchers by these names leave to be wished for.

Those stop at the first job that dies, and know nothing of Ctrl-C. Hydra finds its plug-ins in this package alone, and
imports all of them at once: the work is in `ratchet.cli.launching`, which needs the extra `launchers`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Joblib(Launcher):
    """Jobs side by side, in processes of this machine that take one job after the other."""

    kind = "joblib"

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: "DictConfig") -> None:
        """Keep what the jobs need."""
        self.context, self.function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs to their ends, whatever these are."""
        from ratchet.cli.launching import Sweep, launch

        sweep = Sweep(self.context, self.function, self.config)
        return launch(self.kind, self.settings, sweep, job_overrides, initial_job_idx)


class SubmititLocal(Joblib):
    """Jobs side by side on this machine, a process for each."""

    kind = "submitit_local"


class SubmititSlurm(Joblib):
    """Jobs as an array of a SLURM cluster."""

    kind = "submitit_slurm"

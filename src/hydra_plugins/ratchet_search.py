"""`hydra/sweeper=ratchet_search`: Hydra finds its plug-ins in this package alone, and imports all of them at once.

The stable Optuna sweeper of Hydra wants Optuna 2 and SQLAlchemy 1; this one leaves all but the launching to
`ratchet.cli.search`, which needs Optuna 5.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Search(Sweeper):
    """Asks for trials, has the launcher in force run them, and hears what became of them, until there are enough."""

    launcher: Launcher
    config_dir: Path | None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: "DictConfig") -> None:
        """Keep the launcher, and where further configuration is; what is searched the search composes itself."""
        from hydra.core.plugins import Plugins

        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        sources = config.hydra.runtime.config_sources
        self.config_dir = next((Path(each.path) for each in sources if each.provider == "command-line"), None)

    def sweep(self, arguments: list[str]) -> None:
        """All of the search. `arguments` are those of the command line, but for Hydra's own."""
        from ratchet.cli.search import search

        search(arguments, lambda jobs, first: self.launcher.launch(jobs, initial_job_idx=first), self.config_dir)

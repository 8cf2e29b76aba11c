"""Give a trial up from inside its training, where it does worse than those before it did by then."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ratchet.config import SearchConfig
from ratchet.errors import Pruned
from ratchet.search.places import study_dir
from ratchet.search.study import read_study


def watch_of(settings: SearchConfig, runs_dir: Path) -> Callable[[int, Mapping[str, float]], None] | None:
    """What a training calls with each point of its curves; None where there is no trial that could be pruned.

    The process of the trial may be another one than that of the search: what they share is the study's journal.

    Raises (when called):
        Pruned: the metric of an epoch is below the median of those of the trials before (Golovin et al. 2017, Vizier).
    """
    if settings.trial is None or settings.study is None or not settings.prune or settings.cost is not None:
        return None
    import optuna

    study = read_study(study_dir(runs_dir, settings.study), settings)
    frozen = study.get_trials(deepcopy=False)[settings.trial]
    trial = optuna.Trial(study, frozen._trial_id)

    def watch(step: int, metrics: Mapping[str, float]) -> None:
        value = next((value for key, value in metrics.items() if key.startswith("val/f1_")), None)
        if value is None or "epoch" not in metrics:
            return
        epoch = int(metrics["epoch"])
        trial.report(value, epoch)
        if trial.should_prune():
            raise Pruned(f"epoch {epoch}: {value:.3f} is below the median of the trials before it")

    return watch

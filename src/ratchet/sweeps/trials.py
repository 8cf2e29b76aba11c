"""Read the results of a study as plain values: its trials, the best one, and the importance of each key."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ratchet.config import SearchConfig, search_settings
from ratchet.errors import UserError
from ratchet.sweeps.space import Values, round_values
from ratchet.sweeps.study import JOURNAL, read_about, read_study

if TYPE_CHECKING:
    import optuna

State = Literal["finished", "pruned", "failed", "running", "waiting"]
_STATES: dict[str, State] = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "WAITING": "waiting"}


@dataclass(frozen=True)
class TrialResult:
    """A trial: its values by key, its metric and cost (if it finished), and its run relative to the runs directory.

    `epochs` is the number of epochs it reported, `reported` the metric of the last one, `seconds` its total duration.
    """

    number: int
    state: State
    values: Values
    metric: float | None
    cost: float | None
    run: str | None
    epochs: int | None
    reported: float | None
    seconds: float | None


@dataclass(frozen=True)
class SearchResult:
    """All trials in order, the best finished one, and, with a cost, the Pareto front of metric and cost.

    `default` is a finished trial of the default settings, the only reference for a gain; None if there is none.
    `outside` lists the defaults that the space excludes.
    `importance` is the share of the metric's variance that each key explains (fANOVA: Hutter et al. 2014), the largest
    first. It is empty until ten trials have finished.
    """

    trials: list[TrialResult]
    best: TrialResult | None
    front: list[TrialResult]
    importance: dict[str, float]
    default: TrialResult | None = None
    outside: Sequence[str] = ()

    @property
    def gain(self) -> float | None:
        """Return by how much the best trial is better than the default on val; None without either."""
        if self.best is None or self.default is None:
            return None
        return _metric(self.best) - _metric(self.default)


def read_results(directory: Path, settings: SearchConfig) -> SearchResult:
    """Return the results of the study in `directory` so far.

    Raises:
        UserError: Optuna is not installed, or there is no such study.
    """
    study, about = read_study(directory, settings), read_about(directory)
    trials = [_read_trial(trial) for trial in study.get_trials(deepcopy=False)]
    finished = [trial for trial in trials if trial.metric is not None]
    front = _pareto_front(finished) if settings.cost is not None else []
    best = _select_best(finished, front, settings.margin)
    values = about.get("default")  # missing in studies of earlier versions, whose first trial may be another one
    default = next((trial for trial in finished if values and trial.values == round_values(values)), None)
    return SearchResult(
        trials, best, front, _compute_importance(study, len(finished)), default, about.get("outside", [])
    )


def find_best_runs(runs_dir: Path) -> set[str]:
    """Return the ids of the runs that are the best trials of the studies in a runs directory.

    If a study cannot be read, for example because Optuna is not installed, return the ids of all of its runs.
    """
    journals = (runs_dir / ".studies").glob(f"*/{JOURNAL}")
    return {Path(run).name for journal in journals for run in _list_best_runs(journal.parent)}


def _list_best_runs(directory: Path) -> list[str]:
    try:
        settings = search_settings(read_about(directory)["settings"])
        trials = [_read_trial(trial) for trial in read_study(directory, settings).get_trials(deepcopy=False)]
    except (UserError, KeyError):
        return re.findall(r'"run": *"([^"]+)"', (directory / JOURNAL).read_text(encoding="utf-8", errors="replace"))
    finished = [trial for trial in trials if trial.metric is not None]
    best = _select_best(finished, _pareto_front(finished) if settings.cost is not None else [], settings.margin)
    return [best.run] if best is not None and best.run is not None else []


def _read_trial(trial: "optuna.trial.FrozenTrial") -> TrialResult:
    values = trial.values or []
    reported = trial.intermediate_values  # by epoch
    return TrialResult(
        number=trial.number,
        state=_STATES.get(trial.state.name, "running"),
        values=round_values(trial.params or trial.system_attrs.get("fixed_params", {})),
        metric=values[0] if values else None,
        cost=values[1] if len(values) > 1 else None,
        run=trial.user_attrs.get("run"),
        epochs=max(reported) + 1 if reported else None,
        reported=reported[max(reported)] if reported else None,
        seconds=trial.duration.total_seconds() if trial.duration else None,
    )


def _metric(trial: TrialResult) -> float:
    assert trial.metric is not None
    return trial.metric


def _cost(trial: TrialResult) -> float:
    assert trial.cost is not None
    return trial.cost


def _select_best(finished: list[TrialResult], front: list[TrialResult], margin: float) -> TrialResult | None:
    """Return the first trial with the highest metric; with a cost, the cheapest trial within `margin` of it."""
    if not finished:
        return None
    best = max(finished, key=_metric)
    near = [trial for trial in front if _metric(trial) >= _metric(best) - margin]
    return min(near, key=_cost) if near else best


def _pareto_front(finished: list[TrialResult]) -> list[TrialResult]:
    """Return the trials that no other trial beats in both metric and cost, the cheapest first."""
    kept: list[TrialResult] = []
    for trial in sorted(finished, key=lambda trial: (_cost(trial), -_metric(trial))):
        if not kept or _metric(trial) > _metric(kept[-1]):
            kept.append(trial)
    return kept


def _compute_importance(study: "optuna.Study", finished: int) -> dict[str, float]:
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    if finished < 10:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna warns of values that were never sampled
        try:
            return get_param_importances(
                study, evaluator=FanovaImportanceEvaluator(seed=0), target=lambda trial: float(trial.values[0])
            )
        except (RuntimeError, ValueError):  # all metrics are equal: there is no variance to explain
            return {}

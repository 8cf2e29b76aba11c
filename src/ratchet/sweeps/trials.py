"""Read the results of a study as plain values: its trials, the best one, and the importance of each key."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ratchet.config import SearchConfig
from ratchet.sweeps.space import Values, round_values

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

    `importance` is the share of the metric's variance that each key explains (fANOVA: Hutter et al. 2014), the largest
    first. It is empty until ten trials have finished.
    """

    trials: list[TrialResult]
    best: TrialResult | None
    front: list[TrialResult]
    importance: dict[str, float]

    @property
    def default(self) -> TrialResult | None:
        """Return the trial of the default settings, if it finished. It is the first one."""
        first = self.trials[0] if self.trials else None
        return first if first is not None and first.metric is not None else None


def read_results(study: "optuna.Study", settings: SearchConfig) -> SearchResult:
    """Return the results of `study` so far."""
    trials = [_read_trial(trial) for trial in study.get_trials(deepcopy=False)]
    finished = [trial for trial in trials if trial.metric is not None]
    front = _pareto_front(finished) if settings.cost is not None else []
    best = _select_best(finished, front, settings.margin)
    return SearchResult(trials, best, front, _compute_importance(study, len(finished)))


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

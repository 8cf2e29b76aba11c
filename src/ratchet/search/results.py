"""What came out of a study, as plain values: its trials, the best one, and which keys mattered."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ratchet.config import SearchConfig
from ratchet.search.space import Values, rounded

if TYPE_CHECKING:
    import optuna

State = Literal["finished", "pruned", "failed", "running", "waiting"]
_STATES: dict[str, State] = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "WAITING": "waiting"}


@dataclass(frozen=True)
class TrialResult:
    """A trial: its values by key, its metric and cost (if it finished), and its run as seen from the runs directory.

    `epochs` says how far it came, `reported` what the last of them reached; `seconds` how long all of it took.
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
    """All trials in their order; the best finished one, and, where a cost counts too, all that none beats in both.

    `importance` is the share of the metric's variance that each key explains (fANOVA: Hutter et al. 2014), the largest
    first; empty while fewer than ten trials finished.
    """

    trials: list[TrialResult]
    best: TrialResult | None
    front: list[TrialResult]
    importance: dict[str, float]

    @property
    def default(self) -> TrialResult | None:
        """The trial of the settings as they were before the search, if it finished: the first one."""
        first = self.trials[0] if self.trials else None
        return first if first is not None and first.metric is not None else None


def results_of(study: "optuna.Study", settings: SearchConfig) -> SearchResult:
    """What `study` holds by now."""
    trials = [_result(trial) for trial in study.get_trials(deepcopy=False)]
    finished = [trial for trial in trials if trial.metric is not None]
    front = _front(finished) if settings.cost is not None else []
    return SearchResult(trials, _best(finished, front, settings.margin), front, _importance(study, len(finished)))


def _result(trial: "optuna.trial.FrozenTrial") -> TrialResult:
    values = trial.values or []
    return TrialResult(
        number=trial.number,
        state=_STATES.get(trial.state.name, "running"),
        values=rounded(trial.params or trial.system_attrs.get("fixed_params", {})),
        metric=values[0] if values else None,
        cost=values[1] if len(values) > 1 else None,
        run=trial.user_attrs.get("run"),
        epochs=max(trial.intermediate_values) + 1 if trial.intermediate_values else None,
        reported=trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else None,
        seconds=trial.duration.total_seconds() if trial.duration else None,
    )


def _metric(trial: TrialResult) -> float:
    assert trial.metric is not None
    return trial.metric


def _cost(trial: TrialResult) -> float:
    assert trial.cost is not None
    return trial.cost


def _best(finished: list[TrialResult], front: list[TrialResult], margin: float) -> TrialResult | None:
    """The highest metric, of equal ones the first; with a cost, the cheapest that is no more than `margin` below it."""
    if not finished:
        return None
    best = max(finished, key=_metric)
    near = [trial for trial in front if _metric(trial) >= _metric(best) - margin]
    return min(near, key=_cost) if near else best


def _front(finished: list[TrialResult]) -> list[TrialResult]:
    """Trials that no other one beats in metric and cost at once (Pareto), the cheapest first."""
    kept: list[TrialResult] = []
    for trial in sorted(finished, key=lambda each: (_cost(each), -_metric(each))):
        if not kept or _metric(trial) > _metric(kept[-1]):
            kept.append(trial)
    return kept


def _importance(study: "optuna.Study", finished: int) -> dict[str, float]:
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    if finished < 10:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that were never drawn: the shares say it
        try:
            return get_param_importances(
                study, evaluator=FanovaImportanceEvaluator(seed=0), target=lambda trial: float(trial.values[0])
            )
        except (RuntimeError, ValueError):  # all trials are equally good: nothing explains anything
            return {}

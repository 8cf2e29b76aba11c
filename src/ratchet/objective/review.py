"""Judge the same evidence under other plausible objectives: does the choice depend on the objective or the models?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ratchet.comparison.evidence import Evidence
from ratchet.config import BehaviourFloors, Metric, ObjectiveConfig
from ratchet.objective.criteria import MIN_POSITIVES
from ratchet.objective.gate import Outcome, decide
from ratchet.schema_versions import REVIEW_SCHEMA

METRICS = (Metric.f1_weighted, Metric.f1_macro, Metric.f1_micro, Metric.f1_samples)
MARGINS = (0.01, 0.02, 0.03, 0.05)
BEHAVIOUR_FLOOR = 0.8
_BUDGETS = {"latency_ms_p95": "latency p95 (ms)", "size_mb": "size (MB)", "fit_minutes": "fit (min)"}


@dataclass(frozen=True)
class Alternative:
    """The outcome under a changed objective: `part` is the part of it that is changed, `change` the new value."""

    part: str
    change: str
    outcome: Outcome
    ships: str | None

    @property
    def in_words(self) -> str:
        """Return `cnn ships`, or the outcome if nothing ships."""
        return f"{self.ships} ships" if self.ships else self.outcome


@dataclass(frozen=True)
class Review:
    """The outcome under the objective in force, and under alternatives to it."""

    current: Alternative
    alternatives: list[Alternative]
    schema_version: int = REVIEW_SCHEMA.version

    @property
    def different(self) -> list[Alternative]:
        """Return the alternatives with another outcome."""
        now = (self.current.outcome, self.current.ships)
        return [other for other in self.alternatives if (other.outcome, other.ships) != now]

    @property
    def in_words(self) -> str:
        """Return a sentence: whether the choice depends on the objective, and on which parts of it."""
        count, different = len(self.alternatives), self.different
        if not different:
            return f"the same under all {count}: the choice depends on the models, not on the objective"
        parts = ", ".join(dict.fromkeys(other.part for other in different))
        share = f"another outcome under {len(different)} of {count}"
        return f"{share}: the choice depends on the objective, namely on {parts}"


def review(evidence: Evidence, objective: ObjectiveConfig, named: Mapping[str, ObjectiveConfig]) -> Review:
    """Judge under the objective in force and its alternatives: one change at a time, and the other `named` objectives.

    Raises:
        UserError: an objective names a label that the data do not have.
    """
    current = _decide_under(evidence, objective, "in force", "")
    changed = [*_change_objective(objective), *_add_floors(objective, evidence)]
    others = [_decide_under(evidence, settings, part, change) for part, change, settings in changed]
    others += [
        _decide_under(evidence, settings, f"objective {name}", "-")
        for name, settings in named.items()
        if settings != objective
    ]
    return Review(current, others)


def _decide_under(evidence: Evidence, objective: ObjectiveConfig, part: str, change: str) -> Alternative:
    decision = decide(evidence, objective)
    return Alternative(part, change, decision.outcome, decision.ships)


def _change_objective(objective: ObjectiveConfig) -> Iterator[tuple[str, str, ObjectiveConfig]]:
    """Yield part, change and objective of every single change to metric, margin, floor, budgets and group floors."""
    for metric in METRICS:
        if metric is not objective.metric:
            yield "metric", metric.name, replace(objective, metric=metric)
    for margin in MARGINS:
        if margin != objective.margin:
            yield "margin", f"{margin:g}", replace(objective, margin=margin)
    for floor in (0.0, objective.floor - 0.05, objective.floor + 0.05):
        if 0 <= floor <= 1 and floor != objective.floor:
            yield "floor", f"{floor:g}" if floor else "none", replace(objective, floor=floor)
    yield from _change_budgets(objective)
    yield from _drop_floors(objective)


def _change_budgets(objective: ObjectiveConfig) -> Iterator[tuple[str, str, ObjectiveConfig]]:
    for name, title in _BUDGETS.items():
        budget = getattr(objective.budgets, name)
        for changed in (None, budget / 2, budget * 2) if budget is not None else ():
            budgets = replace(objective.budgets, **{name: changed})
            yield title, "none" if changed is None else f"{changed:g}", replace(objective, budgets=budgets)


def _drop_floors(objective: ObjectiveConfig) -> Iterator[tuple[str, str, ObjectiveConfig]]:
    for label in objective.labels:
        rest = {name: floor for name, floor in objective.labels.items() if name != label}
        yield f"label {label}", "no floor", replace(objective, labels=rest)
    for dropped in objective.slices:
        rest = {name: floor for name, floor in objective.slices.items() if name != dropped}
        yield f"slice {dropped}", "no floor", replace(objective, slices=rest)
    if objective.behaviour != BehaviourFloors():
        yield "behaviour", "no floor", replace(objective, behaviour=BehaviourFloors())


def _add_floors(objective: ObjectiveConfig, evidence: Evidence) -> Iterator[tuple[str, str, ObjectiveConfig]]:
    """Yield objectives with one more criterion: a slice floor .1 below the overall one, a floor on behaviour of .8."""
    first = evidence.candidates[0]
    floor = round(max(objective.floor - 0.1, 0.05), 3)
    for key in first.metrics:
        name = key.removeprefix("slices/")
        if name != key and name not in objective.slices and evidence.positives[key] >= MIN_POSITIVES:
            yield f"slice {name}", f"at least {floor:g}", replace(objective, slices={**objective.slices, name: floor})
    for kind, current in vars(objective.behaviour).items():
        if current is None and kind in first.behaviour:
            behaviour = replace(objective.behaviour, **{kind: BEHAVIOUR_FLOOR})
            yield f"behaviour {kind}", f"at least {BEHAVIOUR_FLOOR:g}", replace(objective, behaviour=behaviour)

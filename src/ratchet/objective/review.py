"""What would ship under other plausible objectives: does the choice hang on the objective, or on the models?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ratchet.comparison.evidence import Evidence
from ratchet.config import BehaviourFloors, Metric, ObjectiveConfig
from ratchet.objective.criteria import MIN_POSITIVES
from ratchet.objective.gate import Outcome, decide

METRICS = (Metric.f1_weighted, Metric.f1_macro, Metric.f1_micro, Metric.f1_samples)
MARGINS = (0.01, 0.02, 0.03, 0.05)
BEHAVIOUR_FLOOR = 0.8
_BUDGETS = {"latency_ms_p95": "latency p95 (ms)", "size_mb": "size (MB)", "fit_minutes": "fit (min)"}


@dataclass(frozen=True)
class Alternative:
    """What ships if the objective were another: `part` says which part of it is changed, `change` how."""

    part: str
    change: str
    outcome: Outcome
    ships: str | None

    @property
    def in_words(self) -> str:
        """`cnn ships`, or why nothing does."""
        return f"{self.ships} ships" if self.ships else self.outcome


@dataclass(frozen=True)
class Review:
    """What ships under the objective in force, and under others."""

    current: Alternative
    alternatives: list[Alternative]

    @property
    def different(self) -> list[Alternative]:
        """Those with another outcome."""
        now = (self.current.outcome, self.current.ships)
        return [each for each in self.alternatives if (each.outcome, each.ships) != now]

    @property
    def in_words(self) -> str:
        """Whether the choice hangs on the objective."""
        count, different = len(self.alternatives), self.different
        if not different:
            return f"the same under all {count}: the choice hangs on the models, not on the objective"
        parts = ", ".join(dict.fromkeys(each.part for each in different))
        told = f"another outcome under {len(different)} of {count}"
        return f"{told}: the choice hangs on the objective, namely on {parts}"


def review(evidence: Evidence, objective: ObjectiveConfig, named: Mapping[str, ObjectiveConfig]) -> Review:
    """The objective in force, and alternatives to it: one change each, and the other objectives that have a name."""
    current = _under(evidence, objective, "in force", "")
    changed = [*_changed(objective), *_with_floors(objective, evidence)]
    others = [_under(evidence, each, part, change) for part, change, each in changed]
    others += [_under(evidence, each, f"objective {name}", "-") for name, each in named.items() if each != objective]
    return Review(current, others)


def _under(evidence: Evidence, objective: ObjectiveConfig, part: str, change: str) -> Alternative:
    decision = decide(evidence, objective)
    return Alternative(part, change, decision.outcome, decision.ships)


def _changed(objective: ObjectiveConfig) -> Iterator[tuple[str, str, ObjectiveConfig]]:
    for metric in METRICS:
        if metric is not objective.metric:
            yield "metric", metric.name, replace(objective, metric=metric)
    for margin in MARGINS:
        if margin != objective.margin:
            yield "margin", f"{margin:g}", replace(objective, margin=margin)
    for floor in (0.0, objective.floor - 0.05, objective.floor + 0.05):
        if 0 <= floor <= 1 and floor != objective.floor:
            yield "floor", f"{floor:g}" if floor else "none", replace(objective, floor=floor)
    yield from _other_budgets(objective)
    yield from _without_floors(objective)


def _other_budgets(objective: ObjectiveConfig) -> Iterator[tuple[str, str, ObjectiveConfig]]:
    for name, title in _BUDGETS.items():
        most = getattr(objective.budgets, name)
        for changed in (None, most / 2, most * 2) if most is not None else ():
            budgets = replace(objective.budgets, **{name: changed})
            yield title, "none" if changed is None else f"{changed:g}", replace(objective, budgets=budgets)


def _without_floors(objective: ObjectiveConfig) -> Iterator[tuple[str, str, ObjectiveConfig]]:
    for label in objective.labels:
        rest = {name: floor for name, floor in objective.labels.items() if name != label}
        yield f"label {label}", "no floor", replace(objective, labels=rest)
    for each in objective.slices:
        rest = {name: floor for name, floor in objective.slices.items() if name != each}
        yield f"slice {each}", "no floor", replace(objective, slices=rest)
    if objective.behaviour != BehaviourFloors():
        yield "behaviour", "no floor", replace(objective, behaviour=BehaviourFloors())


def _with_floors(objective: ObjectiveConfig, evidence: Evidence) -> Iterator[tuple[str, str, ObjectiveConfig]]:
    """Clauses that are not there but could be: slices a tenth below the floor, four of five behavioural cases."""
    first = evidence.candidates[0]
    floor = round(max(objective.floor - 0.1, 0.05), 3)
    for key in first.metrics:
        name = key.removeprefix("slices/")
        if name != key and name not in objective.slices and evidence.positives[key] >= MIN_POSITIVES:
            yield f"slice {name}", f"at least {floor:g}", replace(objective, slices={**objective.slices, name: floor})
    for kind, found in vars(objective.behaviour).items():
        if found is None and kind in first.behaviour:
            behaviour = replace(objective.behaviour, **{kind: BEHAVIOUR_FLOOR})
            yield f"behaviour {kind}", f"at least {BEHAVIOUR_FLOOR:g}", replace(objective, behaviour=behaviour)

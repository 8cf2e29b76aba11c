"""What may stand in an objective, conf/objective/*.yaml: what must hold for a model to ship."""

from dataclasses import dataclass, field
from enum import Enum

from ratchet.config.fields import bounded


class Metric(Enum):
    """A figure that decides: computed from decisions, so that it can be resampled."""

    f1_weighted = "f1_weighted"
    f1_macro = "f1_macro"
    f1_micro = "f1_micro"
    f1_samples = "f1_samples"
    precision_weighted = "precision_weighted"
    precision_macro = "precision_macro"
    precision_micro = "precision_micro"
    precision_samples = "precision_samples"
    recall_weighted = "recall_weighted"
    recall_macro = "recall_macro"
    recall_micro = "recall_micro"
    recall_samples = "recall_samples"


@dataclass
class BudgetConfig:
    """What a model may cost at most; null is no limit. Medians over its runs are held against it."""

    latency_ms_p95: float | None = bounded(None, above=0)
    size_mb: float | None = bounded(None, above=0)
    fit_minutes: float | None = bounded(None, above=0)


@dataclass
class BehaviourFloors:
    """The share of behavioural cases that must pass, of all (`score`) or of one kind; null is no floor."""

    score: float | None = bounded(None, low=0, high=1)
    invariance: float | None = bounded(None, low=0, high=1)
    directional: float | None = bounded(None, low=0, high=1)
    minimum: float | None = bounded(None, low=0, high=1)


@dataclass
class MinimumEvidence:
    """Below this nothing ships: splits that all candidates were measured on, and distinct test records on them."""

    repeats: int = bounded(3, low=1)
    test_records: int = bounded(200, low=1)


@dataclass
class ObjectiveConfig:
    """Which model may ship, and which of those ships.

    `floor` holds for the lower bound of `metric`. A candidate must be proven no more than `margin` below every other
    one, at `alpha` for all candidates together; of those that are, the one of lowest complexity ships. `labels` (F1)
    and `slices` (weighted F1) hold for lower bounds too, `behaviour` for the share of cases that pass.
    """

    metric: Metric = Metric.f1_weighted
    floor: float = bounded(0.0, low=0, high=1)
    margin: float = bounded(0.03, above=0, high=1)
    alpha: float = bounded(0.05, above=0, high=0.5)
    budgets: BudgetConfig = field(default_factory=BudgetConfig)
    labels: dict[str, float] = field(default_factory=dict)
    slices: dict[str, float] = field(default_factory=dict)
    behaviour: BehaviourFloors = field(default_factory=BehaviourFloors)
    evidence: MinimumEvidence = field(default_factory=MinimumEvidence)


@dataclass
class GateConfig:
    """What `ratchet gate` composes: conf/gate.yaml chooses among conf/objective/*.yaml."""

    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)

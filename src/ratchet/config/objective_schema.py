"""Define an objective, conf/objective/*.yaml: what a model must fulfil to ship."""

from dataclasses import dataclass, field
from enum import Enum

from ratchet.config.fields import bounded


class Metric(Enum):
    """A metric that may decide: computed from decisions, so that it can be resampled."""

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
    """Largest costs of a model. The medians over its runs are compared with them."""

    latency_ms_p95: float | None = bounded(None, above=0)
    """Largest 95th percentile of the latency of one text, in milliseconds; null is no limit."""
    size_mb: float | None = bounded(None, above=0)
    """Largest size of the stored model, in megabytes; null is no limit."""
    fit_minutes: float | None = bounded(None, above=0)
    """Longest training time, in minutes; null is no limit."""


@dataclass
class BehaviourFloors:
    """Shares of the behavioural test cases that must pass."""

    score: float | None = bounded(None, low=0, high=1)
    """Share of all cases that must pass; null is no floor."""
    invariance: float | None = bounded(None, low=0, high=1)
    """Share of the invariance cases that must pass; null is no floor."""
    directional: float | None = bounded(None, low=0, high=1)
    """Share of the directional cases that must pass; null is no floor."""
    minimum: float | None = bounded(None, low=0, high=1)
    """Share of the minimum-functionality cases that must pass; null is no floor."""


@dataclass
class MinimumEvidence:
    """The evidence below which no model ships."""

    repeats: int = bounded(3, low=1)
    """Smallest number of splits on which every candidate was measured."""
    test_records: int = bounded(200, low=1)
    """Smallest number of distinct test records in these splits."""


@dataclass
class ObjectiveConfig:
    """Which models may ship, and which of them does: the passing candidate of lowest complexity."""

    metric: Metric = Metric.f1_weighted
    """Primary metric."""
    floor: float = bounded(0.0, low=0, high=1)
    """Floor of the lower bound of the metric."""
    margin: float = bounded(0.03, above=0, high=1)
    """Largest difference to any other candidate that still counts as not worse."""
    alpha: float = bounded(0.05, above=0, high=0.5)
    """Chance that a model below the margin ships, over all candidates together."""
    budgets: BudgetConfig = field(default_factory=BudgetConfig)
    """Largest costs."""
    labels: dict[str, float] = field(default_factory=dict)
    """Floor of the lower bound of the F1 of a label, by label."""
    slices: dict[str, float] = field(default_factory=dict)
    """Floor of the lower bound of the weighted F1 on a slice, by slice."""
    behaviour: BehaviourFloors = field(default_factory=BehaviourFloors)
    """Floors of the behavioural tests."""
    evidence: MinimumEvidence = field(default_factory=MinimumEvidence)
    """Smallest evidence."""


@dataclass
class GateConfig:
    """What `ratchet gate` composes: conf/gate.yaml chooses one of conf/objective/*.yaml."""

    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """Objective in force."""

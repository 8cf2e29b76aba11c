"""What a search may try, how it judges a trial, and how long it goes on; conf/sweep/ has one file a model."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ratchet.config.fields import bounded
from ratchet.config.objective_schema import Metric


class Cost(Enum):
    """What a search may want low beside a metric that it wants high: keys of cost.json."""

    fit_seconds = "fit_seconds"
    latency_ms_p50 = "latency_ms_p50"
    latency_ms_p95 = "latency_ms_p95"
    peak_memory_mb = "peak_memory_mb"
    size_mb = "size_mb"


@dataclass
class ParameterConfig:
    """The values of a key that are tried: between `low` and `high`, whole numbers if both are, or one of `choices`.

    `log` spreads trials evenly over orders of magnitude; `step` is the least distance between values.
    """

    low: Any = None
    high: Any = None
    log: bool = False
    step: Any = None
    choices: list[Any] | None = None


@dataclass
class SearchConfig:
    """One search: `trials` of `space` (keys such as model.dropout), judged by `metric` on val.

    `trials` counts those that an earlier call left, too; `minutes` is when the last one begins. With a `cost` two
    things are wanted at once, and the best trial is the cheapest whose metric is within `margin` of the highest.
    `parallel` trials are asked for at once. `prune` stops trials that do worse, epoch by epoch, than half of those
    before. The best one becomes the `experiment` of that name, <model>_tuned
    unless set. `study` and `trial` are set by the search itself.
    """

    trials: int = bounded(30, low=1)
    minutes: float | None = bounded(None, above=0)
    metric: Metric = Metric.f1_weighted
    cost: Cost | None = None
    margin: float = bounded(0.005, low=0, high=1)
    parallel: int = bounded(1, low=1)
    prune: bool = True
    seed: int = bounded(0, low=0, high=2**32 - 1)
    experiment: str | None = None
    space: dict[str, ParameterConfig] = field(default_factory=dict)
    study: str | None = None
    trial: int | None = None

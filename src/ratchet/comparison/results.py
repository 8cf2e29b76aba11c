"""Define the result of a comparison, which `ratchet compare format=json` prints (docs/compare.schema.json)."""

from dataclasses import dataclass, field
from typing import Literal

SCHEMA_VERSION = 1
Verdict = Literal["better", "worse", "not distinguishable"]
COST_TITLES = {
    "fit_seconds": "fit (s)",
    "latency_ms_p50": "latency p50 (ms)",
    "latency_ms_p95": "latency p95 (ms)",
    "items_per_second": "texts/s",
    "peak_memory_mb": "peak memory (MB)",
    "size_mb": "size (MB)",
}  # keys of cost.json -> titles in tables and charts
_NAMES = {"f1": "F1", "precision": "precision", "recall": "recall"}


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """The difference to candidate `to` in the primary metric. Errors are standard errors of the difference.

    `p` is the larger p-value of the paired permutation test and of the t distribution (records and training).
    `p_adjusted` is Holm's over the multiple-testing family, None outside of one. `detectable` is the minimum
    detectable effect. `more_records` is about how many more distinct records would detect a difference of this size:
    None if it is detected, or if no number of records would do.
    """

    to: str
    value: float
    low: float
    high: float
    p: float
    p_adjusted: float | None
    verdict: Verdict
    in_words: str
    standard_error: float
    error_from_records: float
    error_from_training: float
    detectable: float
    more_records: int | None
    splits: int
    metrics: dict[str, Interval]


@dataclass(frozen=True)
class GroupDifference:
    """A label (F1) or a slice (weighted F1) against the baseline. Exploratory.

    `p_adjusted` is Benjamini and Hochberg's over all labels and slices of the candidate.
    """

    kind: Literal["label", "slice"]
    name: str
    positives: int
    value: float
    baseline: float
    difference: Interval
    p_adjusted: float
    verdict: Verdict


@dataclass(frozen=True)
class Changes:
    """The changes since the parent, by group (model, data, training, code, lock), and their measured effect."""

    parent: str
    parent_name: str
    changed: dict[str, list[str]]
    effect: Difference | None
    warning: str | None
    hypothesis: str | None


@dataclass(frozen=True)
class CandidateResult:
    """One row of the leaderboard.

    Spreads are standard deviations of a single run, less the part that the records explain; None if unknown.
    `predecessor` is the candidate of next lower complexity. `best_simpler` is the highest-scoring candidate of any
    lower complexity, unless it is the predecessor or the baseline.
    """

    name: str
    model: str
    complexity: int
    config_hash: str
    runs: list[str]
    splits: int
    metrics: dict[str, Interval]
    average_precision_macro: float | None
    spread_between_splits: float | None
    spread_between_seeds: float | None
    error_from_records: float
    costs: dict[str, float | None]
    behaviour: dict[str, float]
    promoted: str | None
    baseline: Difference | None
    predecessor: Difference | None
    best_simpler: Difference | None
    changes: Changes | None
    groups: list[GroupDifference] = field(default_factory=list)


@dataclass(frozen=True)
class SplitRead:
    """A split that all candidates were measured on, and the number of test-set accesses so far."""

    split_seed: int
    split_hash: str
    records: int
    test_readings: int | None


@dataclass(frozen=True)
class Comparison:
    """The complete comparison of the selected candidates. `left_out` and `notes` are sentences for readers."""

    data: str
    part: str
    dataset_version: str
    metric: str
    baseline: str
    resamples: int
    records: int
    splits: list[SplitRead]
    candidates: list[CandidateResult]
    left_out: list[str]
    notes: list[str]
    schema_version: int = SCHEMA_VERSION


def metric_name(metric: str) -> str:
    """Return the display name of a metric: `weighted F1` for `f1_weighted`."""
    name, _, average = metric.partition("_")
    return f"{average} {_NAMES[name]}"

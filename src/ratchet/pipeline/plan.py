"""Define what the pipeline runs (params.yaml) and where its files are (build/)."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ratchet.config.saved import read_checked
from ratchet.errors import UserError, did_you_mean

PARAMS = Path("params.yaml")
READINGS = Path("runs")  # test-set accesses are counted here, together with those of runs outside the pipeline
BUILD = Path("build")
CONFIG = BUILD / "config"
OBJECTIVES = CONFIG / "objectives"
CODE = BUILD / "code"
PACKAGES = BUILD / "packages.json"  # versions of the libraries that results depend on
FROZEN = BUILD / "frozen"  # an output of `config` that never changes: the others wait for it
READERS = BUILD / "readers.json"  # hashes of the code and settings that wrote the outputs of compare, gate and report
DATA = BUILD / "data"
BEHAVIOUR = DATA / "behaviour.json"
SPLITS = BUILD / "splits"
RUNS = BUILD / "runs"
COMPARISON = BUILD / "comparison.json"
LEADERBOARD = BUILD / "leaderboard.md"
METRICS = BUILD / "metrics.json"
PLOTS = BUILD / "plots"
VERDICT = BUILD / "verdict.json"
VERDICT_TEXT = BUILD / "verdict.md"
REVIEW = BUILD / "review.json"
REPORT = BUILD / "report.md"
PAGE = BUILD / "report.html"
PICTURES = BUILD / "pictures"


@dataclass
class PipelineConfig:
    """Models and repeats to train on a data set, the baseline, and the objective of the gate.

    Repeat k is `split.seed=k seed=k`. `overrides` apply to the configuration of every model.
    """

    data: str = "sample"
    """Data set."""
    models: list[str] = field(default_factory=lambda: ["rule"])
    """Models to train."""
    repeats: list[int] = field(default_factory=lambda: [0])
    """Repeats to train each model with: k means split.seed=k seed=k."""
    baseline: str = "rule"
    """Model that all others are compared with."""
    objective: str = "default"
    """Objective of the gate."""
    overrides: list[str] = field(default_factory=list)
    """Overrides of every model's configuration, as key=value."""


def read_pipeline(path: Path) -> PipelineConfig:
    """Read and check params.yaml.

    Raises:
        UserError: no such file, an unknown key, a wrong type, a model or repeat that occurs twice, a baseline that is
            not one of the models.
    """
    plan = read_checked(path, PipelineConfig)
    for key, kind, what in (("models", str, "a name"), ("repeats", int, "a number"), ("overrides", str, "key=value")):
        values = getattr(plan, key)
        if not all(isinstance(value, kind) for value in values):  # OmegaConf accepts lists in lists
            raise UserError(f"{path}: {key}: {values}: each must be {what}")
    for key, values in (("models", plan.models), ("repeats", plan.repeats)):
        if not values:
            raise UserError(f"{path}: {key} is empty: name at least one")
        value, count = Counter(values).most_common(1)[0]
        if count > 1:
            raise UserError(f"{path}: {key}: {value} occurs twice")
    for repeat in plan.repeats:
        if not 0 <= repeat < 2**32:
            raise UserError(f"{path}: repeats: {repeat} is not a seed: from 0 to {2**32 - 1}")
    if plan.baseline not in plan.models:
        near = did_you_mean(plan.baseline, plan.models)
        raise UserError(f"{path}: baseline: {plan.baseline} is not one of the models; {near}")
    return plan


def run_directory(data: str, model: str, repeat: int) -> Path:
    """Return the directory of one run of the pipeline."""
    return RUNS / data / model / str(repeat)


def run_directories(plan: PipelineConfig) -> list[Path]:
    """Return the directories of all runs of the plan. RUNS may contain runs of earlier plans, too."""
    return [run_directory(plan.data, model, repeat) for model in plan.models for repeat in plan.repeats]

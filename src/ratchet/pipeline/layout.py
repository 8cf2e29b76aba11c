"""Where the stages keep what, relative to the directory that they run in."""

from pathlib import Path

from ratchet.config import PipelineConfig

PARAMS = Path("params.yaml")
READINGS = Path("runs")  # readings of test splits are counted together with those of runs that no pipeline made
BUILD = Path("build")
CONFIG = BUILD / "config"
OBJECTIVES = CONFIG / "objectives"
CODE = BUILD / "code"
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


def run_directory(data: str, model: str, repeat: int) -> Path:
    """The directory of one run of the pipeline."""
    return RUNS / data / model / str(repeat)


def run_directories(plan: PipelineConfig) -> list[Path]:
    """The directories of all runs of the plan; those of models that are no longer in it may lie beside them."""
    return [run_directory(plan.data, model, repeat) for model in plan.models for repeat in plan.repeats]


def stage_names(plan: PipelineConfig) -> list[str]:
    """The stages of dvc.yaml under this plan."""
    repeated = [f"split@{repeat}" for repeat in plan.repeats]
    trained = [f"train@{model}-{repeat}" for model in plan.models for repeat in plan.repeats]
    return ["config", "prepare", *repeated, *trained, "compare", "gate", "report"]

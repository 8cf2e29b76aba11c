"""Run the stages `compare` and `gate`: statistics over all runs, and the verdict."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ratchet.comparison.compare import Bar, compare_selected
from ratchet.comparison.evidence import gather_evidence
from ratchet.comparison.results import CandidateResult, Comparison
from ratchet.config import plain
from ratchet.config.directories import find_config
from ratchet.config.messages import Origin
from ratchet.config.objective import Objective, check_floors
from ratchet.config.objective_schema import ObjectiveConfig
from ratchet.config.saved import read_checked, read_recorded
from ratchet.files import write_json, write_text
from ratchet.objective.gate import Verdict, judge
from ratchet.objective.review import review
from ratchet.pipeline.plan import (
    COMPARISON,
    CONFIG,
    LEADERBOARD,
    METRICS,
    OBJECTIVES,
    PLOTS,
    REVIEW,
    RUNS,
    VERDICT,
    VERDICT_TEXT,
    PipelineConfig,
    run_directories,
)
from ratchet.reporting.comparison_tables import comparison_blocks
from ratchet.reporting.markdown import to_markdown
from ratchet.reporting.verdict_tables import verdict_blocks
from ratchet.runs.selection import Selection, select
from ratchet.runs.stored import read_run
from ratchet.statistics.bootstrap import Advance

Begin = Callable[[int], Advance]


@dataclass
class _Objective:
    name: str = ""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)


def load_objective(path: Path) -> Objective:
    """Return a frozen objective; its `path` is the file in conf/ that it was composed from.

    Raises:
        UserError: no such file, an unknown key, a wrong type, a value out of range.
    """
    read_recorded(path)
    frozen = read_checked(path, _Objective, lambda frozen: check_floors(frozen.objective, Origin([])))
    return Objective(frozen.objective, frozen.name, find_config(f"objective/{frozen.name}"), ())


def compare_runs(plan: PipelineConfig, bar: Bar) -> Comparison:
    """Write build/comparison.json, build/leaderboard.md, build/metrics.json (quality only) and build/plots.

    Raises:
        UserError: runs that cannot be compared.
    """
    selection = select_planned_runs(plan)
    _, comparison = compare_selected(
        selection,
        runs_dir=RUNS,
        metric=load_objective(CONFIG / "objective.yaml").settings.metric.name,
        baseline=plan.baseline,
        count_readings=False,  # the stage depends only on the runs, so it uses the counts that they recorded
        bar=bar,
    )
    write_json(COMPARISON, plain(comparison))
    write_text(LEADERBOARD, to_markdown(comparison_blocks(comparison)))
    write_json(METRICS, {row.name: _summarise(row, comparison.metric) for row in comparison.candidates})
    PLOTS.mkdir(parents=True, exist_ok=True)
    _write_csv(PLOTS / "ladder.csv", ("model", "value", "low", "high"), _iterate_ladder(comparison))
    _write_csv(PLOTS / "curves.csv", ("model", "repeat", "epoch", "value"), _iterate_curves(selection))
    return comparison


def select_planned_runs(plan: PipelineConfig) -> Selection:
    """Select the runs of the plan, on the part that all of them report."""
    directories = run_directories(plan)
    part = read_run(directories[0]).record.evaluate
    selection = select(RUNS, data=plan.data, ids=[str(directory) for directory in directories], part=part)
    # Runs of an earlier plan may still be there. A fresh clone does not have them, so they are not reported.
    left_out = tuple(reason for reason in selection.left_out if not reason.startswith("not named"))
    return replace(selection, left_out=left_out, not_named=())


def _summarise(row: CandidateResult, metric: str) -> dict[str, float]:
    """Return the primary metric, and the difference to the baseline with its 95 % interval."""
    headline = {metric: row.metrics[metric].value}
    if row.baseline:
        headline |= {"difference": row.baseline.value, "low": row.baseline.low, "high": row.baseline.high}
    return headline


def _iterate_ladder(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Yield a row for each candidate, the simplest first."""
    for row in comparison.candidates:
        interval = row.metrics[comparison.metric]
        yield {"model": row.name, "value": interval.value, "low": interval.low, "high": interval.high}


def _iterate_curves(selection: Selection) -> Iterator[dict[str, Any]]:
    """Yield the F1 on val after each epoch, for models that train in epochs."""
    for candidate in selection.candidates:
        for run in candidate.runs:
            repeat = run.record.split_seed
            for point in run.read_history():
                if point.key.startswith("val/f1_"):
                    yield {"model": candidate.name, "repeat": repeat, "epoch": point.epoch, "value": point.value}


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def judge_runs(plan: PipelineConfig, begin: Begin) -> Verdict:
    """Write build/verdict.json, build/verdict.md and build/review.json, and return the verdict.

    Raises:
        UserError: runs that cannot be compared, or a label of the objective that the data do not have.
    """
    objective = load_objective(CONFIG / "objective.yaml")
    evidence = gather_evidence(select_planned_runs(plan), begin=begin)
    verdict = judge(evidence, objective)
    named = {path.stem: load_objective(path).settings for path in sorted(OBJECTIVES.glob("*.yaml"))}
    write_json(VERDICT, plain(verdict))
    write_text(VERDICT_TEXT, to_markdown(verdict_blocks(verdict)))
    write_json(REVIEW, plain(review(evidence, objective.settings, named)))
    return verdict

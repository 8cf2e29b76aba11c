"""What a report shows, read from run directories: comparison, verdict, and what other objectives would say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ratchet.comparison.compare import Bar, compare_selected
from ratchet.comparison.evidence import RESAMPLES
from ratchet.comparison.results import Comparison
from ratchet.config import Objective, compose_objective, named_objectives, register
from ratchet.objective.gate import Verdict, judge
from ratchet.objective.review import Review, review
from ratchet.runs.selection import Selection, select


@dataclass(frozen=True)
class Findings:
    """What was found of the runs of `selection`; `charts` and the page only draw it."""

    selection: Selection
    comparison: Comparison
    verdict: Verdict
    review: Review


def findings_in(
    runs_dir: Path,
    *,
    data: str | None = None,
    names: Sequence[str] = (),
    baseline: str = "rule",
    objective: str = "default",
    resamples: int = RESAMPLES,
) -> Findings:
    """The newest runs of each name in a directory of runs, under the objective of that name.

    Raises:
        UserError: nothing to compare, runs that cannot be compared, no such baseline or objective.
    """
    register({})
    selection = select(runs_dir, data=data, names=names)
    composed = compose_objective([f"objective={objective}"])
    return find(selection, composed, runs_dir=runs_dir, baseline=baseline, resamples=resamples)


def find(
    selection: Selection,
    objective: Objective,
    *,
    runs_dir: Path,
    baseline: str,
    promotions_dir: Path = Path("promotions"),
    resamples: int = RESAMPLES,
    bar: Bar = lambda what: lambda steps: lambda done: None,
) -> Findings:
    """Compare, judge, and ask what other objectives would say, all from the same draws of the records.

    Raises:
        UserError: no such baseline, or predictions that cannot be compared.
    """
    evidence, comparison = compare_selected(
        selection,
        runs_dir=runs_dir,
        metric=objective.settings.metric.name,
        baseline=baseline,
        promotions_dir=promotions_dir,
        resamples=resamples,
        bar=bar,
    )
    verdict = judge(evidence, objective)
    return Findings(selection, comparison, verdict, review(evidence, objective.settings, named_objectives()))

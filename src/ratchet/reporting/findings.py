"""The content of a report, computed from run directories: comparison, verdict, review, and the texts of the records."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ratchet.comparison.compare import Bar, compare_selected
from ratchet.comparison.evidence import RESAMPLES
from ratchet.comparison.results import Comparison
from ratchet.config import Objective, load, named_objectives, register
from ratchet.data.prepared import Prepared, prepare
from ratchet.errors import UserError
from ratchet.models import all_settings
from ratchet.objective.gate import Verdict, judge
from ratchet.objective.review import Review, review
from ratchet.runs.selection import Selection


@dataclass(frozen=True)
class Findings:
    """The results for the runs of `selection`; charts and pages only draw them."""

    selection: Selection
    comparison: Comparison
    verdict: Verdict
    review: Review


@dataclass(frozen=True)
class Texts:
    """The texts of the records by id, or None with the reason why they are missing."""

    by_id: Mapping[str, str] | None
    missing: str | None = None


def compute_findings(
    selection: Selection,
    objective: Objective,
    *,
    runs_dir: Path,
    baseline: str,
    promotions_dir: Path = Path("promotions"),
    resamples: int = RESAMPLES,
    bar: Bar = lambda what: lambda steps: lambda done: None,
) -> Findings:
    """Compare and judge selected runs, and review the objective, all with the same bootstrap samples of the records.

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


def read_texts(selection: Selection) -> Texts:
    """Read the texts from the data set of the newest run."""
    run = max(selection.runs, key=lambda run: run.record.started_at)
    try:
        register(all_settings())
        return match_texts(prepare(load(run.path / "config.yaml", all_settings()).data), selection)
    except UserError as error:
        return Texts(None, f"the texts cannot be read: {error}")


def match_texts(prepared: Prepared, selection: Selection) -> Texts:
    """Return the texts of a prepared data set, unless it is not the version that the runs used."""
    if prepared.version != selection.dataset_version:
        return Texts(
            None,
            f"the data set {selection.data} now has version {prepared.version[:12]}, but these runs used version "
            f"{selection.dataset_version[:12]}",
        )
    return Texts({record.id: record.text for record in prepared.records})

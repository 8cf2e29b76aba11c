"""From a selection of runs to a comparison, with the parents that lie beside them and what is promoted."""

from collections.abc import Callable
from pathlib import Path

from ratchet.comparison.compare import check_baseline, compare
from ratchet.comparison.evidence import RESAMPLES, Evidence, gather
from ratchet.comparison.lineage import other_parents, parents_of
from ratchet.comparison.resampling import Advance
from ratchet.comparison.results import Comparison
from ratchet.runs import find_runs
from ratchet.runs.promotions import promoted, said_of
from ratchet.runs.selection import Selection

Bar = Callable[[str], Callable[[int], Advance]]


def compare_selected(
    selection: Selection,
    *,
    runs_dir: Path,
    metric: str,
    baseline: str,
    count_readings: bool = True,
    promotions_dir: Path | None = None,
    resamples: int = RESAMPLES,
    bar: Bar = lambda what: lambda steps: lambda done: None,
) -> tuple[Evidence, Comparison]:
    """The comparison, and the evidence that it rests on, for who judges by the same draws.

    Parents are sought in `runs_dir`, where readings of test splits are counted too, unless what the runs noted of them
    shall do. Without `promotions_dir` nothing is promoted.

    Raises:
        UserError: no such baseline, or predictions that cannot be compared.
    """
    check_baseline(selection, baseline)
    runs = find_runs(runs_dir)
    parents = parents_of(selection, runs)
    others = other_parents(selection, parents, runs)
    evidence = gather(selection, others=others, resamples=resamples, begin=bar("drawing records"))
    standing = promoted(promotions_dir, selection.data) if promotions_dir else None
    found = compare(
        evidence,
        runs_dir=runs_dir if count_readings else None,
        metric=metric,
        baseline=baseline,
        promoted={(str(standing.name), str(standing.config_hash)): said_of(standing)} if standing else {},
        parents=parents,
        begin=bar("swapping predictions"),
    )
    return evidence, found

"""`ratchet compare`: candidates against the MVP baseline, from what their runs wrote down."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ratchet.cli.compare_tables import print_comparison
from ratchet.cli.selecting import Begin, SelectingOptions, parse_selecting, progress, selection_of
from ratchet.cli.tables import Format, print_json
from ratchet.comparison.compare import check_baseline, compare
from ratchet.comparison.evidence import gather
from ratchet.comparison.lineage import other_parents, parents_of
from ratchet.comparison.results import Comparison
from ratchet.config import Part, plain
from ratchet.runs import find_runs
from ratchet.runs.promotions import promoted, said_of
from ratchet.runs.selection import Selection


@dataclass
class Options(SelectingOptions):
    """Arguments of `compare`, beside those of the selection."""

    baseline: str = "rule"
    part: Part = Part.test
    promotions_dir: str = "promotions"


def run(arguments: list[str]) -> int:
    """The verb `compare`; the primary metric is that of `objective=`."""
    options, objective = parse_selecting(Options, arguments)
    selection = selection_of(options, options.part.name)
    check_baseline(selection, options.baseline)
    with progress() as bar:
        found = comparison_of(selection, options, objective.settings.metric.name, bar)
    if options.format is Format.json:
        print_json(plain(found))
    else:
        print_comparison(found, markdown=options.format is Format.md)
    return 0


def comparison_of(selection: Selection, options: Options, metric: str, bar: Callable[[str], Begin]) -> Comparison:
    """Everything that `compare` shows of the selection."""
    runs = find_runs(Path(options.runs_dir))
    parents = parents_of(selection, runs)
    others = other_parents(selection, parents, runs)
    evidence = gather(selection, others=others, resamples=options.resamples, begin=bar("drawing records"))
    standing = promoted(Path(options.promotions_dir), selection.data)
    return compare(
        evidence,
        runs_dir=Path(options.runs_dir),
        metric=metric,
        baseline=options.baseline,
        promoted={(str(standing.name), str(standing.config_hash)): said_of(standing)} if standing else {},
        parents=parents,
        begin=bar("swapping predictions"),
    )

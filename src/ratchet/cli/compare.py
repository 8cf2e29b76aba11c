"""`ratchet compare`: candidates against the MVP baseline, from what their runs wrote down."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ratchet.cli.compare_tables import print_comparison
from ratchet.cli.selecting import Begin, SelectingOptions, of_group, parse_selecting, progress, selection_of
from ratchet.cli.tables import Format, print_json
from ratchet.comparison.compare import check_baseline, compare
from ratchet.comparison.evidence import gather
from ratchet.comparison.lineage import other_parents, parents_of
from ratchet.comparison.results import Comparison
from ratchet.config import Part, TrackerConfig, compose, plain, register, take_config_dir
from ratchet.models import all_settings
from ratchet.runs import find_runs
from ratchet.runs.promotions import promoted, said_of
from ratchet.runs.selection import Selection
from ratchet.tracking import open_tracker
from ratchet.tracking.leaderboard import describe_comparison, report_comparison


@dataclass
class Options(SelectingOptions):
    """Arguments of `compare`, beside those of the selection."""

    baseline: str = "rule"
    part: Part = Part.test
    promotions_dir: str = "promotions"


def run(arguments: list[str]) -> int:
    """The verb `compare`; the primary metric is that of `objective=`, `tracker=` is told of the leaderboard."""
    to_track = of_group("tracker", arguments)
    options, objective = parse_selecting(Options, [each for each in arguments if each not in to_track], ["tracker"])
    tracker_settings = _tracker_settings(to_track, arguments)
    selection = selection_of(options, options.part.name)
    check_baseline(selection, options.baseline)
    with progress() as bar:
        found = comparison_of(selection, options, objective.settings.metric.name, bar)
    describe = partial(describe_comparison, found, tracker_settings.group or selection.data)
    with open_tracker(tracker_settings, Path(options.runs_dir, selection.data), describe) as tracker:
        tracker.report(lambda: report_comparison(found, selection))
    if options.format is Format.json:
        print_json(plain(found))
    else:
        print_comparison(found, markdown=options.format is Format.md)
    return 0


def _tracker_settings(chosen: list[str], arguments: list[str]) -> TrackerConfig:
    """As a run has them; nothing is composed where nothing was chosen."""
    if not chosen:
        return TrackerConfig()
    register(all_settings())
    return compose(chosen, take_config_dir(arguments)[1]).tracker


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

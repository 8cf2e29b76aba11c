"""`ratchet compare`: candidates against the MVP baseline, from what their runs wrote down."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ratchet.cli.compare_tables import print_comparison
from ratchet.cli.selecting import SelectingOptions, of_group, parse_selecting, progress, selection_of
from ratchet.cli.tables import Format, print_json
from ratchet.comparison.compare import compare_selected
from ratchet.config import Part, TrackerConfig, compose, plain, register, take_config_dir
from ratchet.models import all_settings
from ratchet.tracking import open_tracker
from ratchet.tracking.reports import describe_comparison, report_comparison


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
    with progress() as bar:
        _, found = compare_selected(
            selection,
            runs_dir=Path(options.runs_dir),
            metric=objective.settings.metric.name,
            baseline=options.baseline,
            promotions_dir=Path(options.promotions_dir),
            resamples=options.resamples,
            bar=bar,
        )
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

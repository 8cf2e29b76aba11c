"""`ratchet compare`: compare candidates with the MVP baseline, from their run directories."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ratchet.cli.selecting import SelectingOptions, filter_group, parse_selecting, select_runs, show_progress
from ratchet.comparison.compare import compare_selected
from ratchet.config import (
    Part,
    TrackerConfig,
    TrackerKind,
    compose,
    located,
    plain,
    register,
    require_packages,
    take_config_dir,
)
from ratchet.models import all_settings
from ratchet.reporting.comparison_tables import comparison_blocks
from ratchet.reporting.terminal import Format, print_blocks, print_json
from ratchet.tracking import open_tracker, print_upload
from ratchet.tracking.reports import describe_comparison, report_comparison


@dataclass
class Options(SelectingOptions):
    """Arguments of `compare`, in addition to those of the selection."""

    baseline: str = "rule"
    """Name of the candidate that all others are compared with."""
    part: Part = Part.test
    """Part whose metrics are compared."""
    promotions_dir: str = located("promotions")
    """Directory of the promotions log."""


def run(arguments: list[str]) -> int:
    """Run the verb `compare`. `objective=` sets the primary metric; `tracker=` receives the leaderboard."""
    to_track = filter_group("tracker", arguments)
    own = [argument for argument in arguments if argument not in to_track]
    options, objective = parse_selecting(Options, own, ["tracker"])
    tracker_settings = _compose_tracker(to_track, arguments)
    selection = select_runs(options, options.part.name)
    with show_progress() as bar:
        _, comparison = compare_selected(
            selection,
            runs_dir=Path(options.runs_dir),
            metric=objective.settings.metric.name,
            baseline=options.baseline,
            promotions_dir=Path(options.promotions_dir),
            resamples=options.resamples,
            bar=bar,
        )
    describe = partial(describe_comparison, comparison, tracker_settings.group or selection.data)
    with open_tracker(tracker_settings, Path(options.runs_dir, selection.data), describe) as tracker:
        tracker.report(lambda: report_comparison(comparison, selection))
    if options.format is Format.json:
        print_json(plain(comparison))
    else:
        print_blocks(comparison_blocks(comparison), markdown=options.format is Format.md)
    if tracker_settings.kind is not TrackerKind.none:
        print_upload([Path(options.runs_dir, selection.data)])
    return 0


def _compose_tracker(chosen: list[str], arguments: list[str]) -> TrackerConfig:
    """Return the settings of a tracker as a run composes them, or the defaults if none was chosen."""
    if not chosen:
        return TrackerConfig()
    register(all_settings())
    config = compose(chosen, take_config_dir(arguments)[1])
    require_packages(config)
    return config.tracker

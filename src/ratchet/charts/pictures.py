"""All charts of a comparison, or of runs alone, by name: for DVC and W&B."""

from collections.abc import Mapping

from ratchet.charts.comparison_charts import choose_shown, differences, group_differences, ladder, quality_and_cost
from ratchet.charts.run_charts import calibration, confusions, learning_curves, threshold_curves
from ratchet.charts.theme import Chart
from ratchet.comparison.results import Comparison
from ratchet.runs.selection import Selection


def pictures_of(comparison: Comparison, selection: Selection) -> Mapping[str, Chart]:
    """Return the charts of the report by name, without those that have nothing to show.

    They show at most `MOST_CANDIDATES` candidates.
    """
    comparison, selection = choose_shown(comparison, selection)
    charts = {
        "ladder": ladder(comparison, selection),
        "differences": differences(comparison),
        "cost": quality_and_cost(comparison),
        "labels": group_differences(comparison, "label"),
        "slices": group_differences(comparison, "slice"),
        "learning": learning_curves(selection),
        **_of_runs(selection, comparison.metric),
    }
    return {name: chart for name, chart in charts.items() if chart is not None}


def pictures_of_runs(selection: Selection, metric: str) -> Mapping[str, Chart]:
    """Return the charts that need no comparison."""
    return {name: chart for name, chart in _of_runs(selection, metric).items() if chart is not None}


def _of_runs(selection: Selection, metric: str) -> Mapping[str, Chart | None]:
    return {
        "thresholds": threshold_curves(selection, metric),
        "calibration": calibration(selection),
        "confusions": confusions(selection),
    }

"""Which pictures there are of a comparison, and of single runs: for DVC, W&B, and whoever shows files."""

from collections.abc import Mapping

from ratchet.charts.comparison_charts import differences, group_differences, ladder, quality_and_cost
from ratchet.charts.run_charts import calibration, confusions, learning_curves, threshold_curves
from ratchet.charts.theme import Chart
from ratchet.comparison.results import Comparison
from ratchet.runs.selection import Selection


def pictures_of(found: Comparison, selection: Selection) -> Mapping[str, Chart]:
    """By name, those of the report; charts that there is nothing for are left out."""
    charts = {
        "ladder": ladder(found, selection),
        "differences": differences(found),
        "cost": quality_and_cost(found),
        "labels": group_differences(found, "label"),
        "slices": group_differences(found, "slice"),
        "learning": learning_curves(selection),
        **_of_runs(selection, found.metric),
    }
    return {name: chart for name, chart in charts.items() if chart is not None}


def pictures_of_runs(selection: Selection, metric: str) -> Mapping[str, Chart]:
    """What can be drawn of runs by themselves."""
    return {name: chart for name, chart in _of_runs(selection, metric).items() if chart is not None}


def _of_runs(selection: Selection, metric: str) -> Mapping[str, Chart | None]:
    return {
        "thresholds": threshold_curves(selection, metric),
        "calibration": calibration(selection),
        "confusions": confusions(selection),
    }

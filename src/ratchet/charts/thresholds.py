"""The threshold curve: what another threshold would have given on val, where it was chosen."""

import statistics
from collections.abc import Iterator

import altair as alt
import numpy as np

from ratchet.charts.theme import WIDTH, Chart, Row, choice, colour, dash, shape, told_above
from ratchet.comparison.verdicts import metric_name
from ratchet.evaluation.metrics import averaged
from ratchet.evaluation.thresholds import Thresholds
from ratchet.runs.predictions import Predictions, read_predictions
from ratchet.runs.selection import Candidate, Selection

GRID = np.arange(1, 50) / 50
_MEASURES = ("f1", "precision", "recall")


def threshold_curves(selection: Selection, metric: str) -> Chart | None:
    """`metric` and its kin, means over repeats, one threshold for all labels; marks are where each repeat's was put.

    None where nothing hangs on a threshold: scores are only 0 and 1, or the highest decides.
    """
    average = metric.partition("_")[2]
    rows = [row for candidate in selection.candidates for row in _curve(candidate, average)]
    if not rows:
        return None
    names = [each.name for each in selection.candidates]
    shown = [name for name in names if any(row["model"] == name for row in rows)]
    chosen = [row for candidate in selection.candidates for row in _chosen(candidate, average)]
    titles = [metric_name(f"{measure}_{average}") for measure in _MEASURES]
    show = choice("show", titles, metric_name(metric))
    x = alt.X("threshold:Q", title="threshold", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    told = [alt.Tooltip("model:N"), *(alt.Tooltip(f"{key}:Q", format=".3f") for key in ("threshold", "value"))]
    lines = alt.Chart(alt.InlineData(values=rows)).transform_filter("datum.show == show")
    points = alt.Chart(alt.InlineData(values=chosen)).transform_filter("datum.show == show")
    return (
        alt.layer(
            lines.mark_line(strokeWidth=2.5).encode(
                x=x, y=y, color=colour(names, shown), strokeDash=dash(names, shown), tooltip=told
            ),
            points.mark_point(filled=True, size=70, opacity=0.9).encode(
                x=x, y=y, color=colour(names, shown), shape=shape(names, shown), tooltip=told
            ),
        )
        .add_params(show)
        .properties(width=WIDTH, height=280, title=told_above("show + ' on val'"))
    )


def _on_val(candidate: Candidate) -> list[tuple[Thresholds, Predictions]]:
    """Of the runs that a threshold decides in."""
    read = []
    for run in candidate.runs:
        thresholds = Thresholds.from_json(run.read_json("thresholds.json"), run.read_json("labels.json"))
        found = read_predictions(run.path / "predictions" / "val.parquet")
        if thresholds.values is not None and not np.isin(found.scores, (0, 1)).all():
            read.append((thresholds, found))
    return read


def _curve(candidate: Candidate, average: str) -> Iterator[Row]:
    read = _on_val(candidate)
    for threshold in GRID.tolist() if read else []:
        at = Thresholds("", np.array(threshold))  # decides as runs do, also on a score that is the threshold itself
        measured = [averaged(found.targets, at.decide(found.scores)) for _, found in read]
        yield from _measures(candidate.name, threshold, average, measured)


def _chosen(candidate: Candidate, average: str) -> Iterator[Row]:
    """Where one threshold holds for all labels."""
    for thresholds, found in _on_val(candidate):
        values = set() if thresholds.values is None else set(thresholds.values.tolist())
        if len(values) == 1:
            measured = averaged(found.targets, thresholds.decide(found.scores))
            yield from _measures(candidate.name, values.pop(), average, [measured])


def _measures(name: str, threshold: float, average: str, measured: list[dict[str, np.ndarray]]) -> Iterator[Row]:
    for measure in _MEASURES:
        value = statistics.mean(float(each[f"{measure}_{average}"]) for each in measured)
        shown = metric_name(f"{measure}_{average}")
        yield {"model": name, "show": shown, "threshold": round(threshold, 4), "value": round(value, 4)}

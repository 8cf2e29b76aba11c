"""Learning curves: what models that train in epochs wrote down after each."""

import math

import altair as alt

from ratchet.charts.theme import WIDTH, Chart, Row, choice, colour, dash, told_above
from ratchet.runs.selection import Selection

_NOT_SHOWN = ("learning_rate",)


def learning_curves(selection: Selection) -> Chart | None:
    """A line a repeat, of losses or of the metric on val; None where no model trains in epochs."""
    rows = learning_rows(selection)
    names = [each.name for each in selection.candidates]
    shown = [name for name in names if any(row["model"] == name for row in rows)]
    curves = sorted({row["curve"] for row in rows}, key=lambda curve: ("loss" in curve, curve))
    if not rows:
        return None
    curve = choice("curve", curves, curves[0])
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d"))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    told = [*("model:N", "repeat:N", "epoch:Q"), alt.Tooltip("value:Q", format=".3f")]
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=rows))
        .transform_filter("datum.curve == curve")
        .mark_line(opacity=0.85, point=alt.OverlayMarkDef(size=14))
        .encode(x=x, y=y, color=colour(names, shown), strokeDash=dash(names, shown), detail="repeat:N", tooltip=told)
        .add_params(curve)
        .properties(width=WIDTH, height=280, title=told_above("curve"))
    )
    return chart


def learning_rows(selection: Selection) -> list[Row]:
    """Every point of every curve: model, repeat, epoch, curve, value; none where a loss is no number any more."""
    rows = []
    for candidate in selection.candidates:
        for run in candidate.runs:
            for point in run.history():
                if point.epoch is not None and point.key not in _NOT_SHOWN and math.isfinite(point.value):
                    told = {"model": candidate.name, "repeat": f"split {run.record.split_seed}, seed {run.record.seed}"}
                    rows.append({**told, "epoch": point.epoch, "curve": point.key, "value": round(point.value, 5)})
    return rows

"""The ladder: every candidate's metric with its interval, its repeats beside it."""

import altair as alt

from ratchet.charts.theme import ROW, WIDTH, Chart, Row, colour, shape
from ratchet.comparison.results import Comparison
from ratchet.comparison.verdicts import metric_name
from ratchet.runs.selection import Selection


def ladder(found: Comparison, selection: Selection) -> Chart:
    """Dots and whiskers, the simplest candidate on top; thin strokes are its repeats, the dashed line the baseline."""
    names = [each.name for each in found.candidates]
    splits = len(found.splits)
    over = f"mean over {splits} splits" if splits > 1 else "one split"
    title = f"{metric_name(found.metric)} on {found.part}, {over}, 95 % interval"
    y = alt.Y("model:N", sort=names, title=None, axis=alt.Axis(labelFontWeight="bold", ticks=False, domain=False))
    x = alt.X("value:Q", title=title, scale=alt.Scale(zero=False, nice=True))
    base = alt.Chart(alt.InlineData(values=_rows(found)))
    told = [
        alt.Tooltip("model:N"),
        alt.Tooltip("value:Q", format=".3f", title=found.metric),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
        alt.Tooltip("runs:Q"),
    ]
    baseline = base.transform_filter(alt.datum.model == found.baseline).mark_rule(strokeDash=[4, 4], opacity=0.6)
    repeats = alt.Chart(alt.InlineData(values=_repeats(found, selection))).mark_tick(thickness=1.5, opacity=0.55)
    whiskers = base.mark_rule(strokeWidth=3)
    points = base.mark_point(filled=True, size=150, opacity=1)
    labels = base.mark_text(dy=-13, fontWeight="bold")
    return alt.layer(
        baseline.encode(x=x),
        repeats.encode(x=x, y=y, color=colour(names), tooltip=["model:N", "run:N", "value:Q"]),
        whiskers.encode(x=alt.X("low:Q", title=title), x2="high:Q", y=y, color=colour(names)),
        points.encode(x=x, y=y, color=colour(names), shape=shape(names), tooltip=told),
        labels.encode(x=x, y=y, text=alt.Text("value:Q", format=".3f")),
    ).properties(width=WIDTH, height=(ROW + 10) * len(names))


def _rows(found: Comparison) -> list[Row]:
    return [
        {"model": each.name, "runs": len(each.runs), **vars(each.metrics[found.metric])} for each in found.candidates
    ]


def _repeats(found: Comparison, selection: Selection) -> list[Row]:
    """What each run reached by itself."""
    return [
        {
            "model": candidate.name,
            "run": f"split {run.record.split_seed}, seed {run.record.seed}",
            "value": run.figures()[f"{found.part}/{found.metric}"],
        }
        for candidate in selection.candidates
        for run in candidate.runs
    ]

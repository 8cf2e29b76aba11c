"""A search as it went: what each trial reached, which keys mattered, and what quality costs."""

import altair as alt

from ratchet.charts.theme import NEUTRAL, ROW, WIDTH, Chart, Row
from ratchet.search.results import SearchResult, TrialResult

_KINDS = {"default": ("#d5600f", "diamond"), "tried": ("#1f83c4", "circle"), "pruned": (NEUTRAL, "cross")}
_BEST = "#159a72"


def search_history(found: SearchResult, metric: str) -> Chart | None:
    """The metric of each trial in its order, and the best so far as a line; None where none came to an end.

    A pruned trial stands at what its last epoch reached.
    """
    rows, best = _history(found), _best_so_far(found)
    if not best:
        return None
    x = alt.X("trial:Q", title="trial", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False))
    y = alt.Y("value:Q", title=metric, scale=alt.Scale(zero=False, nice=True))
    told = ["trial:Q", "kind:N", alt.Tooltip("value:Q", format=".3f"), "settings:N"]
    line = alt.Chart(alt.InlineData(values=best)).mark_line(interpolate="step-after", color=_BEST, strokeWidth=2)
    points = alt.Chart(alt.InlineData(values=rows)).mark_point(filled=True, size=80, opacity=1)
    return alt.layer(
        line.encode(x=x, y=y), points.encode(x=x, y=y, color=_colour(), shape=_shape(), tooltip=told)
    ).properties(width=WIDTH, height=300)


def search_importance(found: SearchResult) -> Chart | None:
    """How much of what trials differ in each key explains; None where too few finished."""
    if not found.importance:
        return None
    shares = {key.removeprefix("model."): share for key, share in found.importance.items()}
    rows = [{"key": key, "share": share} for key, share in shares.items()]
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(color="#1f83c4", height={"band": 0.6})
        .encode(
            x=alt.X("share:Q", title="share of the variance between trials", axis=alt.Axis(format="%")),
            y=alt.Y("key:N", title=None, sort=list(shares)),
            tooltip=["key:N", alt.Tooltip("share:Q", format=".0%")],
        )
        .properties(width=WIDTH, height=ROW * len(rows))
    )
    return chart


def search_front(found: SearchResult, metric: str, cost: str) -> Chart | None:
    """The metric over a cost on a logarithmic scale; what nothing beats in both is joined. None without a cost."""
    if not found.front:
        return None
    costly = [trial for trial in found.trials if trial.cost]
    rows = [{**row, "amount": trial.cost} for trial in costly for row in _points(found, trial)]
    front = [{"amount": trial.cost, "value": trial.metric} for trial in found.front]
    x = alt.X("amount:Q", title=f"{cost}, on a logarithmic scale", scale=alt.Scale(type="log", nice=True))
    y = alt.Y("value:Q", title=metric, scale=alt.Scale(zero=False, nice=True))
    told = ["trial:Q", alt.Tooltip("value:Q", format=".3f"), alt.Tooltip("amount:Q", format=",.3~g"), "settings:N"]
    line = alt.Chart(alt.InlineData(values=front)).mark_line(interpolate="step-after", color=_BEST, strokeWidth=2)
    points = alt.Chart(alt.InlineData(values=rows)).mark_point(filled=True, size=80, opacity=1)
    return alt.layer(
        line.encode(x=x, y=y), points.encode(x=x, y=y, color=_colour(), shape=_shape(), tooltip=told)
    ).properties(width=WIDTH, height=300)


def _colour() -> alt.Color:
    scale = alt.Scale(domain=list(_KINDS), range=[colour for colour, _ in _KINDS.values()])
    return alt.Color("kind:N", scale=scale, legend=alt.Legend(title=None, orient="top", symbolOpacity=1))


def _shape() -> alt.Shape:
    return alt.Shape("kind:N", scale=alt.Scale(domain=list(_KINDS), range=[shape for _, shape in _KINDS.values()]))


def _history(found: SearchResult) -> list[Row]:
    return [row for trial in found.trials for row in _points(found, trial)]


def _points(found: SearchResult, trial: TrialResult) -> list[Row]:
    """The point of a trial; none of one that failed."""
    value = trial.metric if trial.metric is not None else trial.reported
    if value is None or trial.state not in ("finished", "pruned"):
        return []
    kind = "pruned" if trial.state == "pruned" else "default" if trial is found.default else "tried"
    settings = ", ".join(f"{key.removeprefix('model.')} {value}" for key, value in trial.values.items())
    return [{"trial": trial.number, "value": round(value, 5), "kind": kind, "settings": settings}]


def _best_so_far(found: SearchResult) -> list[Row]:
    rows: list[Row] = []
    for trial in found.trials:
        if trial.metric is not None and (not rows or trial.metric > rows[-1]["value"]):
            rows.append({"trial": trial.number, "value": round(trial.metric, 5)})
    return [*rows, {**rows[-1], "trial": found.trials[-1].number}] if rows else []

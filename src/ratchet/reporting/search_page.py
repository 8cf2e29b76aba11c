"""A search of settings on one page that needs no network: its charts, and a table of all trials."""

from collections.abc import Iterator

import altair as alt

from ratchet.charts.theme import NEUTRAL, ROW, WIDTH, Chart, Row
from ratchet.comparison.results import COST_TITLES, metric_name
from ratchet.config import SearchConfig
from ratchet.reporting.blocks import Block, Cell, Column, Figure, Paragraph, Section, Table, amount, number, text
from ratchet.reporting.page import render_page
from ratchet.sweeps.space import to_overrides
from ratchet.sweeps.trials import SearchResult, TrialResult

_FOOTNOTE = (
    "All numbers are from val, on which the best trial was chosen. A single test-set access measures its quality."
)
_KINDS = {"default": ("#d5600f", "diamond"), "tried": ("#1f83c4", "circle"), "pruned": (NEUTRAL, "cross")}
_BEST = "#159a72"
_BAR = "#1f83c4"


def build_search_page(title: str, result: SearchResult, settings: SearchConfig, facts: list[tuple[str, str]]) -> str:
    """Return the page as HTML, with `facts` at its head."""
    answer, why = _summarise(result)
    parts: list[tuple[str, str, Iterator[Block]]] = [
        ("History", "Trial by trial", _build_history(result, settings)),
        ("Importance", "Importance of the keys", _build_importance(result)),
        *([("Cost", "Quality against cost", _build_front(result, settings))] if result.front else []),
        ("Trials", "All trials", _build_trials(result, settings)),
    ]
    sections = [Section(name, heading, list(blocks)) for name, heading, blocks in parts]
    headline = {"answer": answer, "why": why, "tone": "even"}  # a search alone shows no improvement
    return render_page(title, headline, facts, sections, _FOOTNOTE)


def _summarise(result: SearchResult) -> tuple[str, str]:
    """Return the answer of the search and its explanation: a gain over the default only if the default was tried."""
    if result.best is None:
        return "no trial has finished", "there is no best trial yet"
    if result.gain is None:
        return "whether this is better than the default is not known", "no trial of the default settings has finished"
    if result.best is result.default:
        return "no better setting was found", "than the default settings, on val"
    return (
        f"{result.gain:+.3f} on val against the default",
        "on the records on which it was chosen, so it is too high; `ratchet compare` measures it on test",
    )


def _build_history(result: SearchResult, settings: SearchConfig) -> Iterator[Block]:
    chart = chart_history(result, _format_metric(settings))
    if chart is None:
        yield Paragraph("No trial has finished.")
        return
    default = "The default was not tried" if result.default is None else "The diamond is the default"
    caption = (
        f"Circles are trials. {default}. Crosses were pruned and show the metric of their last epoch. "
        "The line is the best so far."
    )
    yield Figure("history-chart", "The metric of each trial", caption, chart)


def _build_importance(result: SearchResult) -> Iterator[Block]:
    chart = chart_importance(result)
    if chart is None:
        yield Paragraph("Fewer than ten trials finished, or all are equally good: too few to estimate importance.")
        return
    caption = (
        "The share of the variance between finished trials that each key explains by itself (fANOVA), within the "
        "searched ranges. With few trials this is a rough estimate."
    )
    yield Figure("importance-chart", "Which keys matter", caption, chart)


def _build_front(result: SearchResult, settings: SearchConfig) -> Iterator[Block]:
    assert settings.cost is not None
    chart = chart_front(result, _format_metric(settings), COST_TITLES.get(settings.cost.name, settings.cost.name))
    if chart is not None:
        caption = "The trials on the line form the Pareto front: no other trial is better in both."
        yield Figure("front-chart", "Quality against cost", caption, chart)


def _build_trials(result: SearchResult, settings: SearchConfig) -> Iterator[Block]:
    cost = [] if settings.cost is None else [Column(settings.cost.name, numeric=True)]
    columns = [Column("trial", numeric=True), Column("state"), Column(_format_metric(settings), numeric=True), *cost]
    columns += [
        Column("epochs", numeric=True),
        Column("s", numeric=True, about="seconds from the start of the trial to its result"),
        Column("settings"),
    ]
    yield Table("All trials", columns, [_build_row(trial, settings, result.best) for trial in result.trials])


def _build_row(trial: TrialResult, settings: SearchConfig, best: TrialResult | None) -> list[Cell]:
    cost = [] if settings.cost is None else [amount(trial.cost)]
    state = text("best", "good") if trial is best else text(trial.state, "bad" if trial.state == "failed" else "")
    measured = [number(trial.metric), *cost, number(trial.epochs, "d"), amount(trial.seconds)]
    values = " ".join(override.removeprefix("model.") for override in to_overrides(trial.values))
    return [number(trial.number, "d"), state, *measured, Cell(values, code=True)]


def _format_metric(settings: SearchConfig) -> str:
    return f"{metric_name(settings.metric.name)} on val"


# --- charts -----------------------------------------------------------------------------------------------------------


def chart_history(result: SearchResult, metric: str) -> Chart | None:
    """Draw the metric of each trial, and the best so far as a line; None if no trial finished."""
    best = _track_best(result)
    if not best:
        return None
    rows = [row for trial in result.trials for row in _list_points(result, trial)]
    x = alt.X("trial:Q", title="trial", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False))
    y = alt.Y("value:Q", title=metric, scale=alt.Scale(zero=False, nice=True))
    tooltip = ["trial:Q", "kind:N", alt.Tooltip("value:Q", format=".3f"), "settings:N"]
    line = alt.Chart(alt.InlineData(values=best)).mark_line(interpolate="step-after", color=_BEST, strokeWidth=2)
    points = alt.Chart(alt.InlineData(values=rows)).mark_point(filled=True, size=80, opacity=1)
    return alt.layer(
        line.encode(x=x, y=y), points.encode(x=x, y=y, color=_encode_colour(), shape=_encode_shape(), tooltip=tooltip)
    ).properties(width=WIDTH, height=300)


def chart_importance(result: SearchResult) -> Chart | None:
    """Draw the share of the variance that each key explains; None if too few trials finished."""
    if not result.importance:
        return None
    shares = {key.removeprefix("model."): share for key, share in result.importance.items()}
    rows = [{"key": key, "share": share} for key, share in shares.items()]
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(color=_BAR, height={"band": 0.6})
        .encode(
            x=alt.X("share:Q", title="share of the variance between trials", axis=alt.Axis(format="%")),
            y=alt.Y("key:N", title=None, sort=list(shares)),
            tooltip=["key:N", alt.Tooltip("share:Q", format=".0%")],
        )
        .properties(width=WIDTH, height=ROW * len(rows))
    )
    return chart


def chart_front(result: SearchResult, metric: str, cost: str) -> Chart | None:
    """Draw the metric over a cost on a logarithmic scale, with the Pareto front as a line; None without a cost."""
    if not result.front:
        return None
    trials = [trial for trial in result.trials if trial.cost]
    rows = [{**row, "amount": trial.cost} for trial in trials for row in _list_points(result, trial)]
    front = [{"amount": trial.cost, "value": trial.metric} for trial in result.front]
    x = alt.X("amount:Q", title=f"{cost}, on a logarithmic scale", scale=alt.Scale(type="log", nice=True))
    y = alt.Y("value:Q", title=metric, scale=alt.Scale(zero=False, nice=True))
    values = [alt.Tooltip("value:Q", format=".3f"), alt.Tooltip("amount:Q", format=",.3~g")]
    line = alt.Chart(alt.InlineData(values=front)).mark_line(interpolate="step-after", color=_BEST, strokeWidth=2)
    points = alt.Chart(alt.InlineData(values=rows)).mark_point(filled=True, size=80, opacity=1)
    tooltip = ["trial:Q", *values, "settings:N"]
    return alt.layer(
        line.encode(x=x, y=y), points.encode(x=x, y=y, color=_encode_colour(), shape=_encode_shape(), tooltip=tooltip)
    ).properties(width=WIDTH, height=300)


def _encode_colour() -> alt.Color:
    scale = alt.Scale(domain=list(_KINDS), range=[colour for colour, _ in _KINDS.values()])
    return alt.Color("kind:N", scale=scale, legend=alt.Legend(title=None, orient="top", symbolOpacity=1))


def _encode_shape() -> alt.Shape:
    return alt.Shape("kind:N", scale=alt.Scale(domain=list(_KINDS), range=[shape for _, shape in _KINDS.values()]))


def _list_points(result: SearchResult, trial: TrialResult) -> list[Row]:
    """Return the point of a trial, at the metric of its last epoch if it was pruned; none if it failed."""
    value = trial.metric if trial.metric is not None else trial.reported
    if value is None or trial.state not in ("finished", "pruned"):
        return []
    kind = "pruned" if trial.state == "pruned" else "default" if trial is result.default else "tried"
    settings = ", ".join(f"{key.removeprefix('model.')} {value}" for key, value in trial.values.items())
    return [{"trial": trial.number, "value": round(value, 5), "kind": kind, "settings": settings}]


def _track_best(result: SearchResult) -> list[Row]:
    rows: list[Row] = []
    for trial in result.trials:
        if trial.metric is not None and (not rows or trial.metric > rows[-1]["value"]):
            rows.append({"trial": trial.number, "value": round(trial.metric, 5)})
    return [*rows, {**rows[-1], "trial": result.trials[-1].number}] if rows else []

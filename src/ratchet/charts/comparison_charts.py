"""Draw a comparison: the ladder, differences, labels and slices, quality against cost."""

from collections.abc import Mapping
from typing import Literal

import altair as alt

from ratchet.charts.theme import (
    ROW,
    WIDTH,
    Chart,
    Row,
    choice,
    colour,
    shape,
    told_above,
    verdict_colour,
    verdict_shape,
)
from ratchet.comparison.results import CandidateResult, Comparison, Difference, GroupDifference, metric_name
from ratchet.runs.selection import Selection

BELOW = "the rung below"
MOST = 40  # of one candidate: more are no picture any more
_STEP = 19
_METRIC = {"label": "F1", "slice": "weighted F1"}
COSTS = {
    "fit_seconds": "fit (s)",
    "latency_ms_p95": "latency p95 (ms)",
    "items_per_second": "texts a second",
    "peak_memory_mb": "peak memory (MB)",
    "size_mb": "size on disk (MB)",
}
_BUDGET_OF = {"latency_ms_p95": ("latency_ms_p95", 1), "size_mb": ("size_mb", 1), "fit_seconds": ("fit_minutes", 60)}


def ladder(found: Comparison, selection: Selection) -> Chart:
    """Dots and whiskers, the simplest candidate on top; thin strokes are its repeats, the dashed line the baseline."""
    names = [each.name for each in found.candidates]
    splits = len(found.splits)
    over = f"mean over {splits} splits" if splits > 1 else "one split"
    title = f"{metric_name(found.metric)} on {found.part}, {over}, 95 % interval"
    y = alt.Y("model:N", sort=names, title=None, axis=alt.Axis(labelFontWeight="bold", ticks=False, domain=False))
    x = alt.X("value:Q", title=title, scale=alt.Scale(zero=False, nice=True))
    base = alt.Chart(alt.InlineData(values=_ladder_rows(found)))
    told = [
        alt.Tooltip("model:N"),
        alt.Tooltip("value:Q", format=".3f", title=found.metric),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
        alt.Tooltip("runs:Q"),
    ]
    baseline = base.transform_filter(alt.datum.model == found.baseline).mark_rule(strokeDash=[4, 4], opacity=0.6)
    repeats = alt.Chart(alt.InlineData(values=_repeat_rows(found, selection))).mark_tick(thickness=1.5, opacity=0.55)
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


def _ladder_rows(found: Comparison) -> list[Row]:
    return [
        {"model": each.name, "runs": len(each.runs), **vars(each.metrics[found.metric])} for each in found.candidates
    ]


def _repeat_rows(found: Comparison, selection: Selection) -> list[Row]:
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


def differences(found: Comparison) -> Chart | None:
    """Differences with intervals, better to the right of the line; None where there is nothing but the baseline."""
    rows = _difference_rows(found)
    if not rows:
        return None
    names = [each.name for each in found.candidates if each.baseline]
    against = choice("against", list(dict.fromkeys(row["against"] for row in rows)))
    return intervals(
        rows, f"difference in {metric_name(found.metric)}, 95 % interval", names, ROW * len(names), [against]
    )


def intervals(
    rows: list[Row], title: str, order: list[str] | alt.EncodingSortField, height: int, chosen: list[alt.Parameter]
) -> Chart:
    """A row a name: its difference, whiskers, and by colour and shape what is made of it."""
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False))
    base = alt.Chart(alt.InlineData(values=rows))
    for each in chosen:
        base = base.transform_filter(f"datum.{each.name} == {each.name}")
    told = [alt.Tooltip(f"{key}:N") for key in rows[0] if key not in ("value", "low", "high")]
    told += [alt.Tooltip(f"{key}:Q", format="+.3f") for key in ("value", "low", "high")]
    zero = alt.Chart(alt.InlineData(values=[{"value": 0}])).mark_rule(strokeDash=[4, 4], opacity=0.7)
    return (
        alt.layer(
            zero.encode(x=alt.X("value:Q", title=title)),
            base.mark_rule(strokeWidth=2.5).encode(
                x=alt.X("low:Q", title=title, axis=alt.Axis(format="+")), x2="high:Q", y=y, color=verdict_colour()
            ),
            base.mark_point(filled=True, size=110, opacity=1).encode(
                x="value:Q", y=y, color=verdict_colour(), shape=verdict_shape(), tooltip=told
            ),
        )
        .add_params(*chosen)
        .properties(width=WIDTH, height=height)
    )


def _difference_rows(found: Comparison) -> list[Row]:
    rows = []
    for each in found.candidates:
        for against, other in ((BELOW, each.predecessor), (found.baseline, each.baseline)):
            if other is not None:
                rows.append({"name": each.name, "against": against, "compared with": other.to, **_told(other)})
    return rows


def _told(each: Difference) -> Row:
    return {"value": each.value, "low": each.low, "high": each.high, "verdict": each.verdict}


def group_differences(found: Comparison, kind: Literal["label", "slice"]) -> Chart | None:
    """One candidate's differences to the baseline, those with the largest; None where there are none."""
    names = [each.name for each in found.candidates if _groups_of(each, kind)]
    rows = [_group_row(each, group) for each in found.candidates for group in _groups_of(each, kind)[:MOST]]
    if not rows:
        return None
    title = f"difference in {_METRIC[kind]} to {found.baseline}, 95 % interval"
    most = max(len(_groups_of(each, kind)[:MOST]) for each in found.candidates)
    order = alt.EncodingSortField(field="value", op="mean", order="descending")
    return intervals(rows, title, order, _STEP * most, [choice("model", names)])


def _groups_of(each: CandidateResult, kind: str) -> list[GroupDifference]:
    groups = [group for group in each.groups if group.kind == kind]
    return sorted(groups, key=lambda group: -abs(group.difference.value))


def _group_row(each: CandidateResult, group: GroupDifference) -> Row:
    return {
        "name": group.name,
        "model": each.name,
        "positives": group.positives,
        "verdict": group.verdict,
        **vars(group.difference),
    }


def quality_and_cost(found: Comparison, budgets: Mapping[str, float | None] | None = None) -> Chart | None:
    """The metric with its interval over a cost on a logarithmic scale; None where no cost was measured.

    `budgets` are an objective's: what a model may cost at most is a dashed line.
    """
    rows = [row for name, title in COSTS.items() for row in _cost_rows(found, name, title)]
    if not rows:
        return None
    names = [each.name for each in found.candidates]
    kinds = [title for title in COSTS.values() if any(row["cost"] == title for row in rows)]
    cost, metric = choice("cost", kinds, kinds[0]), metric_name(found.metric)
    base = alt.Chart(alt.InlineData(values=rows)).transform_filter("datum.cost == cost")
    limits = alt.Chart(alt.InlineData(values=_limits(budgets or {}))).transform_filter("datum.cost == cost")
    x = alt.X(
        "amount:Q",
        scale=alt.Scale(type="log", nice=True),
        title="cost, on a logarithmic scale",
        axis=alt.Axis(grid=False),
    )
    y = alt.Y("value:Q", scale=alt.Scale(zero=False, nice=True), title=metric)
    told = [alt.Tooltip("model:N"), alt.Tooltip("value:Q", format=".3f"), alt.Tooltip("amount:Q", format=",.3~g")]
    return (
        alt.layer(
            limits.mark_rule(strokeDash=[6, 4], opacity=0.7).encode(x=x, tooltip=["budget:N"]),
            base.mark_rule(strokeWidth=2).encode(
                x=x, y=alt.Y("low:Q", title=metric), y2="high:Q", color=colour(names, names)
            ),
            base.mark_point(filled=True, size=150, opacity=1).encode(
                x=x, y=y, color=colour(names, names), shape=shape(names, names), tooltip=told
            ),
        )
        .add_params(cost)
        .properties(width=WIDTH, height=300, title=told_above(f"'{metric} over ' + cost"))
    )


def _cost_rows(found: Comparison, name: str, title: str) -> list[Row]:
    """Of candidates that have that cost; nothing that is free has a place on a logarithmic scale."""
    return [
        {"model": each.name, "cost": title, "amount": amount, **vars(each.metrics[found.metric])}
        for each in found.candidates
        if (amount := each.costs.get(name)) is not None and amount > 0
    ]


def _limits(budgets: Mapping[str, float | None]) -> list[Row]:
    """Budgets in the units of the costs."""
    found = []
    for name, (key, factor) in _BUDGET_OF.items():
        most = budgets.get(key)
        if most is not None:
            found.append({"cost": COSTS[name], "amount": most * factor, "budget": f"at most {most * factor:g}"})
    return found

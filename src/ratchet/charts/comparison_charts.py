"""Draw a comparison: the ladder, differences, labels and slices, quality against cost."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal

import altair as alt

from ratchet.charts.theme import (
    ROW,
    WIDTH,
    Chart,
    Row,
    choice,
    colour,
    computed_title,
    shape,
    verdict_colour,
    verdict_shape,
)
from ratchet.comparison.results import (
    COST_TITLES,
    CandidateResult,
    Comparison,
    Difference,
    GroupDifference,
    metric_name,
)
from ratchet.runs.selection import Selection

BELOW = "the next simpler one"
MOST = 40  # of one candidate: more cannot be read
MOST_CANDIDATES = 24  # of one chart: more rows and colours cannot be told apart
_STEP = 19
_METRIC = {"label": "F1", "slice": "weighted F1"}
COSTS = {name: title for name, title in COST_TITLES.items() if name != "latency_ms_p50"}  # the tail is what counts
_BUDGET_OF = {"latency_ms_p95": ("latency_ms_p95", 1), "size_mb": ("size_mb", 1), "fit_seconds": ("fit_minutes", 60)}


def choose_shown(
    comparison: Comparison, selection: Selection, keep: Collection[str | None] = ()
) -> tuple[Comparison, Selection]:
    """Return both with the candidates that charts show: all, or of many the baseline, `keep` and the highest ones."""
    if len(comparison.candidates) <= MOST_CANDIDATES:
        return comparison, selection
    first = {comparison.baseline, *keep}
    ranked = sorted(
        comparison.candidates, key=lambda row: (row.name not in first, -row.metrics[comparison.metric].value)
    )
    names = {row.name for row in ranked[:MOST_CANDIDATES]}
    rows = [row for row in comparison.candidates if row.name in names]
    candidates = tuple(candidate for candidate in selection.candidates if candidate.name in names)
    return replace(comparison, candidates=rows), replace(selection, candidates=candidates)


def ladder(comparison: Comparison, selection: Selection) -> Chart:
    """Draw dots and whiskers, the simplest candidate on top; thin strokes are runs, the dashed line the baseline."""
    names = [row.name for row in comparison.candidates]
    splits = len(comparison.splits)
    over = f"mean over {splits} splits" if splits > 1 else "one split"
    title = f"{metric_name(comparison.metric)} on {comparison.part}, {over}, 95 % interval"
    y = alt.Y("model:N", sort=names, title=None, axis=alt.Axis(labelFontWeight="bold", ticks=False, domain=False))
    x = alt.X("value:Q", title=title, scale=alt.Scale(zero=False, nice=True))
    base = alt.Chart(alt.InlineData(values=_list_ladder_rows(comparison)))
    tooltip = [
        alt.Tooltip("model:N"),
        alt.Tooltip("value:Q", format=".3f", title=comparison.metric),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
        alt.Tooltip("runs:Q"),
    ]
    baseline = base.transform_filter(alt.datum.model == comparison.baseline).mark_rule(strokeDash=[4, 4], opacity=0.6)
    repeats = alt.Chart(alt.InlineData(values=_repeat_rows(comparison, selection))).mark_tick(
        thickness=1.5, opacity=0.55
    )
    whiskers = base.mark_rule(strokeWidth=3)
    points = base.mark_point(filled=True, size=150, opacity=1)
    labels = base.mark_text(dy=-13, fontWeight="bold")
    return alt.layer(
        baseline.encode(x=x),
        repeats.encode(x=x, y=y, color=colour(names), tooltip=["model:N", "run:N", "value:Q"]),
        whiskers.encode(x=alt.X("low:Q", title=title), x2="high:Q", y=y, color=colour(names)),
        points.encode(x=x, y=y, color=colour(names), shape=shape(names), tooltip=tooltip),
        labels.encode(x=x, y=y, text=alt.Text("value:Q", format=".3f")),
    ).properties(width=WIDTH, height=(ROW + 10) * len(names))


def _list_ladder_rows(comparison: Comparison) -> list[Row]:
    return [
        {"model": row.name, "runs": len(row.runs), **vars(row.metrics[comparison.metric])}
        for row in comparison.candidates
    ]


def _repeat_rows(comparison: Comparison, selection: Selection) -> list[Row]:
    """Return the metric of each run."""
    return [
        {
            "model": candidate.name,
            "run": f"split {run.record.split_seed}, seed {run.record.seed}",
            "value": run.read_metrics()[f"{comparison.part}/{comparison.metric}"],
        }
        for candidate in selection.candidates
        for run in candidate.runs
    ]


def differences(comparison: Comparison) -> Chart | None:
    """Draw differences with intervals, better to the right of the line; None if there is only the baseline."""
    rows = _list_difference_rows(comparison)
    if not rows:
        return None
    names = [row.name for row in comparison.candidates if row.baseline]
    against = choice("against", list(dict.fromkeys(row["against"] for row in rows)))
    return intervals(
        rows, f"difference in {metric_name(comparison.metric)}, 95 % interval", names, ROW * len(names), [against]
    )


def intervals(
    rows: list[Row], title: str, order: list[str] | alt.EncodingSortField, height: int, chosen: list[alt.Parameter]
) -> Chart:
    """Draw a row for each name: its difference with the interval, the verdict as colour and shape."""
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False))
    base = alt.Chart(alt.InlineData(values=rows))
    for parameter in chosen:
        base = base.transform_filter(f"datum.{parameter.name} == {parameter.name}")
    tooltip = [alt.Tooltip(f"{key}:N") for key in rows[0] if key not in ("value", "low", "high")]
    tooltip += [alt.Tooltip(f"{key}:Q", format="+.3f") for key in ("value", "low", "high")]
    zero = alt.Chart(alt.InlineData(values=[{"value": 0}])).mark_rule(strokeDash=[4, 4], opacity=0.7)
    return (
        alt.layer(
            zero.encode(x=alt.X("value:Q", title=title)),
            base.mark_rule(strokeWidth=2.5).encode(
                x=alt.X("low:Q", title=title, axis=alt.Axis(format="+")), x2="high:Q", y=y, color=verdict_colour()
            ),
            base.mark_point(filled=True, size=110, opacity=1).encode(
                x="value:Q", y=y, color=verdict_colour(), shape=verdict_shape(), tooltip=tooltip
            ),
        )
        .add_params(*chosen)
        .properties(width=WIDTH, height=height)
    )


def _list_difference_rows(comparison: Comparison) -> list[Row]:
    rows = []
    for candidate in comparison.candidates:
        for against, other in ((BELOW, candidate.predecessor), (comparison.baseline, candidate.baseline)):
            if other is not None:
                compared = {"name": candidate.name, "against": against, "compared with": other.to}
                rows.append({**compared, **_list_values(other)})
    return rows


def _list_values(difference: Difference) -> Row:
    interval = {"value": difference.value, "low": difference.low, "high": difference.high}
    return {**interval, "verdict": difference.verdict}


def group_differences(comparison: Comparison, kind: Literal["label", "slice"]) -> Chart | None:
    """Draw the largest differences of one candidate to the baseline; None if there are none."""
    names = [candidate.name for candidate in comparison.candidates if _groups_of(candidate, kind)]
    rows = [
        _group_row(candidate, group)
        for candidate in comparison.candidates
        for group in _groups_of(candidate, kind)[:MOST]
    ]
    if not rows:
        return None
    title = f"difference in {_METRIC[kind]} to {comparison.baseline}, 95 % interval"
    most = max(len(_groups_of(candidate, kind)[:MOST]) for candidate in comparison.candidates)
    order = alt.EncodingSortField(field="value", op="mean", order="descending")
    return intervals(rows, title, order, _STEP * most, [choice("model", names)])


def _groups_of(candidate: CandidateResult, kind: str) -> list[GroupDifference]:
    groups = [group for group in candidate.groups if group.kind == kind]
    return sorted(groups, key=lambda group: -abs(group.difference.value))


def _group_row(candidate: CandidateResult, group: GroupDifference) -> Row:
    return {
        "name": group.name,
        "model": candidate.name,
        "positives": group.positives,
        "verdict": group.verdict,
        **vars(group.difference),
    }


def quality_and_cost(comparison: Comparison, budgets: Mapping[str, float | None] | None = None) -> Chart | None:
    """Draw the metric with its interval over a cost on a logarithmic scale; None if no cost was measured.

    `budgets` are those of an objective, drawn as dashed lines.
    """
    rows = [row for name, title in COSTS.items() for row in _list_cost_rows(comparison, name, title)]
    if not rows:
        return None
    names = [row.name for row in comparison.candidates]
    kinds = [title for title in COSTS.values() if any(row["cost"] == title for row in rows)]
    cost, metric = choice("cost", kinds, kinds[0]), metric_name(comparison.metric)
    base = alt.Chart(alt.InlineData(values=rows)).transform_filter("datum.cost == cost")
    limits = alt.Chart(alt.InlineData(values=_compute_limits(budgets or {}))).transform_filter("datum.cost == cost")
    x = alt.X(
        "amount:Q",
        scale=alt.Scale(type="log", nice=True),
        title="cost, on a logarithmic scale",
        axis=alt.Axis(grid=False),
    )
    y = alt.Y("value:Q", scale=alt.Scale(zero=False, nice=True), title=metric)
    tooltip = [alt.Tooltip("model:N"), alt.Tooltip("value:Q", format=".3f"), alt.Tooltip("amount:Q", format=",.3~g")]
    return (
        alt.layer(
            limits.mark_rule(strokeDash=[6, 4], opacity=0.7).encode(x=x, tooltip=["budget:N"]),
            base.mark_rule(strokeWidth=2).encode(
                x=x, y=alt.Y("low:Q", title=metric), y2="high:Q", color=colour(names, names)
            ),
            base.mark_point(filled=True, size=150, opacity=1).encode(
                x=x, y=y, color=colour(names, names), shape=shape(names, names), tooltip=tooltip
            ),
        )
        .add_params(cost)
        .properties(width=WIDTH, height=300, title=computed_title(f"'{metric} over ' + cost"))
    )


def _list_cost_rows(comparison: Comparison, name: str, title: str) -> list[Row]:
    """Return a row for each candidate with that cost; zero has no place on a logarithmic scale."""
    return [
        {"model": row.name, "cost": title, "amount": amount, **vars(row.metrics[comparison.metric])}
        for row in comparison.candidates
        if (amount := row.costs.get(name)) is not None and amount > 0
    ]


def _compute_limits(budgets: Mapping[str, float | None]) -> list[Row]:
    """Return the budgets in the units of the costs."""
    limits = []
    for name, (key, factor) in _BUDGET_OF.items():
        most = budgets.get(key)
        if most is not None:
            limits.append({"cost": COSTS[name], "amount": most * factor, "budget": f"at most {most * factor:g}"})
    return limits

"""Quality against cost: what the metric's next hundredth costs."""

from collections.abc import Mapping

import altair as alt

from ratchet.charts.theme import WIDTH, Chart, Row, choice, colour, shape, told_above
from ratchet.comparison.results import Comparison
from ratchet.comparison.verdicts import metric_name

COSTS = {
    "fit_seconds": "fit (s)",
    "latency_ms_p95": "latency p95 (ms)",
    "items_per_second": "texts a second",
    "peak_memory_mb": "peak memory (MB)",
    "size_mb": "size on disk (MB)",
}
_BUDGET_OF = {"latency_ms_p95": ("latency_ms_p95", 1), "size_mb": ("size_mb", 1), "fit_seconds": ("fit_minutes", 60)}


def quality_and_cost(found: Comparison, budgets: Mapping[str, float | None] | None = None) -> Chart | None:
    """The metric with its interval over a cost on a logarithmic scale; None where no cost was measured.

    `budgets` are an objective's: what a model may cost at most is a dashed line.
    """
    rows = [row for name, title in COSTS.items() for row in _rows(found, name, title)]
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


def _rows(found: Comparison, name: str, title: str) -> list[Row]:
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

"""What each candidate has gained on the baseline, or on the rung below it."""

import altair as alt

from ratchet.charts.theme import ROW, WIDTH, Chart, Row, choice, verdict_colour, verdict_shape
from ratchet.comparison.results import Comparison, Difference
from ratchet.comparison.verdicts import metric_name

BELOW = "the rung below"


def differences(found: Comparison) -> Chart | None:
    """Differences with intervals, better to the right of the line; None where there is nothing but the baseline."""
    rows = _rows(found)
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


def _rows(found: Comparison) -> list[Row]:
    rows = []
    for each in found.candidates:
        for against, other in ((BELOW, each.predecessor), (found.baseline, each.baseline)):
            if other is not None:
                rows.append({"name": each.name, "against": against, "compared with": other.to, **_told(other)})
    return rows


def _told(each: Difference) -> Row:
    return {"value": each.value, "low": each.low, "high": each.high, "verdict": each.verdict}

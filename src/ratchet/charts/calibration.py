"""Calibration: of all decisions with a score of .8, are 80 % right?"""

import altair as alt

from ratchet.charts.theme import WIDTH, Chart, Row, colour, dash, shape
from ratchet.runs.selection import Candidate, Selection


def calibration(selection: Selection) -> Chart | None:
    """A reliability diagram, all repeats together; on the dashed line a score is a probability. None without scores."""
    rows = [row for candidate in selection.candidates for row in _bins(candidate, selection.part)]
    if not rows:
        return None
    names = [each.name for each in selection.candidates]
    shown = [name for name in names if any(row["model"] == name for row in rows)]
    side = alt.Scale(domain=[0, 1])
    x = alt.X("score:Q", title="mean score", scale=side)
    y = alt.Y("share:Q", title=f"share that is true, on {selection.part}", scale=side)
    told = [alt.Tooltip("model:N"), alt.Tooltip("count:Q", format=",")]
    told += [alt.Tooltip(f"{key}:Q", format=".3f") for key in ("score", "share")]
    diagonal = alt.Chart(alt.InlineData(values=[{"score": 0, "share": 0}, {"score": 1, "share": 1}]))
    base = alt.Chart(alt.InlineData(values=rows))
    return alt.layer(
        diagonal.mark_line(strokeDash=[4, 4], opacity=0.7, color="#808791").encode(x=x, y=y),
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour(names, shown), strokeDash=dash(names, shown)),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            x=x, y=y, color=colour(names, shown), shape=shape(names, shown), tooltip=told
        ),
    ).properties(width=WIDTH, height=320)


def _bins(candidate: Candidate, part: str) -> list[Row]:
    """The bins of all repeats added up; empty ones are left out."""
    counts: dict[float, list[float]] = {}
    for run in candidate.runs:
        for each in run.read_json(f"reliability/{part}.json"):
            if each["count"]:
                total = counts.setdefault(each["low"], [0, 0, 0])
                total[0] += each["count"]
                total[1] += each["count"] * each["mean_score"]
                total[2] += each["count"] * each["share_positive"]
    return [
        {
            "model": candidate.name,
            "count": count,
            "score": round(score / count, 4),
            "share": round(true / count, 4),
        }
        for _, (count, score, true) in sorted(counts.items())
    ]

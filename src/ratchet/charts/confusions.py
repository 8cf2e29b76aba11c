"""Labels that are confused: what is predicted in the place of what was missed."""

from collections import Counter

import altair as alt
import numpy as np

from ratchet.charts.theme import NEUTRAL, WIDTH, Chart, Row, choice
from ratchet.evaluation.thresholds import Thresholds
from ratchet.runs.predictions import read_predictions
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import StoredRun

MOST = 15  # pairs of one candidate and kind
_STEP = 32
_KINDS = ("another label instead", "missed, nothing instead", "too much")
Pair = tuple[str | None, str | None]  # what was missed, what was predicted; None: nothing


def confusions(selection: Selection) -> Chart | None:
    """The most frequent errors of one candidate and one kind, in records a run; None where nobody errs."""
    rows = [row for candidate in selection.candidates for row in _most_of_each_kind(candidate, selection.part)]
    if not rows:
        return None
    names = [each.name for each in selection.candidates if any(row["model"] == each.name for row in rows)]
    kinds = [kind for kind in _KINDS if any(row["kind"] == kind for row in rows)]
    first = next(kind for kind in kinds if any((row["model"], row["kind"]) == (names[-1], kind) for row in rows))
    most = max(Counter((row["model"], row["kind"]) for row in rows).values())
    base = alt.Chart(alt.InlineData(values=rows)).transform_filter("datum.model == model && datum.kind == kind")
    order = alt.EncodingSortField(field="records", op="max", order="descending")
    y = alt.Y("error:N", sort=order, title=None, axis=None)
    x = alt.X("records:Q", title=f"records of {selection.part}, mean over runs", axis=alt.Axis(orient="top"))
    told = ["missed:N", "predicted:N", alt.Tooltip("records:Q", format=".1f")]
    return (
        alt.layer(
            base.mark_bar(height=9, yOffset=8, color=NEUTRAL).encode(x=x, y=y, tooltip=told),
            base.mark_text(align="left", dy=-6, dx=2, limit=alt.ExprRef("width")).encode(
                x=alt.datum(0), y=y, text="error:N"
            ),
        )
        .add_params(choice("model", names), choice("kind", kinds, first))
        .properties(width=WIDTH, height=_STEP * most)
    )


def _most_of_each_kind(candidate: Candidate, part: str) -> list[Row]:
    rows = confused(candidate, part)
    return [row for kind in _KINDS for row in [row for row in rows if row["kind"] == kind][:MOST]]


def confused(candidate: Candidate, part: str) -> list[Row]:
    """Every pair of a missed label and one predicted in its place, the most frequent first; `records` is a mean."""
    counts: Counter[Pair] = Counter()
    for run in candidate.runs:
        counts.update(_pairs(run, part))
    return [
        {
            "model": candidate.name,
            "missed": missed or "nothing",
            "predicted": predicted or "nothing",
            "error": f"{missed or 'nothing'} → {predicted or 'nothing'}",
            "kind": _kind(missed, predicted),
            "records": round(count / len(candidate.runs), 2),
        }
        for (missed, predicted), count in sorted(counts.items(), key=_most_first)
    ]


def _most_first(item: tuple[Pair, int]) -> tuple[int, str, str]:
    (missed, predicted), count = item
    return -count, missed or "", predicted or ""


def _pairs(run: StoredRun, part: str) -> Counter[Pair]:
    labels: list[str] = run.read_json("labels.json")
    found = read_predictions(run.path / "predictions" / f"{part}.parquet")
    decisions = Thresholds.from_json(run.read_json("thresholds.json"), labels).decide(found.scores)
    counts: Counter[Pair] = Counter()
    for true, decided in zip(found.targets, decisions, strict=True):
        missed: list[str | None] = [labels[index] for index in np.flatnonzero(true & (1 - decided)).tolist()]
        wrong: list[str | None] = [labels[index] for index in np.flatnonzero(decided & (1 - true)).tolist()]
        for one in missed or [None]:
            counts.update((one, other) for other in wrong or [None])
    del counts[None, None]  # all right
    return counts


def _kind(missed: str | None, predicted: str | None) -> str:
    instead, nothing, too_much = _KINDS
    return too_much if missed is None else nothing if predicted is None else instead

"""Draw single runs: learning curves, calibration, thresholds, confusions."""

import math
import statistics
from collections import Counter
from collections.abc import Iterator

import altair as alt
import numpy as np

from ratchet.charts.theme import NEUTRAL, WIDTH, Chart, Row, choice, colour, computed_title, dash, shape
from ratchet.comparison.results import metric_name
from ratchet.evaluation.metrics import compute_averages
from ratchet.evaluation.thresholds import Thresholds
from ratchet.runs.predictions import Predictions, read_predictions
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import StoredRun

_NOT_SHOWN = ("learning_rate",)
GRID = np.arange(1, 50) / 50
_MEASURES = ("f1", "precision", "recall")
MOST = 15  # pairs of one candidate and kind
_STEP = 32
_KINDS = ("another label instead", "missed, nothing instead", "too much")
Pair = tuple[str | None, str | None]  # the missed label and the wrongly predicted one; None: no such label


def learning_curves(selection: Selection) -> Chart | None:
    """Draw a line for each run, of losses or of the metric on val; None if no model trains in epochs."""
    rows = learning_rows(selection)
    names = [candidate.name for candidate in selection.candidates]
    shown = [name for name in names if any(row["model"] == name for row in rows)]
    curves = sorted({row["curve"] for row in rows}, key=lambda curve: ("loss" in curve, curve))
    if not rows:
        return None
    curve = choice("curve", curves, curves[0])
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d"))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    tooltip = [*("model:N", "repeat:N", "epoch:Q"), alt.Tooltip("value:Q", format=".3f")]
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=rows))
        .transform_filter("datum.curve == curve")
        .mark_line(opacity=0.85, point=alt.OverlayMarkDef(size=14))
        .encode(x=x, y=y, color=colour(names, shown), strokeDash=dash(names, shown), detail="repeat:N", tooltip=tooltip)
        .add_params(curve)
        .properties(width=WIDTH, height=280, title=computed_title("curve"))
    )
    return chart


def learning_rows(selection: Selection) -> list[Row]:
    """Return all points of all curves: model, repeat, epoch, curve, value; values that are not finite are left out."""
    rows = []
    for candidate in selection.candidates:
        for run in candidate.runs:
            for point in run.read_history():
                if point.epoch is not None and point.key not in _NOT_SHOWN and math.isfinite(point.value):
                    repeat = f"split {run.record.split_seed}, seed {run.record.seed}"
                    whose = {"model": candidate.name, "repeat": repeat}
                    rows.append({**whose, "epoch": point.epoch, "curve": point.key, "value": round(point.value, 5)})
    return rows


def calibration(selection: Selection) -> Chart | None:
    """Draw a reliability diagram of all repeats together; None without scores.

    On the dashed line a score is a probability.
    """
    rows = [row for candidate in selection.candidates for row in _list_bins(candidate, selection.part)]
    if not rows:
        return None
    names = [candidate.name for candidate in selection.candidates]
    shown = [name for name in names if any(row["model"] == name for row in rows)]
    side = alt.Scale(domain=[0, 1])
    x = alt.X("score:Q", title="mean score", scale=side)
    y = alt.Y("share:Q", title=f"share that is true, on {selection.part}", scale=side)
    tooltip = [alt.Tooltip("model:N"), alt.Tooltip("count:Q", format=",")]
    tooltip += [alt.Tooltip(f"{key}:Q", format=".3f") for key in ("score", "share")]
    diagonal = alt.Chart(alt.InlineData(values=[{"score": 0, "share": 0}, {"score": 1, "share": 1}]))
    base = alt.Chart(alt.InlineData(values=rows))
    return alt.layer(
        diagonal.mark_line(strokeDash=[4, 4], opacity=0.7, color="#808791").encode(x=x, y=y),
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour(names, shown), strokeDash=dash(names, shown)),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            x=x, y=y, color=colour(names, shown), shape=shape(names, shown), tooltip=tooltip
        ),
    ).properties(width=WIDTH, height=320)


def _list_bins(candidate: Candidate, part: str) -> list[Row]:
    """Return the sums of the bins over all repeats, without the empty bins."""
    counts: dict[float, list[float]] = {}
    for run in candidate.runs:
        for members in run.read_json(f"reliability/{part}.json"):
            if members["count"]:
                total = counts.setdefault(members["low"], [0, 0, 0])
                total[0] += members["count"]
                total[1] += members["count"] * members["mean_score"]
                total[2] += members["count"] * members["share_positive"]
    return [
        {
            "model": candidate.name,
            "count": count,
            "score": round(score / count, 4),
            "share": round(true / count, 4),
        }
        for _, (count, score, true) in sorted(counts.items())
    ]


def threshold_curves(selection: Selection, metric: str) -> Chart | None:
    """Draw F1, precision and recall over one threshold for all labels, means over runs; marks are the chosen ones.

    `metric` names the average and the measure that is shown first. None if no threshold decides: all scores are 0 or 1,
    or the highest score wins.
    """
    average = metric.partition("_")[2]
    rows = [row for candidate in selection.candidates for row in _compute_curve(candidate, average)]
    if not rows:
        return None
    names = [candidate.name for candidate in selection.candidates]
    shown = [name for name in names if any(row["model"] == name for row in rows)]
    chosen = [row for candidate in selection.candidates for row in _mark_chosen(candidate, average)]
    titles = [metric_name(f"{measure}_{average}") for measure in _MEASURES]
    show = choice("show", titles, metric_name(metric))
    x = alt.X("threshold:Q", title="threshold", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    tooltip = [alt.Tooltip("model:N"), *(alt.Tooltip(f"{key}:Q", format=".3f") for key in ("threshold", "value"))]
    lines = alt.Chart(alt.InlineData(values=rows)).transform_filter("datum.show == show")
    points = alt.Chart(alt.InlineData(values=chosen)).transform_filter("datum.show == show")
    return (
        alt.layer(
            lines.mark_line(strokeWidth=2.5).encode(
                x=x, y=y, color=colour(names, shown), strokeDash=dash(names, shown), tooltip=tooltip
            ),
            points.mark_point(filled=True, size=70, opacity=0.9).encode(
                x=x, y=y, color=colour(names, shown), shape=shape(names, shown), tooltip=tooltip
            ),
        )
        .add_params(show)
        .properties(width=WIDTH, height=280, title=computed_title("show + ' on val'"))
    )


def _read_val(candidate: Candidate) -> list[tuple[Thresholds, Predictions]]:
    """Return thresholds and predictions of the runs in which a threshold decides."""
    read = []
    for run in candidate.runs:
        thresholds = Thresholds.from_json(run.read_json("thresholds.json"), run.read_json("labels.json"))
        predictions = read_predictions(run.path / "predictions" / "val.parquet")
        if thresholds.values is not None and not np.isin(predictions.scores, (0, 1)).all():
            read.append((thresholds, predictions))
    return read


def _compute_curve(candidate: Candidate, average: str) -> Iterator[Row]:
    read = _read_val(candidate)
    for threshold in GRID.tolist() if read else []:
        at = Thresholds("", np.array(threshold))  # as runs decide, also for a score equal to it
        measured = [compute_averages(shown.targets, shown.hide_unknown(at.decide(shown.scores))) for _, shown in read]
        yield from _build_rows(candidate.name, threshold, average, measured)


def _mark_chosen(candidate: Candidate, average: str) -> Iterator[Row]:
    """Yield the thresholds of runs that have one for all labels."""
    for thresholds, predictions in _read_val(candidate):
        values = set() if thresholds.values is None else set(thresholds.values.tolist())
        if len(values) == 1:
            decisions = predictions.hide_unknown(thresholds.decide(predictions.scores))
            measured = compute_averages(predictions.targets, decisions)
            yield from _build_rows(candidate.name, values.pop(), average, [measured])


def _build_rows(name: str, threshold: float, average: str, measured: list[dict[str, np.ndarray]]) -> Iterator[Row]:
    for measure in _MEASURES:
        value = statistics.mean(float(metrics[f"{measure}_{average}"]) for metrics in measured)
        shown = metric_name(f"{measure}_{average}")
        yield {"model": name, "show": shown, "threshold": round(threshold, 4), "value": round(value, 4)}


def confusions(selection: Selection) -> Chart | None:
    """Draw the most frequent errors of one candidate and kind, in records per run; None without errors."""
    rows = [row for candidate in selection.candidates for row in _select_most_frequent(candidate, selection.part)]
    if not rows:
        return None
    names = [member.name for member in selection.candidates if any(row["model"] == member.name for row in rows)]
    kinds = [kind for kind in _KINDS if any(row["kind"] == kind for row in rows)]
    first = next(kind for kind in kinds if any((row["model"], row["kind"]) == (names[-1], kind) for row in rows))
    most = max(Counter((row["model"], row["kind"]) for row in rows).values())
    base = alt.Chart(alt.InlineData(values=rows)).transform_filter("datum.model == model && datum.kind == kind")
    order = alt.EncodingSortField(field="records", op="max", order="descending")
    y = alt.Y("error:N", sort=order, title=None, axis=None)
    x = alt.X("records:Q", title=f"records of {selection.part}, mean over runs", axis=alt.Axis(orient="top"))
    tooltip = ["missed:N", "predicted:N", alt.Tooltip("records:Q", format=".1f")]
    return (
        alt.layer(
            base.mark_bar(height=9, yOffset=8, color=NEUTRAL).encode(x=x, y=y, tooltip=tooltip),
            base.mark_text(align="left", dy=-6, dx=2, limit=alt.ExprRef("width")).encode(
                x=alt.datum(0), y=y, text="error:N"
            ),
        )
        .add_params(choice("model", names), choice("kind", kinds, first))
        .properties(width=WIDTH, height=_STEP * most)
    )


def _select_most_frequent(candidate: Candidate, part: str) -> list[Row]:
    rows = confused(candidate, part)
    return [row for kind in _KINDS for row in [row for row in rows if row["kind"] == kind][:MOST]]


def confused(candidate: Candidate, part: str) -> list[Row]:
    """Return all pairs of a missed label and a wrong one in its place, the most frequent first; `records` is a mean."""
    counts: Counter[Pair] = Counter()
    for run in candidate.runs:
        counts.update(_count_pairs(run, part))
    return [
        {
            "model": candidate.name,
            "missed": missed or "nothing",
            "predicted": predicted or "nothing",
            "error": f"{missed or 'nothing'} → {predicted or 'nothing'}",
            "kind": _find_kind(missed, predicted),
            "records": round(count / len(candidate.runs), 2),
        }
        for (missed, predicted), count in sorted(counts.items(), key=_sort_most_first)
    ]


def _sort_most_first(item: tuple[Pair, int]) -> tuple[int, str, str]:
    (missed, predicted), count = item
    return -count, missed or "", predicted or ""


def _count_pairs(run: StoredRun, part: str) -> Counter[Pair]:
    labels: list[str] = run.read_json("labels.json")
    predictions = read_predictions(run.path / "predictions" / f"{part}.parquet")
    thresholds = Thresholds.from_json(run.read_json("thresholds.json"), labels)
    decisions = predictions.hide_unknown(thresholds.decide(predictions.scores))
    counts: Counter[Pair] = Counter()
    for true, decided in zip(predictions.targets, decisions, strict=True):
        missed: list[str | None] = [labels[index] for index in np.flatnonzero(true & (1 - decided)).tolist()]
        wrong: list[str | None] = [labels[index] for index in np.flatnonzero(decided & (1 - true)).tolist()]
        for one in missed or [None]:
            counts.update((one, other) for other in wrong or [None])
    del counts[None, None]  # correct labels only
    return counts


def _find_kind(missed: str | None, predicted: str | None) -> str:
    instead, nothing, too_much = _KINDS
    return too_much if missed is None else nothing if predicted is None else instead

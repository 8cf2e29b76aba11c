"""Draw single runs: learning curves, calibration, thresholds, confusions."""

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import altair as alt
import numpy as np

from ratchet.charts.theme import NEUTRAL, WIDTH, Chart, Row, choice, colour, computed_title, dash, shape
from ratchet.comparison.results import metric_name
from ratchet.config import Average
from ratchet.evaluation.metrics import METRICS, Counts, Floats, Positives, compute_average, is_binary
from ratchet.evaluation.thresholds import Thresholds, count_above
from ratchet.runs.predictions import Predictions, read_predictions
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import StoredRun

if TYPE_CHECKING:
    from scipy.sparse import csr_array

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
    traced = [_trace_candidate(candidate, average) for candidate in selection.candidates]
    rows, chosen = ([row for of_candidate in traced for row in of_candidate[side]] for side in (0, 1))
    if not rows:
        return None
    names = [candidate.name for candidate in selection.candidates]
    shown = [name for name in names if any(row["model"] == name for row in rows)]
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


def _read_val(candidate: Candidate) -> Iterator[tuple[Thresholds, Predictions]]:
    """Yield thresholds and predictions of the runs in which a threshold decides."""
    for run in candidate.runs:
        thresholds = Thresholds.from_json(run.read_json("thresholds.json"), run.read_json("labels.json"))
        predictions = read_predictions(run.path / "predictions" / "val.parquet")
        if thresholds.values is not None and not is_binary(predictions.scores):
            yield thresholds, predictions


def _trace_candidate(candidate: Candidate, average: str) -> tuple[list[Row], list[Row]]:
    """Return the rows of the curve, and those of the chosen thresholds of runs that have one for all labels."""
    curves: list[dict[str, Floats]] = []
    marks: list[Row] = []
    for thresholds, predictions in _read_val(candidate):
        curves.append(_measure_at(GRID, predictions, average))
        chosen = np.unique(thresholds.values) if thresholds.values is not None else GRID
        if len(chosen) == 1:
            marks += _build_rows(candidate.name, float(chosen[0]), average, [_measure_at(chosen, predictions, average)])
    rows = [
        row
        for index, threshold in enumerate(GRID.tolist() if curves else [])
        for row in _build_rows(candidate.name, threshold, average, curves, index)
    ]
    return rows, marks


def _measure_at(grid: Floats, predictions: Predictions, average: str) -> dict[str, Floats]:
    """Return each measure at each threshold of a grid, as runs decide, also for a score equal to it."""
    targets, scores, known = predictions.targets, predictions.scores, predictions.known
    hits, seen = count_above(targets, scores, Average[average], known, grid)
    if average != Average.samples.name:
        actual = np.broadcast_to(targets.sum(axis=0, dtype=np.float64), (len(grid), targets.shape[1]))
        if average == Average.micro.name:
            actual = actual.sum(axis=1, keepdims=True)
        return {name: compute_average(Counts(hits, seen, actual), f"{name}_{average}") for name in _MEASURES}
    actual = np.broadcast_to(targets.sum(axis=1, dtype=np.float64), hits.shape)
    counts = Counts(hits, seen, actual)
    return {name: measure(counts).mean(axis=1) for name, measure in METRICS.items()}


def _build_rows(
    name: str, threshold: float, average: str, measured: list[dict[str, Floats]], index: int = 0
) -> Iterator[Row]:
    for measure in _MEASURES:
        value = statistics.mean(float(values[measure][index]) for values in measured)
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
    positives = Positives.of(predictions.targets, decisions)
    counts: Counter[tuple[int | None, int | None]] = Counter()
    missed_of, wrong_of = (
        _list_columns(all_of - positives.both) for all_of in (positives.targets, positives.decisions)
    )
    for all_missed, all_wrong in zip(missed_of, wrong_of, strict=True):
        for one in all_missed or [None]:
            counts.update((one, other) for other in all_wrong or [None])
    del counts[None, None]  # correct labels only
    names = dict(enumerate(labels))
    return Counter(
        {
            (None if missed is None else names[missed], None if wrong is None else names[wrong]): count
            for (missed, wrong), count in counts.items()
        }
    )


def _list_columns(cells: "csr_array") -> Iterator[list[int | None]]:
    """Yield the columns of each row that are not 0."""
    cells.eliminate_zeros()
    columns = cells.indices.tolist()
    for start, end in itertools.pairwise(cells.indptr.tolist()):
        yield columns[start:end]


def _find_kind(missed: str | None, predicted: str | None) -> str:
    instead, nothing, too_much = _KINDS
    return too_much if missed is None else nothing if predicted is None else instead

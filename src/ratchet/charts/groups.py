"""Labels and slices on which candidates win or lose against the baseline."""

from typing import Literal

import altair as alt

from ratchet.charts.differences import intervals
from ratchet.charts.theme import Chart, Row, choice
from ratchet.comparison.results import CandidateResult, Comparison, GroupDifference

MOST = 40  # of one candidate: more are no picture any more
_STEP = 19
_METRIC = {"label": "F1", "slice": "weighted F1"}


def group_differences(found: Comparison, kind: Literal["label", "slice"]) -> Chart | None:
    """One candidate's differences to the baseline, those with the largest; None where there are none."""
    names = [each.name for each in found.candidates if _of(each, kind)]
    rows = [_row(each, group) for each in found.candidates for group in _of(each, kind)[:MOST]]
    if not rows:
        return None
    title = f"difference in {_METRIC[kind]} to {found.baseline}, 95 % interval"
    most = max(len(_of(each, kind)[:MOST]) for each in found.candidates)
    order = alt.EncodingSortField(field="value", op="mean", order="descending")
    return intervals(rows, title, order, _STEP * most, [choice("model", names)])


def _of(each: CandidateResult, kind: str) -> list[GroupDifference]:
    groups = [group for group in each.groups if group.kind == kind]
    return sorted(groups, key=lambda group: -abs(group.difference.value))


def _row(each: CandidateResult, group: GroupDifference) -> Row:
    return {
        "name": group.name,
        "model": each.name,
        "positives": group.positives,
        "verdict": group.verdict,
        **vars(group.difference),
    }

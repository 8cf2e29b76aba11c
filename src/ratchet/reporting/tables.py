"""The tables of the report, from a comparison, a verdict and a review."""

from collections.abc import Iterator, Sequence

from ratchet.charts.comparison_charts import COSTS
from ratchet.comparison.results import CandidateResult, Comparison, Difference, metric_name
from ratchet.objective.gate import Judgement, Verdict
from ratchet.objective.review import Review
from ratchet.reporting.blocks import Cell, Column, Table, amount, difference, interval, number, p_value, text

_TONES = {"better": "good", "worse": "bad", "not distinguishable": "even"}
_STATES = {"pass": "good", "fail": "bad", "too little evidence": "even"}
_STEP_COSTS = {"fit_seconds": "fit time", "latency_ms_p95": "latency", "size_mb": "size"}


def leaderboard(found: Comparison, verdict: Verdict) -> Table:
    """A row a candidate: the metric, the difference to the baseline, what the gate says, what it costs."""
    columns = [
        Column("model"),
        Column("runs", numeric=True),
        Column(metric_name(found.metric), numeric=True, about="95 % interval"),
        Column(f"against {found.baseline}", numeric=True, about="difference with its 95 % interval"),
        Column("p", numeric=True, about="adjusted for the number of comparisons"),
        Column("verdict"),
        Column("gate"),
        Column("fit s", numeric=True),
        Column("p95 ms", numeric=True),
        Column("MB", numeric=True),
    ]
    return Table("Leaderboard", columns, [_leader(each, found.metric, verdict) for each in found.candidates])


def _leader(each: CandidateResult, metric: str, verdict: Verdict) -> list[Cell]:
    against = each.baseline
    judged = verdict.decision.of(each.name)
    state = "ships" if judged.ships else "passes" if judged.state == "pass" else judged.state
    promoted = f", promoted {each.promoted}" if each.promoted else ""
    return [
        text(each.name),
        number(len(each.runs), "d"),
        interval(each.metrics[metric]),
        difference(against),
        p_value(_p(against)),
        text(against.verdict, _TONES[against.verdict]) if against else text("the baseline"),
        text(f"{state}{promoted}", _STATES[judged.state]),
        *(amount(each.costs.get(name)) for name in ("fit_seconds", "latency_ms_p95", "size_mb")),
    ]


def steps(found: Comparison) -> Table | None:
    """Each rung against the one below: what it gained, and how many times more it costs. None without a step."""
    columns = [
        Column("step"),
        Column("difference", numeric=True, about="with its 95 % interval"),
        Column("p", numeric=True, about="adjusted for the number of comparisons"),
        Column("in words"),
        *(Column(f"{title} ×", numeric=True) for title in _STEP_COSTS.values()),
    ]
    by_name = {each.name: each for each in found.candidates}
    rows = []
    for each in found.candidates:
        for other in (each.predecessor, each.best_simpler):
            if other is not None:
                below = by_name[other.to]
                ratios = [_ratio(each.costs.get(name), below.costs.get(name)) for name in _STEP_COSTS]
                words = text(other.in_words, _TONES[other.verdict])
                rows.append(
                    [text(f"{below.name} → {each.name}"), difference(other), p_value(_p(other)), words, *ratios]
                )
    return Table("What each step bought", columns, rows) if rows else None


def figures(found: Comparison) -> Table:
    """Metrics beside the primary one."""
    others = [name for name in found.candidates[0].metrics if name != found.metric]
    columns = [Column("model"), *(Column(metric_name(name), numeric=True) for name in others)]
    columns += [
        Column("average precision, macro", numeric=True),
        Column("behaviour", numeric=True, about="share passed"),
    ]
    rows = [
        [
            text(each.name),
            *(number(each.metrics[name].value) for name in others),
            number(each.average_precision_macro),
            number(each.behaviour.get("score")),
        ]
        for each in found.candidates
    ]
    return Table("Other metrics", columns, rows)


def uncertainty(found: Comparison) -> Table:
    """Where the intervals come from."""
    columns = [
        Column("model"),
        Column("sd between splits", numeric=True, about="of one run, less what records explain"),
        Column("sd between seeds", numeric=True, about="of one run, less what records explain"),
        Column("se from records", numeric=True, about=f"of the difference to {found.baseline}"),
        Column("se from training", numeric=True, about=f"of the difference to {found.baseline}"),
        Column("detectable", numeric=True, about="the difference that would be told in four cases of five"),
    ]
    rows = [[text(each.name), *map(number, _errors(each))] for each in found.candidates]
    return Table("Why it is uncertain", columns, rows)


def _errors(each: CandidateResult) -> Iterator[float | None]:
    yield from (each.spread_between_splits, each.spread_between_seeds)
    against = each.baseline
    yield from (against.error_from_records, against.error_from_training, against.detectable) if against else [None] * 3


def costs(found: Comparison) -> Table:
    """Medians over runs."""
    shown = {"fit_seconds": "fit (s)", "latency_ms_p50": "latency p50 (ms)", **COSTS}
    columns = [Column("model"), *(Column(title, numeric=True) for title in shown.values())]
    rows = [[text(each.name), *(amount(each.costs.get(name)) for name in shown)] for each in found.candidates]
    return Table("Costs, medians over runs", columns, rows)


def groups(found: Comparison, kind: str) -> Table | None:
    """Labels or slices of every candidate against the baseline; None where there are none."""
    metric = "F1" if kind == "label" else "weighted F1"
    columns = [
        *(Column("model"), Column(kind), Column("positives", numeric=True)),
        *(Column(metric, numeric=True), Column(f"{found.baseline}'s", numeric=True)),
        Column("difference", numeric=True, about="with its 95 % interval"),
        Column("p", numeric=True, about="adjusted for all labels and slices of the model"),
        Column("verdict"),
    ]
    rows = [
        [
            *(text(each.name), text(group.name), number(group.positives, ",d")),
            *(number(group.value), number(group.baseline), difference(group.difference), p_value(group.p_adjusted)),
            text(group.verdict, _TONES[group.verdict]),
        ]
        for each in found.candidates
        for group in each.groups
        if group.kind == kind
    ]
    return Table(f"{kind.capitalize()}s against {found.baseline}", columns, rows) if rows else None


def clauses(each: Judgement) -> Table:
    """What the gate asked of a candidate."""
    columns = [Column("state"), Column("clause"), Column("found"), Column("needed")]
    rows = [
        [text(clause.state, _STATES[clause.state]), *map(text, (clause.name, clause.evidence, clause.needed or "–"))]
        for clause in each.clauses
    ]
    return Table(f"Clauses for {each.name}", columns, rows)


def alternatives(found: Review) -> Table:
    """What other objectives would say."""
    columns = [Column("part"), Column("changed to"), Column("outcome"), Column("the same?")]
    rows = [
        [
            *map(text, (each.part, each.change, each.in_words)),
            text("differs", "other") if each in found.different else text("the same"),
        ]
        for each in found.alternatives
    ]
    return Table("Other objectives, one change each", columns, rows)


def of_texts(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table of words alone."""
    return Table(title, [Column(each) for each in columns], [[text(each) for each in row] for row in rows])


def _p(found: Difference | None) -> float | None:
    if found is None:
        return None
    return found.p if found.p_adjusted is None else found.p_adjusted


def _ratio(ours: float | None, theirs: float | None) -> Cell:
    return amount(ours / theirs if ours is not None and theirs else None)

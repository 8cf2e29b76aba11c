"""The tables of a verdict and of a review of the objective: the same on a terminal, in Markdown and on the page."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ratchet.comparison.results import CandidateResult, Comparison
from ratchet.objective.criteria import Criterion, State
from ratchet.objective.gate import Judgement, ObjectiveState, Verdict
from ratchet.objective.review import Review
from ratchet.reporting import comparison_tables
from ratchet.reporting.blocks import NONE, Cell, Column, Facts, Paragraph, Table, TextBlock, amount, text
from ratchet.reporting.comparison_tables import BRIEF_COSTS

TONES = {"pass": "good", "fail": "bad", "too little evidence": "even"}
_MOST_RIVALS = 20  # rivals of one state that a table compares a candidate with, one by one
_RIVAL = "no more than "  # begins the name of a criterion that compares with a rival


def verdict_blocks(verdict: Verdict) -> list[TextBlock]:
    """Return what `ratchet gate` prints: what ships and why, then every candidate with its criteria."""
    state = verdict.objective
    notes = [("", f"note: {note}") for note in [*filter(None, [state.changed]), *verdict.notes]]
    notes += [("", f"set aside: {absent}") for absent in describe_set_aside(verdict)]
    decision = verdict.decision
    headline = verdict_headline(verdict.data, decision.ships, decision.outcome, decision.why)
    left_out = [Facts("", [("left out", reason) for reason in verdict.left_out])] if verdict.left_out else []
    return [
        Facts(headline, [("", f"objective {describe_objective(state)}"), *notes]),
        *(criteria(judgement) for judgement in decision.judgements),
        *left_out,
    ]


def review_blocks(data: str, objective: str, review: Review) -> list[TextBlock]:
    """Return what `ratchet objective review` prints: what ships under other objectives."""
    return [
        Paragraph(f"{data}: under {objective} {review.current.in_words}"),
        alternatives(review),
        Paragraph(review.in_words),
    ]


def judged_leaderboard(comparison: Comparison, verdict: Verdict) -> Table:
    """Return the leaderboard with the answer of the gate and the main costs."""
    table = comparison_tables.leaderboard(comparison)
    columns = [Column("verdict"), Column("gate"), *(Column(title, numeric=True) for title in BRIEF_COSTS)]
    rows = [
        [*row, *_judged(candidate, verdict)] for row, candidate in zip(table.rows, comparison.candidates, strict=True)
    ]
    return replace(table, columns=[*table.columns, *columns], rows=rows)


def _judged(candidate: CandidateResult, verdict: Verdict) -> list[Cell]:
    against, judgement = candidate.baseline, verdict.decision.of(candidate.name)
    state = "ships" if judgement.ships else "passes" if judgement.state == "pass" else judgement.state
    promoted = f", promoted {candidate.promoted}" if candidate.promoted else ""
    return [
        text(against.verdict, comparison_tables.TONES[against.verdict]) if against else text("the baseline"),
        text(f"{state}{promoted}", TONES[judgement.state]),
        *(amount(candidate.costs.get(name)) for name in BRIEF_COSTS.values()),
    ]


def verdict_headline(data: str, ships: str | None, outcome: str, why: str) -> str:
    """Return the decision on a data set in one line."""
    return f"{data}: {f'{ships} ships' if ships else outcome}: {why}"


def describe_objective(state: ObjectiveState) -> str:
    """Return the name of an objective with its hash and commit."""
    commit = f"commit {state.commit[:12]}" if state.commit else "not committed"
    return f"{state.name} ({state.hash[:12]}, {commit})"


def describe_set_aside(verdict: Verdict) -> list[str]:
    """Return each candidate that was set aside, why, and how to complete its evidence."""
    return [
        f"{absent.name}: {absent.why}; with more repeats it could change the outcome: `{absent.complete}`"
        for absent in verdict.set_aside
    ]


def describe_judgement(judgement: Judgement) -> str:
    """Return whether a candidate ships, and why, without what its criteria say."""
    return f"{judgement.name} {'ships' if judgement.ships else 'does not ship'}: {judgement.in_short}"


def criteria(judgement: Judgement) -> Table:
    """Return the criteria of the objective for one candidate: the evidence, and what is needed to pass."""
    columns = [Column("criterion"), Column("state", whole=True), Column("evidence"), Column("needed")]
    rows = [
        [
            text(criterion.name),
            text(criterion.state, TONES[criterion.state]),
            text(criterion.evidence),
            text(criterion.needed or NONE),
        ]
        for criterion in _shorten(judgement.clauses)
    ]
    return Table(describe_judgement(judgement), columns, rows)


def _shorten(criteria: Sequence[Criterion]) -> Iterator[Criterion]:
    """Yield the criteria; of many rivals with the same state the first ones, and the number of the others."""
    rivals = Counter(criterion.state for criterion in criteria if criterion.name.startswith(_RIVAL))
    shown: Counter[State] = Counter()
    for criterion in criteria:
        if criterion.name.startswith(_RIVAL):
            shown[criterion.state] += 1
        if not criterion.name.startswith(_RIVAL) or shown[criterion.state] <= _MOST_RIVALS:
            yield criterion
    for state, count in rivals.items():
        if count > _MOST_RIVALS:
            words = f"{count - _MOST_RIVALS} more rivals"
            yield Criterion(words, state, "as judged one by one in format=json")


def alternatives(review: Review) -> Table:
    """Return the outcome under each other objective."""
    columns = [Column("part"), Column("changed to"), Column("outcome"), Column("same?")]
    rows = [
        [
            *map(text, (alternative.part, alternative.change, alternative.in_words)),
            text("differs", "other") if alternative in review.different else text("same"),
        ]
        for alternative in review.alternatives
    ]
    return Table("Other objectives, with one change each", columns, rows)

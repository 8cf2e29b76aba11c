"""Which model ships: of the candidates that pass every clause the one of lowest complexity."""

from dataclasses import dataclass
from typing import Literal

from ratchet.comparison.estimates import estimate
from ratchet.comparison.evidence import Evidence, Measured
from ratchet.config import ObjectiveConfig
from ratchet.objective.clauses import Clause, State, combined, not_worse, own_clauses

Outcome = Literal["ships", "nothing ships", "too little evidence"]


@dataclass(frozen=True)
class Judgement:
    """One candidate before the gate. `value` is its primary metric."""

    name: str
    model: str
    complexity: int
    config_hash: str
    runs: list[str]
    value: float
    state: State
    ships: bool
    why: str
    clauses: list[Clause]

    @property
    def in_short(self) -> str:
        """Why, without what the clauses say themselves."""
        return "too little evidence" if self.why.startswith("needed:") else self.why.partition("; needed:")[0]


@dataclass(frozen=True)
class Decision:
    """What the gate says of all candidates: who ships, or that nothing does, or that nobody can tell yet."""

    outcome: Outcome
    ships: str | None
    why: str
    judgements: list[Judgement]

    def of(self, name: str) -> Judgement:
        """The judgement on the candidate of that name."""
        return next(each for each in self.judgements if each.name == name)


def decide(evidence: Evidence, objective: ObjectiveConfig) -> Decision:
    """Judge every candidate by itself, then against every other that has not failed by itself.

    A model that cannot ship whatever its score, as one that is over budget, sets no bar for the others.

    Raises:
        UserError: the objective names a label that the data do not have.
    """
    own = {each.name: own_clauses(each, evidence, objective) for each in evidence.candidates}
    rivals = [each for each in evidence.candidates if combined(own[each.name]) != "fail"]
    clauses = {
        each.name: [
            *own[each.name],
            *(not_worse(each, rival, evidence, objective) for rival in rivals if rival is not each),
        ]
        for each in evidence.candidates
    }
    passing = [each for each in evidence.candidates if combined(clauses[each.name]) == "pass"]
    metric = objective.metric.name
    value = {each.name: float(estimate(each.drawn[metric]).value) for each in evidence.candidates}
    first = min(passing, key=lambda each: (each.candidate.complexity, -value[each.name])) if passing else None
    judgements = [_judged(each, clauses[each.name], value[each.name], first) for each in evidence.candidates]
    return Decision(*_outcome(first, passing, judgements), judgements)


def _judged(each: Measured, clauses: list[Clause], value: float, first: Measured | None) -> Judgement:
    state = combined(clauses)
    return Judgement(
        name=each.name,
        model=each.candidate.model,
        complexity=each.candidate.complexity,
        config_hash=each.candidate.config_hash,
        runs=[run.record.id for run in each.candidate.runs],
        value=value,
        state=state,
        ships=each is first,
        why=_why(each, state, clauses, first),
        clauses=clauses,
    )


def _why(each: Measured, state: State, clauses: list[Clause], first: Measured | None) -> str:
    if each is first:
        return "passes every clause, and nothing simpler does"
    if state == "pass" and first is not None:
        simpler = first.candidate.complexity < each.candidate.complexity
        return f"passes too, but {first.name} is {'simpler' if simpler else 'as simple and scores higher'}"
    against = [clause for clause in clauses if clause.state == state]
    needed = "; ".join(f"{clause.name}: {clause.needed}" for clause in against)
    return (
        f"fails {len(against)} of {len(clauses)} clauses; needed: {needed}" if state == "fail" else f"needed: {needed}"
    )


def _outcome(
    first: Measured | None, passing: list[Measured], judgements: list[Judgement]
) -> tuple[Outcome, str | None, str]:
    if first is not None:
        many = len(passing) > 1
        why = (
            f"the simplest of {len(passing)} that pass every clause"
            if many
            else "the only one that passes every clause"
        )
        return "ships", first.name, why
    unclear = [each.name for each in judgements if each.state == "too little evidence"]
    if unclear:
        return "too little evidence", None, f"nothing passes every clause, but {_listed(unclear)} failed none"
    return "nothing ships", None, "every candidate fails a clause"


def _listed(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last

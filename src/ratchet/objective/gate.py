"""Decide which model ships: the one of lowest complexity among those that meet every criterion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ratchet.comparison.evidence import CandidateEvidence, Evidence, gather_evidence
from ratchet.config import Objective, ObjectiveConfig, plain
from ratchet.objective.criteria import Clause, State, combined, not_worse, own_clauses
from ratchet.runs.provenance import run_git
from ratchet.runs.selection import Selection
from ratchet.runs.stored import StoredRun
from ratchet.statistics.bootstrap import Advance
from ratchet.statistics.estimates import estimate

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
        """Return the judgement on the candidate of this name."""
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
    value = {each.name: float(estimate(each.metrics[metric]).value) for each in evidence.candidates}
    first = min(passing, key=lambda each: (each.candidate.complexity, -value[each.name])) if passing else None
    judgements = [_judged(each, clauses[each.name], value[each.name], first) for each in evidence.candidates]
    return Decision(*_outcome(first, passing, judgements), judgements)


def _judged(each: CandidateEvidence, clauses: list[Clause], value: float, first: CandidateEvidence | None) -> Judgement:
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


def _why(each: CandidateEvidence, state: State, clauses: list[Clause], first: CandidateEvidence | None) -> str:
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
    first: CandidateEvidence | None, passing: list[CandidateEvidence], judgements: list[Judgement]
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


@dataclass(frozen=True)
class ObjectiveState:
    """The objective that a verdict rests on. `commit` is the last that touched its file, None if that is not in git.

    `changed` is a sentence if it was changed after the first of the runs had begun, or is not what the file says.
    """

    name: str
    hash: str
    commit: str | None
    changed: str | None


def objective_state(objective: Objective, runs: Sequence[StoredRun]) -> ObjectiveState:
    """What a verdict says of its objective."""
    commit, when = _last_change(objective.path)
    return ObjectiveState(objective.name, objective.hash, commit, _changed(objective, commit, when, runs))


def _changed(objective: Objective, commit: str | None, when: datetime, runs: Sequence[StoredRun]) -> str | None:
    if objective.overrides:
        return f"set on the command line: {' '.join(objective.overrides)}"
    first = min(datetime.fromisoformat(run.record.started_at) for run in runs)
    if when <= first:
        return None
    how = f"in commit {commit[:12]}" if commit else "and not committed since"
    return (
        f"{objective.path.name} was changed on {when.astimezone(UTC):%Y-%m-%d %H:%M} UTC {how}, "
        f"after the first of these runs had begun ({first:%Y-%m-%d %H:%M} UTC)"
    )


def _last_change(path: Path) -> tuple[str | None, datetime]:
    """The commit that last touched the file, and when; with changes since, no commit and the file's own time."""
    log = run_git(path.parent, "log", "-1", "--format=%H %cI", "--", path.name)
    changed_since = run_git(path.parent, "status", "--porcelain", "--", path.name)
    if log and not changed_since:
        commit, _, when = log.strip().partition(" ")
        return commit, datetime.fromisoformat(when)
    return None, datetime.fromtimestamp(path.stat().st_mtime, UTC)


@dataclass(frozen=True)
class Verdict:
    """The gate's decision on a selection, under an objective of this hash and commit; `not_named` did not take part."""

    data: str
    dataset_version: str
    split_hashes: list[str]
    records: int
    objective: ObjectiveState
    settings: dict[str, Any]
    decision: Decision
    left_out: list[str]
    not_named: list[str]
    schema_version: int = 1


def gather_and_judge(
    selection: Selection,
    objective: Objective,
    *,
    resamples: int,
    begin: Callable[[int], Advance] = lambda steps: lambda done: None,
) -> Verdict:
    """Read, draw, and decide.

    Raises:
        UserError: predictions that cannot be compared, or a label of the objective that the data do not have.
    """
    return judge(gather_evidence(selection, resamples=resamples, begin=begin), objective)


def judge(evidence: Evidence, objective: Objective) -> Verdict:
    """Return the decision on evidence that is already resampled."""
    selection = evidence.selection
    return Verdict(
        data=selection.data,
        dataset_version=selection.dataset_version,
        split_hashes=sorted({str(run.record.split_hash) for run in selection.runs}),
        records=evidence.num_records,
        objective=objective_state(objective, selection.runs),
        settings=plain(objective.settings),
        decision=decide(evidence, objective.settings),
        left_out=[
            *selection.left_out,
            *(f"slice {each}: other records in some runs" for each in evidence.slices_left_out),
        ],
        not_named=list(selection.not_named),
    )

"""Decide which model ships: the one of lowest complexity among those that meet every criterion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ratchet.comparison.evidence import CandidateEvidence, Evidence, gather_evidence
from ratchet.config import Objective, ObjectiveConfig, plain
from ratchet.objective.criteria import (
    Criterion,
    State,
    check_not_worse,
    check_own_criteria,
    check_set_aside,
    combine_states,
)
from ratchet.runs.git import run_git
from ratchet.runs.selection import Selection, build_measure_command
from ratchet.runs.stored import MEASUREMENTS, StoredRun
from ratchet.statistics.bootstrap import Advance

Outcome = Literal["ships", "nothing ships", "too little evidence"]


@dataclass(frozen=True)
class Judgement:
    """The gate's judgement on one candidate. `value` is its primary metric, `clauses` are its criteria.

    Field names are a file format: verdict.json and the promotions log hold them.
    """

    name: str
    model: str
    complexity: int
    config_hash: str
    runs: list[str]
    value: float
    state: State
    ships: bool
    why: str
    clauses: list[Criterion]

    @property
    def in_short(self) -> str:
        """Return the reason without what is needed, which the criteria state themselves."""
        return "too little evidence" if self.why.startswith("needed:") else self.why.partition("; needed:")[0]


@dataclass(frozen=True)
class Decision:
    """The gate's decision: which candidate ships, that none does, or that there is too little evidence to decide."""

    outcome: Outcome
    ships: str | None
    why: str
    judgements: list[Judgement]

    def of(self, name: str) -> Judgement:
        """Return the judgement on the candidate of this name."""
        return next(judgement for judgement in self.judgements if judgement.name == name)


def decide(evidence: Evidence, objective: ObjectiveConfig) -> Decision:
    """Judge every candidate by its own criteria, then against every rival that did not fail its own.

    A model that cannot ship whatever its score, such as one over budget, is no rival: nothing has to match it.

    Raises:
        UserError: the objective names a label that the data do not have.
    """
    candidates = evidence.candidates
    own = {candidate.name: check_own_criteria(candidate, evidence, objective) for candidate in candidates}
    rivals = [candidate for candidate in candidates if combine_states(own[candidate.name]) != "fail"]
    criteria = {
        candidate.name: [
            *own[candidate.name],
            *(check_not_worse(candidate, rival, evidence, objective) for rival in rivals if rival is not candidate),
            *check_set_aside(candidate, evidence, objective),
        ]
        for candidate in candidates
    }
    passing = [candidate for candidate in candidates if combine_states(criteria[candidate.name]) == "pass"]
    metric = objective.metric.name
    value = {candidate.name: float(candidate.estimate(metric).value) for candidate in candidates}
    shipping = min(passing, key=lambda c: (c.candidate.complexity, -value[c.name])) if passing else None
    judgements = [_build_judgement(c, criteria[c.name], value[c.name], shipping) for c in candidates]
    outcome, ships, why = _decide_outcome(shipping, passing, judgements)
    aside = [candidate.name for candidate in evidence.selection.set_aside]
    return Decision(outcome, ships, f"{why}; set aside: {_join_names(aside)}" if aside else why, judgements)


def _build_judgement(
    candidate: CandidateEvidence, criteria: list[Criterion], value: float, shipping: CandidateEvidence | None
) -> Judgement:
    state = combine_states(criteria)
    return Judgement(
        name=candidate.name,
        model=candidate.candidate.model,
        complexity=candidate.candidate.complexity,
        config_hash=candidate.candidate.config_hash,
        runs=[run.record.id for run in candidate.candidate.runs],
        value=value,
        state=state,
        ships=candidate is shipping,
        why=_explain(candidate, state, criteria, shipping),
        clauses=criteria,
    )


def _explain(
    candidate: CandidateEvidence, state: State, criteria: list[Criterion], shipping: CandidateEvidence | None
) -> str:
    """Return why a candidate ships or does not, and what it would need."""
    if candidate is shipping:
        return "meets every criterion, and nothing simpler does"
    if state == "pass" and shipping is not None:
        simpler = shipping.candidate.complexity < candidate.candidate.complexity
        return f"passes too, but {shipping.name} is {'simpler' if simpler else 'as simple and scores higher'}"
    unmet = [criterion for criterion in criteria if criterion.state == state]
    needed = "; ".join(f"{criterion.name}: {criterion.needed}" for criterion in unmet)
    return (
        f"fails {len(unmet)} of {len(criteria)} criteria; needed: {needed}" if state == "fail" else f"needed: {needed}"
    )


def _decide_outcome(
    shipping: CandidateEvidence | None, passing: list[CandidateEvidence], judgements: list[Judgement]
) -> tuple[Outcome, str | None, str]:
    """Return the outcome, the name of the candidate that ships (None if none does), and why."""
    if shipping is not None:
        several = len(passing) > 1
        why = (
            f"the simplest of {len(passing)} that meet every criterion"
            if several
            else "the only one that meets every criterion"
        )
        return "ships", shipping.name, why
    undecided = [judgement.name for judgement in judgements if judgement.state == "too little evidence"]
    if undecided:
        return "too little evidence", None, f"nothing meets every criterion, but {_join_names(undecided)} failed none"
    return "nothing ships", None, "every candidate fails a criterion"


def _join_names(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


@dataclass(frozen=True)
class ObjectiveState:
    """The objective of a verdict. `commit` is the last one that changed its file; None with uncommitted changes.

    `changed` is a sentence if the objective was changed after the first of the runs had started, or set on the command
    line; else None.
    """

    name: str
    hash: str
    commit: str | None
    changed: str | None


def describe_objective(objective: Objective, runs: Sequence[StoredRun]) -> ObjectiveState:
    """Return the identity of an objective, and whether it was changed after these runs had started."""
    commit, changed_at = _find_last_change(objective.path)
    changed = _describe_change(objective, commit, changed_at, runs)
    return ObjectiveState(objective.name, objective.hash, commit, changed)


def _describe_change(
    objective: Objective, commit: str | None, changed_at: datetime, runs: Sequence[StoredRun]
) -> str | None:
    """Return a sentence on a change that may have been made with knowledge of the results; None without one."""
    if objective.overrides:
        return f"set on the command line: {' '.join(objective.overrides)}"
    first_start = min(datetime.fromisoformat(run.record.started_at) for run in runs)
    if changed_at <= first_start:
        return None
    how = f"in commit {commit[:12]}" if commit else "and not committed since"
    return (
        f"{objective.path.name} was changed on {changed_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC {how}, "
        f"after the first of these runs had started ({first_start:%Y-%m-%d %H:%M} UTC)"
    )


def _find_last_change(path: Path) -> tuple[str | None, datetime]:
    """Return the last commit that changed the file, and its time; with uncommitted changes None and the file's time."""
    log = run_git(path.parent, "log", "-1", "--format=%H %cI", "--", path.name)
    uncommitted = run_git(path.parent, "status", "--porcelain", "--", path.name)
    if log and uncommitted == "":  # None: git does not know
        commit, _, committed_at = log.strip().partition(" ")
        return commit, datetime.fromisoformat(committed_at)
    return None, datetime.fromtimestamp(path.stat().st_mtime, UTC)


@dataclass(frozen=True)
class Absentee:
    """A candidate that was set aside, as a verdict names it: why, and the command that completes its evidence."""

    name: str
    why: str
    complete: str


@dataclass(frozen=True)
class Verdict:
    """The gate's decision on a selection, with its objective and data.

    Candidates in `not_named` and `set_aside` did not take part. `notes` limit what the budgets mean.
    """

    data: str
    dataset_version: str
    split_hashes: list[str]
    records: int
    objective: ObjectiveState
    settings: dict[str, Any]
    decision: Decision
    left_out: list[str]
    not_named: list[str]
    set_aside: list[Absentee] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    schema_version: int = 1


def gather_and_judge(
    selection: Selection,
    objective: Objective,
    *,
    resamples: int,
    begin: Callable[[int], Advance] = lambda steps: lambda done: None,
) -> Verdict:
    """Read the predictions of a selection, resample their metrics, and judge them.

    Raises:
        UserError: predictions that cannot be compared, or a label of the objective that the data do not have.
    """
    return judge(gather_evidence(selection, resamples=resamples, begin=begin), objective)


def judge(evidence: Evidence, objective: Objective) -> Verdict:
    """Return the decision on evidence that is already resampled.

    Raises:
        UserError: the objective names a label that the data do not have.
    """
    selection = evidence.selection
    return Verdict(
        data=selection.data,
        dataset_version=selection.dataset_version,
        split_hashes=sorted({str(run.record.split_hash) for run in selection.runs}),
        records=evidence.num_records,
        objective=describe_objective(objective, selection.runs),
        settings=plain(objective.settings),
        decision=decide(evidence, objective.settings),
        left_out=[
            *selection.left_out,
            *(f"slice {name}: other records in {', '.join(odd)}" for name, odd in evidence.slices_left_out.items()),
        ],
        not_named=list(selection.not_named),
        set_aside=[Absentee(aside.name, aside.why, aside.complete) for aside in selection.set_aside],
        notes=[*selection.notes, *_list_notes(selection, objective.settings)],
    )


def _list_notes(selection: Selection, objective: ObjectiveConfig) -> list[str]:
    """Return a sentence if times that have a budget were measured on several kinds of machine."""
    if objective.budgets.latency_ms_p95 is None and objective.budgets.fit_minutes is None:
        return []
    names: dict[str, list[str]] = {}
    for candidate in selection.candidates:
        for machine in dict.fromkeys(filter(None, map(_name_machine, candidate.runs))):
            names.setdefault(machine, []).append(candidate.name)
    if len(names) < 2:
        return []
    machines = "; ".join(f"{machine} ({', '.join(measured)})" for machine, measured in names.items())
    command = build_measure_command(selection.runs)
    return [f"budgets compare times of different machines: {machines}. `{command}` measures latencies on this one"]


def _name_machine(run: StoredRun) -> str | None:
    """Return the processor and the cores that the latency of a run was last measured on; None if not recorded."""
    files = sorted((run.path / MEASUREMENTS).glob("*.json"))
    machine = run.read_json(f"{MEASUREMENTS}/{files[-1].name}")["machine"] if files else run.record.machine
    return f"{machine['processor']}, {machine['cores']} cores" if machine.get("processor") else None

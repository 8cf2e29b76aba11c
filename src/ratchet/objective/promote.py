"""Decide what to promote or to roll back, and append the decision to the log in `ratchet.runs.promotions`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ratchet.config import plain
from ratchet.errors import UserError, did_you_mean
from ratchet.objective.gate import Verdict
from ratchet.project import current_project
from ratchet.runs.promotions import Promotion, add_decision, find_standing_promotions, read_decisions
from ratchet.runs.provenance import read_git_state
from ratchet.runs.selection import Selection


@dataclass(frozen=True)
class Recorded:
    """A decision that was appended to the log at `path`. A rollback replaces one promotion and may restore another."""

    decision: Promotion
    path: Path
    replaced: Promotion | None = None
    restored: Promotion | None = None


@dataclass(frozen=True)
class Refused:
    """The gate refuses the promotion: nothing was recorded."""

    reason: str


def check_request(selection: Selection, candidate: str | None, *, force: bool, reason: str | None) -> None:
    """Check a request before the statistics are computed, which takes seconds.

    Raises:
        UserError: `force` without a reason, or a candidate that is not selected.
    """
    if force and not (reason or "").strip():
        raise UserError('promote: force=true needs a reason, which is recorded: reason="..."')
    names = [selected.name for selected in selection.candidates]
    if candidate is not None and candidate not in names:
        raise UserError(f"candidate={candidate}: not among the selected candidates; {did_you_mean(candidate, names)}")


def promote(
    verdict: Verdict,
    selection: Selection,
    *,
    candidate: str | None,
    force: bool,
    reason: str | None,
    runs_were_chosen: bool,
    promotions_dir: Path,
) -> Recorded | Refused:
    """Promote `candidate` (default: what the gate ships) and record the evidence.

    `force` overrules the gate; the log then holds the reason. `runs_were_chosen` is recorded, since a verdict on
    hand-picked runs is weaker evidence.

    Raises:
        UserError: nothing ships and no candidate is named.
    """
    ships = verdict.decision.ships
    chosen = candidate or ships
    if chosen is None:
        if force:
            raise UserError("promote: nothing ships; name the candidate to promote: candidate=NAME")
        return Refused(verdict.decision.outcome)
    if chosen != ships and not force:
        return Refused(f"{chosen} {verdict.decision.of(chosen).why}")
    judgement = verdict.decision.of(chosen)
    runs = next(selected for selected in selection.candidates if selected.name == chosen).runs
    forced = chosen != ships
    git, _ = read_git_state(current_project().code_root)
    decision = Promotion(
        at=_format_now(),
        action="promote",
        data=verdict.data,
        name=runs[0].record.name,
        model=judgement.model,
        config_hash=judgement.config_hash,
        runs={run.record.id: str(run.record.split_hash) for run in runs},
        why=str(reason) if forced or reason else judgement.why,
        gate=_describe_gate(verdict, chosen) + (", on chosen runs" if runs_were_chosen else ""),
        forced=forced,
        objective={**plain(verdict.objective), "settings": verdict.settings},
        evidence={
            "dataset_version": verdict.dataset_version,
            "records": verdict.records,
            "candidates": {judged.name: judged.value for judged in verdict.decision.judgements},
            "clauses": plain(judgement.clauses),
        },
        commit=git["commit"],
        commit_dirty=git["dirty"],
    )
    return Recorded(decision, add_decision(promotions_dir, decision))


def roll_back(promotions_dir: Path, data: str, reason: str | None) -> Recorded:
    """Return to the promotion before the current one, or to none, and record why.

    Raises:
        UserError: no reason is given, or nothing is promoted.
    """
    if not (reason or "").strip():
        raise UserError('promote rollback needs a reason, which is recorded: reason="..."')
    stack = find_standing_promotions(read_decisions(promotions_dir, data))
    if not stack:
        raise UserError(f"{data}: nothing is promoted, there is nothing to roll back")
    before = stack[-2] if len(stack) > 1 else None
    git, _ = read_git_state(current_project().code_root)
    decision = Promotion(
        at=_format_now(),
        action="rollback",
        data=data,
        name=before.name if before else None,
        model=before.model if before else None,
        config_hash=before.config_hash if before else None,
        runs=before.runs if before else {},
        why=str(reason),
        gate=before.gate if before else "-",
        forced=before.forced if before else False,
        commit=git["commit"],
        commit_dirty=git["dirty"],
    )
    return Recorded(decision, add_decision(promotions_dir, decision), replaced=stack[-1], restored=before)


def find_data_set(promotions_dir: Path, data: str | None) -> str:
    """Return the data set that a command is about: the only one with decisions, unless `data` names one.

    Raises:
        UserError: there are no decisions, or several data sets and none is named, or none for `data`.
    """
    known = sorted(path.stem for path in promotions_dir.glob("*.jsonl"))
    if not known:
        raise UserError(f"nothing was promoted yet ({promotions_dir} has no decisions)")
    if data is None and len(known) > 1:
        choices = " or ".join(f"data={name}" for name in known)
        raise UserError(f"{promotions_dir} has decisions on {len(known)} data sets: choose {choices}")
    if data is not None and data not in known:
        raise UserError(f"data={data}: no decisions in {promotions_dir}; {did_you_mean(data, known)}")
    return data or known[0]


def _describe_gate(verdict: Verdict, chosen: str) -> str:
    ships = verdict.decision.ships
    if ships is None:
        words: str = verdict.decision.outcome
    else:
        words = "ships" if ships == chosen else f"{ships} ships, not {chosen}"
    return f"{words}, with {', '.join(verdict.not_named)} out of the contest" if verdict.not_named else words


def _format_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""Decide what to promote or to roll back, and append the decision to the log in `ratchet.runs.promotions`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ratchet.config import plain
from ratchet.errors import UserError, did_you_mean
from ratchet.objective.gate import Verdict
from ratchet.project import current_project
from ratchet.runs.promotions import (
    Promotion,
    add_decision,
    check_unchanged,
    find_previous,
    find_standing_promotions,
    locked_promotions,
)
from ratchet.runs.provenance import read_git_state
from ratchet.runs.selection import Selection
from ratchet.runs.stored import StoredRun, find_damage, find_runs


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
    for aside in selection.set_aside:
        if aside.name == candidate:
            raise UserError(f"candidate={candidate}: set aside: {aside.why}. Complete it: `{aside.complete}`")
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
    before: Sequence[Promotion],
) -> Recorded | Refused:
    """Promote `candidate` (default: what the gate ships) and record the evidence.

    `force` overrules the gate; the log then holds the reason. `runs_were_chosen` is recorded, since a verdict on
    hand-picked runs is weaker evidence. `before` are the decisions that were read before the gate judged.

    Raises:
        UserError: nothing ships and no candidate is named, a run of the candidate is incomplete, or another process
            recorded a decision meanwhile.
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
        code=_list_code(runs),
    )
    with locked_promotions(promotions_dir):
        check_unchanged(promotions_dir, decision.data, before)
        for run in runs:  # here: under the lock, no other process prunes them
            if problem := find_damage(run.path):
                raise UserError(f"promote {chosen}: {problem}: train the run again, or choose others with runs=")
        return Recorded(decision, add_decision(promotions_dir, decision))


def _list_code(runs: Sequence[StoredRun]) -> list[str]:
    """Return the hashes of the code of the runs; empty if that of a run is not known."""
    hashes = [run.record.code_hash for run in runs]
    return sorted({code for code in hashes if code}) if all(hashes) else []


def roll_back(promotions_dir: Path, data: str, reason: str | None, before: Sequence[Promotion]) -> Recorded:
    """Return to the last promotion of another candidate than the current one, or to none, and record why.

    `before` are the decisions that the command read first.

    Raises:
        UserError: no reason is given, nothing is promoted, or another process recorded a decision meanwhile.
    """
    if not (reason or "").strip():
        raise UserError('promote rollback needs a reason, which is recorded: reason="..."')
    stack = find_standing_promotions(list(before))
    if not stack:
        raise UserError(f"{data}: nothing is promoted, there is nothing to roll back")
    restored = find_previous(stack)
    git, _ = read_git_state(current_project().code_root)
    decision = Promotion(
        at=_format_now(),
        action="rollback",
        data=data,
        name=restored.name if restored else None,
        model=restored.model if restored else None,
        config_hash=restored.config_hash if restored else None,
        runs=restored.runs if restored else {},
        why=str(reason),
        gate=restored.gate if restored else "-",
        forced=restored.forced if restored else False,
        commit=git["commit"],
        commit_dirty=git["dirty"],
    )
    with locked_promotions(promotions_dir):
        check_unchanged(promotions_dir, data, before)
        return Recorded(decision, add_decision(promotions_dir, decision), replaced=stack[-1], restored=restored)


def list_unusable_runs(promotion: Promotion, runs_dir: Path) -> list[str]:
    """Return which runs of a promotion are missing or incomplete, one sentence each."""
    path_of = {run.record.id: run.path for run in find_runs(runs_dir)}
    missing = [f"{identifier}: not in {runs_dir}" for identifier in promotion.runs if identifier not in path_of]
    paths = [path_of[identifier] for identifier in promotion.runs if identifier in path_of]
    return missing + [problem for path in paths if (problem := find_damage(path))]


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
    absent = [*verdict.not_named, *(aside.name for aside in verdict.set_aside)]
    return f"{words}, with {', '.join(absent)} out of the contest" if absent else words


def _format_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

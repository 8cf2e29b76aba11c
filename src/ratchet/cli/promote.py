"""`ratchet promote [candidate=NAME] | show | rollback`: decisions, in a file that git tracks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ratchet.cli.gate import NOT_SHIPPED, headline
from ratchet.cli.lines import print_text
from ratchet.cli.selecting import SelectingOptions, parse_selecting, progress, selection_of
from ratchet.cli.tables import Format, print_json, print_table
from ratchet.config import parse_options, plain
from ratchet.errors import UserError, did_you_mean
from ratchet.objective.gate import Verdict, gather_and_judge
from ratchet.project import PROJECT
from ratchet.runs.promotions import Promotion, add_decision, promoted, read_decisions, said_of, standing
from ratchet.runs.provenance import git_state
from ratchet.runs.selection import Selection


@dataclass
class PromoteOptions(SelectingOptions):
    """Arguments of `promote`: the candidate (what ships, unless named), and what it takes to go against the gate."""

    candidate: str | None = None
    force: bool = False
    reason: str | None = None
    promotions_dir: str = "promotions"


@dataclass
class ShowOptions:
    """Arguments of `promote show`."""

    data: str | None = None
    format: Format = Format.table
    promotions_dir: str = "promotions"


@dataclass
class RollbackOptions:
    """Arguments of `promote rollback`."""

    data: str | None = None
    reason: str | None = None
    promotions_dir: str = "promotions"


ACTIONS = {"": PromoteOptions, "show": ShowOptions, "rollback": RollbackOptions}


def run(arguments: list[str]) -> int:
    """The verb `promote`; exit code 3 when the gate refuses."""
    action, rest = (arguments[0], arguments[1:]) if arguments and "=" not in arguments[0] else ("", arguments)
    actions = {"": _promote, "show": _show, "rollback": _rollback}
    if action not in actions and not action.startswith("-"):
        raise UserError(f"promote {action}: {did_you_mean(action, ['show', 'rollback'])} (candidate=NAME names one)")
    return actions.get(action, _promote)(rest if action in actions else arguments)


def _promote(arguments: Sequence[str]) -> int:
    options, objective = parse_selecting(PromoteOptions, arguments)
    if options.force and not (options.reason or "").strip():
        raise UserError('promote: force=true needs a reason, which is recorded: reason="..."')
    selection = selection_of(options)
    names = [each.name for each in selection.candidates]
    if options.candidate is not None and options.candidate not in names:
        raise UserError(
            f"candidate={options.candidate}: not among the selected; {did_you_mean(options.candidate, names)}"
        )
    with progress() as bar:
        found = gather_and_judge(selection, objective, resamples=options.resamples, begin=bar("drawing records"))
    print_text(headline(found))
    wanted = options.candidate or found.decision.ships
    if wanted is None and options.force:
        raise UserError("promote: nothing ships, so which one? candidate=NAME names it")
    if wanted is None:
        return _refused(found.decision.outcome)
    if wanted != found.decision.ships and not options.force:
        return _refused(f"{wanted} {found.decision.of(wanted).why}")
    return _record(wanted, found, selection, options)


def _refused(why: str) -> int:
    print_text(f"not promoted: {why}")
    print_text('(`ratchet gate` shows each clause; candidate=NAME force=true reason="..." overrules it)')
    return NOT_SHIPPED


def _record(wanted: str, found: Verdict, selection: Selection, options: PromoteOptions) -> int:
    judgement = found.decision.of(wanted)
    candidate = next(each for each in selection.candidates if each.name == wanted)
    forced = wanted != found.decision.ships
    git, _ = git_state(PROJECT)
    decision = Promotion(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        action="promote",
        data=found.data,
        name=candidate.runs[0].record.name,
        model=judgement.model,
        config_hash=judgement.config_hash,
        runs={run.record.id: str(run.record.split_hash) for run in candidate.runs},
        why=str(options.reason) if forced or options.reason else judgement.why,
        gate=_said(found, wanted) + (", on chosen runs" if options.runs else ""),
        forced=forced,
        objective={**plain(found.objective), "settings": found.settings},
        evidence={
            "dataset_version": found.dataset_version,
            "records": found.records,
            "candidates": {each.name: each.value for each in found.decision.judgements},
            "clauses": plain(judgement.clauses),
        },
        commit=git["commit"],
        commit_dirty=git["dirty"],
    )
    path = add_decision(Path(options.promotions_dir), decision)
    print_text(f"promoted {wanted} ({said_of(decision)})")
    print_text(f"written to {path}: commit it")
    return 0


def _said(found: Verdict, wanted: str) -> str:
    ships = found.decision.ships
    said = found.decision.outcome if ships is None else "ships" if ships == wanted else f"{ships} ships, not {wanted}"
    return f"{said}, with {', '.join(found.not_named)} out of the contest" if found.not_named else said


def _data_of(directory: Path, data: str | None) -> str:
    """The data set that is meant: the one there are decisions on, unless named."""
    known = sorted(path.stem for path in directory.glob("*.jsonl"))
    if not known:
        raise UserError(f"nothing was promoted yet ({directory} has no decisions)")
    if data is None and len(known) > 1:
        raise UserError(
            f"decisions on {len(known)} data sets: which one? {' or '.join(f'data={each}' for each in known)}"
        )
    if data is not None and data not in known:
        raise UserError(f"data={data}: no decisions in {directory}; {did_you_mean(data, known)}")
    return data or known[0]


def _show(arguments: Sequence[str]) -> int:
    options = parse_options(ShowOptions, arguments)
    directory = Path(options.promotions_dir)
    data = _data_of(directory, options.data)
    decisions = read_decisions(directory, data)
    now = promoted(directory, data)
    if options.format is Format.json:
        print_json({"data": data, "promoted": plain(now) if now else None, "history": plain(decisions)})
        return 0
    markdown = options.format is Format.md
    said = f"{now.name} is promoted ({said_of(now)})" if now else "nothing is promoted"
    print_text(f"{data}: {said}", whole=markdown)
    print()
    rows = [
        {
            "at": each.at,
            "decision": each.action,
            "candidate": each.name or "-",
            "gate": each.gate + (", forced" if each.forced else ""),
            "objective": each.objective.get("name", "-") + ("*" if each.objective.get("changed") else ""),
            "commit": (each.commit or "-")[:8] + ("+" if each.commit_dirty else ""),
            "why": each.why,
        }
        for each in decisions
    ]
    print_table(rows, markdown=markdown, left=7, whole=("at", "decision", "commit"))
    changed = {str(each.objective["changed"]): None for each in decisions if each.objective.get("changed")}
    for text in changed:
        print()
        print_text(f"* {text}", whole=markdown)
    return 0


def _rollback(arguments: Sequence[str]) -> int:
    options = parse_options(RollbackOptions, arguments)
    directory = Path(options.promotions_dir)
    data = _data_of(directory, options.data)
    if not (options.reason or "").strip():
        raise UserError('promote rollback needs a reason, which is recorded: reason="..."')
    stack = standing(read_decisions(directory, data))
    if not stack:
        raise UserError(f"{data}: nothing is promoted, there is nothing to roll back")
    before = stack[-2] if len(stack) > 1 else None
    git, _ = git_state(PROJECT)
    path = add_decision(
        directory,
        Promotion(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            action="rollback",
            data=data,
            name=before.name if before else None,
            model=before.model if before else None,
            config_hash=before.config_hash if before else None,
            runs=before.runs if before else {},
            why=str(options.reason),
            gate=before.gate if before else "-",
            forced=before.forced if before else False,
            commit=git["commit"],
            commit_dirty=git["dirty"],
        ),
    )
    now = f"{before.name} is promoted again ({said_of(before)})" if before else "nothing is promoted now"
    print_text(f"{data}: {stack[-1].name} rolled back, {now}")
    print_text(f"written to {path}: commit it")
    return 0

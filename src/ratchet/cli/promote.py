"""`ratchet promote [candidate=NAME] | show | rollback`: record decisions in a file that git tracks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ratchet.cli.gate import NOT_SHIPPED
from ratchet.cli.selecting import SelectingOptions, parse_selecting, select_runs, show_progress
from ratchet.config import located, parse_options, plain
from ratchet.errors import UserError, did_you_mean
from ratchet.objective.gate import gather_and_judge
from ratchet.objective.promote import (
    Refused,
    check_request,
    find_data_set,
    list_unusable_runs,
    promote,
    roll_back,
)
from ratchet.reporting.terminal import Format, print_json, print_table, print_text
from ratchet.reporting.verdict_tables import verdict_headline
from ratchet.runs.promotions import Promotion, describe_promotion, find_promoted, read_decisions


@dataclass
class PromoteOptions(SelectingOptions):
    """Arguments of `promote`: the candidate (by default the one that ships), and how to overrule the gate."""

    candidate: str | None = None
    """Candidate to promote; null promotes the one that the gate lets ship."""
    force: bool = False
    """Overrule the gate; requires a reason."""
    reason: str | None = None
    """Reason that is recorded with the promotion."""
    promotions_dir: str = located("promotions")
    """Directory of the promotions log."""


@dataclass
class ShowOptions:
    """Arguments of `promote show`."""

    data: str | None = None
    """Name of the data set; needed only if there are promotions of several."""
    format: Format = Format.table
    """Format of the printed result."""
    promotions_dir: str = located("promotions")
    """Directory of the promotions log."""


@dataclass
class RollbackOptions:
    """Arguments of `promote rollback`."""

    data: str | None = None
    """Name of the data set; needed only if there are promotions of several."""
    reason: str | None = None
    """Reason that is recorded with the rollback."""
    runs_dir: str = located("runs")
    """Directory of all runs."""
    promotions_dir: str = located("promotions")
    """Directory of the promotions log."""


ACTIONS = {"": PromoteOptions, "show": ShowOptions, "rollback": RollbackOptions}


def run(arguments: list[str]) -> int:
    """Run the verb `promote`; return exit code 3 if the gate refuses."""
    action, rest = (arguments[0], arguments[1:]) if arguments and "=" not in arguments[0] else ("", arguments)
    actions = {"": _promote, "show": _show, "rollback": _roll_back}
    if action not in actions and not action.startswith("-"):
        raise UserError(f"promote {action}: {did_you_mean(action, ['show', 'rollback'])} (candidate=NAME names one)")
    return actions.get(action, _promote)(rest if action in actions else arguments)


def _promote(arguments: Sequence[str]) -> int:
    options, objective = parse_selecting(PromoteOptions, arguments)
    selection = select_runs(options, min_splits=objective.settings.evidence.repeats)
    check_request(selection, options.candidate, force=options.force, reason=options.reason)
    before = read_decisions(Path(options.promotions_dir), selection.data)
    with show_progress() as bar:
        verdict = gather_and_judge(
            selection, objective, resamples=options.resamples, begin=bar("bootstrapping records")
        )
    decision = verdict.decision
    print_text(verdict_headline(verdict.data, decision.ships, decision.outcome, decision.why))
    outcome = promote(
        verdict,
        selection,
        candidate=options.candidate,
        force=options.force,
        reason=options.reason,
        runs_were_chosen=bool(options.runs),
        promotions_dir=Path(options.promotions_dir),
        before=before,
    )
    if isinstance(outcome, Refused):
        print_text(f"not promoted: {outcome.reason}")
        print_text('(`ratchet gate` shows each criterion; candidate=NAME force=true reason="..." overrules it)')
        return NOT_SHIPPED
    print_text(f"promoted {options.candidate or verdict.decision.ships} ({describe_promotion(outcome.decision)})")
    print_text(f"written to {outcome.path}: commit it")
    return 0


def _show(arguments: Sequence[str]) -> int:
    options = parse_options(ShowOptions, arguments)
    directory = Path(options.promotions_dir)
    data = find_data_set(directory, options.data)
    decisions = read_decisions(directory, data)
    now = find_promoted(directory, data)
    if options.format is Format.json:
        print_json({"data": data, "promoted": plain(now) if now else None, "history": plain(decisions)})
        return 0
    markdown = options.format is Format.md
    state = f"{now.name} is promoted ({describe_promotion(now)})" if now else "nothing is promoted"
    print_text(f"{data}: {state}", whole=markdown)
    print()
    rows = [
        {
            "at": decision.at,
            "decision": decision.action,
            "candidate": decision.name or "-",
            "gate": decision.gate + (", forced" if decision.forced else ""),
            "objective": decision.objective.get("name", "-") + ("*" if decision.objective.get("changed") else ""),
            "commit": _format_commit(decision),
            "why": decision.why,
        }
        for decision in decisions
    ]
    print_table(rows, markdown=markdown, left=7, whole=("at", "decision", "commit"))
    changed = {str(decision.objective["changed"]): None for decision in decisions if decision.objective.get("changed")}
    for text in changed:
        print()
        print_text(f"* {text}", whole=markdown)
    return 0


def _roll_back(arguments: Sequence[str]) -> int:
    options = parse_options(RollbackOptions, arguments)
    directory = Path(options.promotions_dir)
    data = find_data_set(directory, options.data)
    outcome = roll_back(directory, data, options.reason, read_decisions(directory, data))
    restored, replaced = outcome.restored, outcome.replaced
    before, after = (_name_promotion(promotion) if promotion else "nothing" for promotion in (replaced, restored))
    note = f"{after} is promoted again ({describe_promotion(restored)})" if restored else "nothing is promoted now"
    print_text(f"{data}: {before} rolled back, {note}")
    problems = list_unusable_runs(restored, Path(options.runs_dir)) if restored else []
    if problems:
        print_text(f"warning: {after} cannot score with all of its runs: {'; '.join(problems)}")
        print_text("(restore them, name their directory with runs_dir=, or promote another candidate)")
    print_text(f"written to {outcome.path}: commit it")
    return 0


def _format_commit(decision: Promotion) -> str:
    """Return the commit, with "+" if the code differed from it, and "?" if that is unknown."""
    if decision.commit is None:
        return "-"
    return decision.commit[:8] + {True: "+", False: "", None: "?"}[decision.commit_dirty]


def _name_promotion(promotion: Promotion) -> str:
    return f"{promotion.name}@{str(promotion.config_hash)[:8]} of {promotion.at[:19]}"

"""`ratchet objective review`: show what would ship under other plausible objectives."""

from collections.abc import Sequence

from ratchet.cli.selecting import SelectingOptions, parse_selecting, select_runs, show_progress
from ratchet.comparison.evidence import gather_evidence
from ratchet.config import named_objectives, plain
from ratchet.errors import UserError, did_you_mean
from ratchet.objective.gate import describe_objective
from ratchet.objective.review import review
from ratchet.reporting.terminal import Format, print_blocks, print_json
from ratchet.reporting.verdict_tables import review_blocks

ACTIONS = {"review": SelectingOptions}


def run(arguments: list[str]) -> int:
    """Run the verb `objective`."""
    if not arguments:
        raise UserError("objective: which action? `ratchet objective review`")
    action, *rest = arguments
    if action != "review":
        raise UserError(f"objective {action}: {did_you_mean(action, ['review'])}")
    _review(rest)
    return 0


def _review(arguments: Sequence[str]) -> None:
    options, objective = parse_selecting(SelectingOptions, arguments)
    selection = select_runs(options, min_splits=objective.settings.evidence.repeats)
    with show_progress() as bar:
        evidence = gather_evidence(selection, resamples=options.resamples, begin=bar("bootstrapping records"))
    reviewed = review(evidence, objective.settings, named_objectives())
    if options.format is Format.json:
        state = plain(describe_objective(objective, selection.runs))
        print_json({"data": selection.data, "objective": state, **plain(reviewed)})
    else:
        blocks = review_blocks(selection.data, objective.name, reviewed)
        print_blocks(blocks, markdown=options.format is Format.md)

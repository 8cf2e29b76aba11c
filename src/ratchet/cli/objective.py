"""`ratchet objective review`: what would ship under other plausible objectives."""

from collections.abc import Sequence

from ratchet.cli.lines import print_text
from ratchet.cli.selecting import SelectingOptions, parse_selecting, progress, selection_of
from ratchet.cli.tables import Format, print_json, print_table
from ratchet.comparison.evidence import gather
from ratchet.config import named_objectives, plain
from ratchet.errors import UserError, did_you_mean
from ratchet.objective.gate import objective_state
from ratchet.objective.review import review

ACTIONS = {"review": SelectingOptions}


def run(arguments: list[str]) -> int:
    """The verb `objective`."""
    if not arguments:
        raise UserError("objective: what about it? `ratchet objective review`")
    action, *rest = arguments
    if action != "review":
        raise UserError(f"objective {action}: {did_you_mean(action, ['review'])}")
    _review(rest)
    return 0


def _review(arguments: Sequence[str]) -> None:
    options, objective = parse_selecting(SelectingOptions, arguments)
    selection = selection_of(options)
    with progress() as bar:
        evidence = gather(selection, resamples=options.resamples, begin=bar("drawing records"))
    found = review(evidence, objective.settings, named_objectives())
    current, others = found.current, found.alternatives
    if options.format is Format.json:
        state = objective_state(objective, selection.runs)
        print_json(
            {
                "data": selection.data,
                "objective": plain(state),
                "current": plain(current),
                "alternatives": plain(others),
            }
        )
        return
    markdown = options.format is Format.md
    print_text(f"{selection.data}: under {objective.name} {current.in_words}", whole=markdown)
    print("one change to it at a time:\n")
    rows = [
        {
            "part": each.part,
            "changed to": each.change,
            "outcome": each.in_words,
            "": "differs" if each in found.different else "",
        }
        for each in others
    ]
    print_table(rows, markdown=markdown, left=4)
    print()
    print_text(found.in_words, whole=markdown)

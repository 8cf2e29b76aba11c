"""`ratchet objective review`: what would ship under other plausible objectives."""

from collections.abc import Mapping, Sequence

from ratchet.cli.selecting import SelectingOptions, parse_selecting, progress, selection_of
from ratchet.cli.tables import Format, print_json, print_table
from ratchet.comparison.evidence import gather
from ratchet.config import CONF, ObjectiveConfig, compose_objective, plain
from ratchet.errors import UserError, did_you_mean
from ratchet.objective.change import objective_state
from ratchet.objective.review import Alternative, review


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
    current, others = review(evidence, objective.settings, _named())
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
    print(f"{selection.data}: under {objective.name} {_said(current)}")
    print("one change to it at a time:\n")
    rows = [
        {
            "part": each.part,
            "changed to": each.change,
            "outcome": _said(each),
            "": "" if _same(each, current) else "differs",
        }
        for each in others
    ]
    print_table(rows, markdown=options.format is Format.md, left=4)
    print(f"\n{_conclusion(current, others)}")


def _named() -> Mapping[str, ObjectiveConfig]:
    """The objectives that have a name in conf/."""
    names = sorted(path.stem for path in (CONF / "objective").glob("*.yaml"))
    return {name: compose_objective([f"objective={name}"]).settings for name in names}


def _said(each: Alternative) -> str:
    return f"{each.ships} ships" if each.ships else each.outcome


def _same(each: Alternative, current: Alternative) -> bool:
    return (each.outcome, each.ships) == (current.outcome, current.ships)


def _conclusion(current: Alternative, others: Sequence[Alternative]) -> str:
    differ = [each for each in others if not _same(each, current)]
    if not differ:
        return f"the same under all {len(others)}: the choice hangs on the models, not on the objective"
    parts = ", ".join(dict.fromkeys(each.part for each in differ))
    return (
        f"another outcome under {len(differ)} of {len(others)}: the choice hangs on the objective, namely on\n{parts}"
    )

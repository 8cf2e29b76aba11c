"""Which run a new one iterates on: the one it names, or what is promoted."""

from pathlib import Path

from ratchet.runs.promotions import promoted
from ratchet.runs.stored import find_run

NONE = "none"  # parent=none: a fresh start, whatever is promoted


def named_parent(runs_dir: Path, wanted: str | None) -> str | None:
    """The id of the run that `parent=` names, or `none`; None if it names nothing.

    Raises:
        UserError: no such run, or several.
    """
    if wanted is None or wanted == NONE:
        return wanted
    return find_run(runs_dir, wanted).record.id


def promoted_parent(promotions_dir: Path, data: str, split_hash: str) -> str | None:
    """The id of a run of what is promoted, on this split if there is one.

    Raises:
        UserError: the file of promotions is broken.
    """
    decision = promoted(promotions_dir, data)
    if decision is None:
        return None
    same_split = [run for run, split in decision.runs.items() if split == split_hash]
    return next(iter([*same_split, *decision.runs]), None)

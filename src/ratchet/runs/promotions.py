"""Read and append the log of promotions: `promotions/<data>.jsonl`, one line a decision, never removed."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ratchet.errors import UserError
from ratchet.files import append_line
from ratchet.runs.stored import find_run

NONE = "none"  # parent=none: a fresh start, whatever is promoted


@dataclass(frozen=True)
class Promotion:
    """One line. A rollback names what stands after it (or nothing) and has no evidence of its own.

    `gate` is what the gate said: `ships`, `nothing ships`, `too little evidence`, or that another one ships. `runs`
    maps the ids of the candidate's runs to their split hashes; `commit` is the code's when the decision was made.
    """

    at: str
    action: Literal["promote", "rollback"]
    data: str
    name: str | None
    model: str | None
    config_hash: str | None
    runs: dict[str, str]
    why: str
    gate: str
    forced: bool
    objective: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Any] = field(default_factory=dict)
    commit: str | None = None
    commit_dirty: bool | None = None
    schema_version: int = 1

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The decision of parsed JSON; keys that a newer version added are left out.

        Raises:
            TypeError: a key is missing, or its runs are none.
        """
        known = {each.name for each in dataclasses.fields(cls)}
        decision = cls(**{key: value for key, value in content.items() if key in known})
        if not isinstance(decision.runs, dict):
            raise TypeError(f"runs={decision.runs!r}")
        return decision


def promotions_file(directory: Path, data: str) -> Path:
    """Where the decisions on a data set stand."""
    return directory / f"{data}.jsonl"


def read_decisions(directory: Path, data: str) -> list[Promotion]:
    """All decisions on a data set, the oldest first.

    Raises:
        UserError: a line that is no decision, as after a merge gone wrong.
    """
    path = promotions_file(directory, data)
    if not path.is_file():
        return []
    decisions = []
    for number, line in enumerate(path.read_bytes().rstrip(b"\n").split(b"\n"), start=1):
        try:
            decisions.append(Promotion.from_json(json.loads(line)))
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path}, line {number}: not a decision: {error}. Mend or restore it with git") from error
    return decisions


def standing(decisions: list[Promotion]) -> list[Promotion]:
    """The promotions that stand, the one in force last."""
    stack: list[Promotion] = []
    for decision in decisions:
        if decision.action == "promote":
            stack.append(decision)
        elif stack:
            stack.pop()
    return stack


def said_of(decision: Promotion) -> str:
    """What must be said with the promoted one's name: what the gate said, and that it was forced if it was."""
    changed = decision.objective.get("changed")
    return (
        f"gate: {decision.gate}"
        + (f"; objective {changed}" if changed and str(changed).startswith("set ") else "")
        + (f"; forced: {decision.why}" if decision.forced else "")
    )


def promoted(directory: Path, data: str) -> Promotion | None:
    """What is promoted for a data set now."""
    stack = standing(read_decisions(directory, data))
    return stack[-1] if stack else None


def promoted_runs(directory: Path) -> set[str]:
    """Ids of all runs that a decision rests on, rolled back or not: evidence that must not be pruned."""
    files = sorted(directory.glob("*.jsonl"))
    return {run for path in files for decision in read_decisions(directory, path.stem) for run in decision.runs}


def add_decision(directory: Path, decision: Promotion) -> Path:
    """Write the decision down at the end of its file; where that is."""
    path = promotions_file(directory, decision.data)
    append_line(path, json.dumps(dataclasses.asdict(decision), ensure_ascii=False, allow_nan=False))
    return path


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

"""Read and append the log of promotions, `promotions/<data>.jsonl`: one line per decision, never removed."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ratchet.errors import UserError
from ratchet.files import append_line
from ratchet.runs.stored import find_run
from ratchet.schema_versions import PROMOTION_SCHEMA, read_versioned, version_keys

NONE = "none"  # parent=none: the run has no parent, even if a model is promoted


@dataclass(frozen=True)
class Promotion:
    """One decision: a line of the log. A rollback names the candidate that is promoted after it, if any.

    `gate` is the result of the gate: `ships`, `nothing ships`, `too little evidence`, or that another candidate
    ships. `runs` maps the ids of the candidate's runs to their split hashes. `commit` is the commit of the code when
    the decision was made. A rollback has no evidence.
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
    schema_version: int = PROMOTION_SCHEMA.version

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Return the decision of parsed JSON. Ignore unknown keys: a newer version may have added them.

        Raises:
            TypeError: a key is missing, or `runs` is not a mapping.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        decision = cls(**{key: value for key, value in content.items() if key in known})
        if not isinstance(decision.runs, dict):
            raise TypeError(f"runs={decision.runs!r}")
        return decision


def promotions_file(directory: Path, data: str) -> Path:
    """Return the path of the decisions on a data set."""
    return directory / f"{data}.jsonl"


def read_decisions(directory: Path, data: str) -> list[Promotion]:
    """Return all decisions on a data set, the oldest first.

    Raises:
        UserError: a line is not a decision, for example after a wrong merge in git, or a newer Ratchet wrote it.
    """
    path = promotions_file(directory, data)
    if not path.is_file():
        return []
    decisions = []
    for number, line in enumerate(path.read_bytes().rstrip(b"\n").split(b"\n"), start=1):
        try:
            content = read_versioned(json.loads(line), PROMOTION_SCHEMA, f"{path}, line {number}")
            decisions.append(Promotion.from_json(content))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{path}, line {number}: not a decision: {error}. Correct or restore it with git"
            ) from error
    return decisions


def find_standing_promotions(decisions: list[Promotion]) -> list[Promotion]:
    """Return the promotions that were not rolled back; the last one is in force."""
    stack: list[Promotion] = []
    for decision in decisions:
        if decision.action == "promote":
            stack.append(decision)
        elif stack:
            stack.pop()
    return stack


def describe_promotion(decision: Promotion) -> str:
    """Return the note to show with the promoted model: the result of the gate, and the reason if it was forced."""
    changed = decision.objective.get("changed")
    return (
        f"gate: {decision.gate}"
        + (f"; objective {changed}" if changed and str(changed).startswith("set ") else "")
        + (f"; forced: {decision.why}" if decision.forced else "")
    )


def find_promoted(directory: Path, data: str) -> Promotion | None:
    """Return the promotion in force for a data set, or None."""
    stack = find_standing_promotions(read_decisions(directory, data))
    return stack[-1] if stack else None


def find_promoted_runs(directory: Path) -> set[str]:
    """Return the ids of the runs of all decisions, rolled back or not. They are evidence and must not be pruned."""
    files = sorted(directory.glob("*.jsonl"))
    return {run for path in files for decision in read_decisions(directory, path.stem) for run in decision.runs}


def add_decision(directory: Path, decision: Promotion) -> Path:
    """Append the decision to the log of its data set. Return the path of the log."""
    path = promotions_file(directory, decision.data)
    content = {**dataclasses.asdict(decision), **version_keys(PROMOTION_SCHEMA)}
    append_line(path, json.dumps(content, ensure_ascii=False, allow_nan=False))
    return path


def find_named_parent(runs_dir: Path, wanted: str | None) -> str | None:
    """Return the id of the run that `parent=` names. Return `wanted` itself if it is `none` or None.

    Raises:
        UserError: no run or several runs match.
    """
    if wanted is None or wanted == NONE:
        return wanted
    return find_run(runs_dir, wanted).record.id


def find_promoted_parent(promotions_dir: Path, data: str, split_hash: str) -> str | None:
    """Return the id of a run of the promoted model, on this split if possible; None if nothing is promoted.

    Raises:
        UserError: the log of promotions is invalid.
    """
    decision = find_promoted(promotions_dir, data)
    if decision is None:
        return None
    same_split = [run for run, split in decision.runs.items() if split == split_hash]
    return next(iter([*same_split, *decision.runs]), None)

"""Read and append the log of promotions, `promotions/<data>.jsonl`: one line per decision, never removed."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ratchet.errors import UserError, storage_error
from ratchet.files import append_line, is_plain_name, locked_directory, read_lines
from ratchet.runs.stored import find_run
from ratchet.schema_versions import PROMOTION_SCHEMA, read_versioned, version_keys

NONE = "none"  # parent=none: the run has no parent, even if a model is promoted


@dataclass(frozen=True)
class Promotion:
    """One decision: a line of the log. A rollback names the candidate that is promoted after it, if any.

    `gate` is the result of the gate: `ships`, `nothing ships`, `too little evidence`, or that another candidate
    ships. `runs` maps the ids of the candidate's runs to their split hashes, `code` lists the hashes of the code that
    they were made with. `commit` is the commit of the code when the decision was made. A rollback has no evidence.
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
    code: list[str] = field(default_factory=list)
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
    """Return the path of the decisions on a data set.

    Raises:
        UserError: the name is not that of a file in `directory`. It may come from the record of a foreign run.
    """
    if not is_plain_name(data):
        raise UserError(f"data={data}: not the name of a data set: it must not contain a path")
    return directory / f"{data}.jsonl"


@contextmanager
def locked_promotions(directory: Path) -> Iterator[None]:
    """Hold the lock of the promotions: no decision is added, and no run is pruned by another process.

    What was read before must be read again in the block. Hold the lock for a short time only.

    Raises:
        UserError: the directory cannot be created or opened.
    """
    with ExitStack() as stack:
        with _explain_storage(directory):
            stack.enter_context(locked_directory(directory))
        yield


@contextmanager
def _explain_storage(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        otherwise = UserError(f"{path}: cannot be written: {error.strerror}; nothing was recorded")
        raise storage_error(error, path, "; nothing was recorded") or otherwise from error


def read_decisions(directory: Path, data: str) -> list[Promotion]:
    """Return all decisions on a data set, the oldest first.

    Raises:
        UserError: a line is not a decision, for example after a wrong merge in git, or a newer Ratchet wrote it.
    """
    path = promotions_file(directory, data)
    decisions = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            content = read_versioned(json.loads(line), PROMOTION_SCHEMA, f"{path}, line {number}")
            decisions.append(Promotion.from_json(content))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{path}, line {number}: not a decision: {error}. Correct or restore it with git"
            ) from error
    return decisions


def find_standing_promotions(decisions: list[Promotion]) -> list[Promotion]:
    """Return the promotions that were not rolled back; the last one is in force.

    A rollback names the promotion that it restored, and the log is read as it says: all later ones are removed. If it
    names one that does not stand (two branches were merged), it removes the last one.
    """
    stack: list[Promotion] = []
    for decision in decisions:
        if decision.action == "promote":
            stack.append(decision)
        elif decision.name is None:
            stack.clear()
        elif stack:
            named = [index for index, standing in enumerate(stack[:-1]) if _is_named_by(decision, standing)]
            del stack[named[-1] + 1 if named else -1 :]
    return stack


def _is_named_by(rollback: Promotion, promotion: Promotion) -> bool:
    return (rollback.name, rollback.config_hash, rollback.runs) == (
        promotion.name,
        promotion.config_hash,
        promotion.runs,
    )


def find_previous(standing: Sequence[Promotion]) -> Promotion | None:
    """Return the last of the standing promotions that is of another candidate than the one in force; None without any.

    A candidate that was promoted again, for example with more runs, is still the same candidate.
    """
    return next((before for before in reversed(standing) if not is_same_candidate(before, standing[-1])), None)


def is_same_candidate(one: Promotion, other: Promotion) -> bool:
    """Return whether two promotions are of one name, configuration, dataset version and code, if the code is known."""
    if one.code and other.code and one.code != other.code:
        return False
    return (one.name, one.config_hash, one.evidence.get("dataset_version")) == (
        other.name,
        other.config_hash,
        other.evidence.get("dataset_version"),
    )


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
    """Append the decision to the log of its data set. Return the path of the log.

    Raises:
        UserError: the log cannot be written.
    """
    path = promotions_file(directory, decision.data)
    content = {**dataclasses.asdict(decision), **version_keys(PROMOTION_SCHEMA)}
    with _explain_storage(path):
        append_line(path, json.dumps(content, ensure_ascii=False, allow_nan=False))
    return path


def check_unchanged(directory: Path, data: str, before: Sequence[Promotion]) -> None:
    """Check, under the lock, that the log holds the decisions that were read before the new one was considered.

    Raises:
        UserError: another process recorded a decision meanwhile, or the log was changed.
    """
    now = read_decisions(directory, data)
    if now == list(before):
        return
    new = [f"{decision.action} {decision.name or 'nothing'} at {decision.at}" for decision in now[len(before) :]]
    raise UserError(
        f"{promotions_file(directory, data)}: another decision was recorded meanwhile ({', '.join(new) or 'edited'}): "
        "nothing was recorded by this command. See `ratchet promote show`, then run it again"
    )


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

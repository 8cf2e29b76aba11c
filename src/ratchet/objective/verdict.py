"""What `ratchet gate` prints and `ratchet promote` records: the decision with everything it rests on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ratchet.comparison.evidence import Evidence, gather
from ratchet.comparison.resampling import Advance
from ratchet.config import Objective, plain
from ratchet.objective.change import ObjectiveState, objective_state
from ratchet.objective.gate import Decision, decide
from ratchet.runs.selection import Selection


@dataclass(frozen=True)
class Verdict:
    """The gate's decision on a selection, under an objective of this hash and commit; `not_named` did not take part."""

    data: str
    dataset_version: str
    split_hashes: list[str]
    records: int
    objective: ObjectiveState
    settings: dict[str, Any]
    decision: Decision
    left_out: list[str]
    not_named: list[str]
    schema_version: int = 1


def gather_and_judge(
    selection: Selection,
    objective: Objective,
    *,
    resamples: int,
    begin: Callable[[int], Advance] = lambda steps: lambda done: None,
) -> Verdict:
    """Read, draw, and decide.

    Raises:
        UserError: predictions that cannot be compared, or a label of the objective that the data do not have.
    """
    return judge(gather(selection, resamples=resamples, begin=begin), objective)


def judge(evidence: Evidence, objective: Objective) -> Verdict:
    """The decision on evidence that was drawn already."""
    selection = evidence.selection
    return Verdict(
        data=selection.data,
        dataset_version=selection.dataset_version,
        split_hashes=sorted({str(run.record.split_hash) for run in selection.runs}),
        records=evidence.num_records,
        objective=objective_state(objective, selection.runs),
        settings=plain(objective.settings),
        decision=decide(evidence, objective.settings),
        left_out=[
            *selection.left_out,
            *(f"slice {each}: other records in some runs" for each in evidence.slices_left_out),
        ],
        not_named=list(selection.not_named),
    )

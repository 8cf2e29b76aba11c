"""What was found wrong in a data set: each finding with its place, counted, reported, and never silently dropped."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from ratchet.errors import UserError

Outcome = Literal["stops", "dropped", "kept"]


@dataclass(frozen=True)
class Problem:
    """One finding. `kind` groups findings in counts; `outcome` is what becomes of the record (or label)."""

    kind: str
    place: str
    message: str
    outcome: Outcome


@dataclass
class Report:
    """Everything that was read, found and left out on the way from a file to a prepared data set."""

    files: list[str] = field(default_factory=list)
    rows_read: int = 0
    problems: list[Problem] = field(default_factory=list)
    filtered: dict[str, int] = field(default_factory=dict)
    labels_left_out: dict[str, str] = field(default_factory=dict)

    def counts(self) -> dict[tuple[str, Outcome], int]:
        """Number of findings by kind and outcome, most frequent first."""
        found = Counter((problem.kind, problem.outcome) for problem in self.problems)
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def stop_if_fatal(self) -> None:
        """Raise if a finding stops the run.

        Raises:
            UserError: lists the first findings with their places, and says how to go on without those records.
        """
        fatal = [problem for problem in self.problems if problem.outcome == "stops"]
        if fatal:
            raise UserError("\n".join(_listing(fatal)))


def _listing(problems: list[Problem], most: int = 8) -> Iterable[str]:
    rows = "row" if len(problems) == 1 else "rows"
    yield f"the data cannot be used as it is: {len(problems)} bad {rows}"
    for problem in problems[:most]:
        yield f"  {problem.place}: {problem.message}"
    if len(problems) > most:
        yield f"  ... and {len(problems) - most} more"
    yield "Mend the file, or leave such rows out and have them counted: data.drop_bad_rows=true"

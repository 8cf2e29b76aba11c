"""Define what can be wrong with data: a problem with its place and outcome, and the report that counts them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from ratchet.errors import UserError

Outcome = Literal["stops", "dropped", "kept"]


@dataclass(frozen=True)
class Problem:
    """A problem in the data. Counts are grouped by `kind`; `outcome` is what happens to the record (or label)."""

    kind: str
    place: str
    message: str
    outcome: Outcome


@dataclass
class Report:
    """What preparing a data set read, which problems it has, and what was left out.

    `filtered` counts removed records by reason; `labels_left_out` maps each removed label to its reason.
    """

    files: list[str] = field(default_factory=list)
    rows_read: int = 0
    problems: list[Problem] = field(default_factory=list)
    filtered: dict[str, int] = field(default_factory=dict)
    labels_left_out: dict[str, str] = field(default_factory=dict)

    def count_problems(self) -> dict[tuple[str, Outcome], int]:
        """Return the number of problems by kind and outcome, most frequent first."""
        counts = Counter((problem.kind, problem.outcome) for problem in self.problems)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def stop_if_fatal(self) -> None:
        """Raise an error if a problem stops the run.

        Raises:
            UserError: lists the first such problems with their locations, and how to continue without those records.
        """
        fatal = [problem for problem in self.problems if problem.outcome == "stops"]
        if fatal:
            raise UserError("\n".join(_format_problems(fatal)))


def _format_problems(problems: list[Problem], most: int = 8) -> Iterable[str]:
    rows = "row" if len(problems) == 1 else "rows"
    yield f"the data cannot be used: {len(problems)} bad {rows}"
    count_of = Counter(problem.message for problem in problems)
    first_of = {problem.message: problem for problem in reversed(problems)}
    shown = list(dict.fromkeys(problem.message for problem in problems))[:most]
    for message in shown:
        more = f" (and {count_of[message] - 1:,} more)" if count_of[message] > 1 else ""
        yield f"  {first_of[message].place}{more}: {message}"
    num_left = len(problems) - sum(count_of[message] for message in shown)
    if num_left:
        yield f"  ... and {num_left:,} more"
    yield "Correct the file, or set data.drop_bad_rows=true to skip and count such rows"

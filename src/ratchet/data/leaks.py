"""Find records of one text (or group) in two of the given parts, and stop, drop or report them."""

import csv
import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ratchet.config import Leaks
from ratchet.data.near_duplicates import Indices
from ratchet.data.prepared import Prepared
from ratchet.data.problems import Problem
from ratchet.errors import UserError
from ratchet.files import write_text

_RANK = {"train": 0, "val": 1, "test": 2}
_SHOWN = 8


@dataclass(frozen=True)
class Leak:
    """A pair of rows of different parts that share a text or a group. `row` is in the part that is trained on more."""

    row: int
    partner: int


def find_leaks(groups: Indices, part_of: list[str]) -> list[Leak]:
    """Return a pair for every row whose group is in several parts, in the order of the rows.

    A row is paired with the first one of each later part (train, val, test), so that the number of pairs is linear.
    """
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups.tolist()):
        rows_of[group].append(row)
    leaks = []
    for rows in rows_of.values():
        if len({part_of[row] for row in rows}) > 1:
            leaks += _pair_rows(rows, part_of)
    return sorted(leaks, key=lambda leak: (leak.row, leak.partner))


def _pair_rows(rows: list[int], part_of: list[str]) -> list[Leak]:
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(part_of[row], row)
    leaks = [Leak(row, partner) for row in rows for part, partner in first.items() if _RANK[part_of[row]] < _RANK[part]]
    paired = {row for leak in leaks for row in (leak.row, leak.partner)}
    lowest = first[min(first, key=_RANK.__getitem__)]
    return leaks + [Leak(lowest, row) for row in rows if row not in paired]


@dataclass(frozen=True)
class Handled:
    """What happened to leaks: the rows dropped, the rows of val and test that remain shared, and the problems."""

    dropped: frozenset[int] = frozenset()
    leaked: frozenset[int] = frozenset()
    problems: tuple[Problem, ...] = ()


def handle_leaks(
    prepared: Prepared, leaks: list[Leak], part_of: list[str], how: Leaks, what: str, directory: Path | None
) -> Handled:
    """Write all pairs to `directory`, if there is one, then stop, or return what to drop or to report.

    Rows are dropped from train if they share a text with val or test, then from val if they share one with test;
    test is unchanged. `what` names such records, for messages.

    Raises:
        UserError: `how` is to stop, and there are leaks.
    """
    if not leaks:
        return Handled()
    listed = "" if directory is None else _write_pairs(prepared, leaks, part_of, directory)
    if how is Leaks.stop:
        raise UserError(_format_stop(prepared, leaks, part_of, what, listed))
    drops = how is Leaks.drop_from_train
    problems = []
    for leak in {leak.row: leak for leak in reversed(leaks)}.values():
        message = (
            f"one of the {what} with {prepared.records[leak.partner].place} ({part_of[leak.partner]}); "
            f"split.leaks={how.name}{listed and f'; {listed}'}"
        )
        place = f"{prepared.records[leak.row].place} ({part_of[leak.row]})"
        problems.append(Problem("leak between given parts", place, message, "dropped" if drops else "kept"))
    return Handled(
        dropped=frozenset(leak.row for leak in leaks) if drops else frozenset(),
        leaked=frozenset() if drops else frozenset(leak.partner for leak in leaks),
        problems=tuple(reversed(problems)),
    )


def _write_pairs(prepared: Prepared, leaks: list[Leak], part_of: list[str], directory: Path) -> str:
    """Write the pairs as CSV. Return a phrase that says where they are."""
    path = directory / "leaks.csv"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"{column}{number}" for number in (1, 2) for column in ("id", "part", "place", "text")])
    for leak in leaks:
        rows = (leak.row, leak.partner)
        records = [(prepared.records[row], part_of[row]) for row in rows]
        writer.writerow(value for record, part in records for value in (record.id, part, record.place, record.text))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_text(path, text.getvalue())
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    return f"all pairs: {path}"


def _format_stop(prepared: Prepared, leaks: list[Leak], part_of: list[str], what: str, listed: str) -> str:
    def locate(row: int) -> str:
        return f"{prepared.records[row].place} ({part_of[row]})"

    lines = [f"{prepared.name}: data leak: {len(leaks)} {what} are in two of the given parts"]
    lines += [f"  {locate(leak.row)} and {locate(leak.partner)}" for leak in leaks[:_SHOWN]]
    if len(leaks) > _SHOWN:
        lines.append(f"  ... and {len(leaks) - _SHOWN} more")
    if listed:
        lines.append(f"  {listed}")
    lines += [
        "Set split.leaks=drop_from_train to leave them out of train (then of val, never of test), or",
        "split.leaks=report to keep them. split.duplicates=exact or a higher split.similarity (at most 1) finds fewer.",
        "Or make a new split: split.method=stratified",
    ]
    return "\n".join(lines)

"""Find records of one text (or group) in two of the given parts, and stop, drop or report them."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations, islice
from pathlib import Path

from ratchet.config import Leaks
from ratchet.data.near_duplicates import Indices
from ratchet.data.prepared import Prepared
from ratchet.data.problems import Problem
from ratchet.errors import UserError
from ratchet.files import replacing

_RANK = {"train": 0, "val": 1, "test": 2}
_SHOWN = 8
_MOST_PAIRS = 100_000  # of a group that are written: a group of 10,000 texts has millions


@dataclass(frozen=True)
class Leak:
    """A pair of rows of different parts that share a text or a group. `row` is in the part that is trained on more."""

    row: int
    partner: int


def find_leaks(groups: Indices, part_of: list[str]) -> list[Leak]:
    """Return a pair for every row whose group is in several parts, in the order of the rows.

    A row is paired with the first one of each later part (train, val, test), so that the number of pairs is linear.
    A row that is then the partner of none, and is not in the first of its group's parts, is that of the group's first.
    """
    leaks = [leak for rows in list_shared_groups(groups, part_of) for leak in _pair_rows(rows, part_of)]
    return sorted(leaks, key=lambda leak: (leak.row, leak.partner))


def list_shared_groups(groups: Indices, part_of: list[str]) -> list[list[int]]:
    """Return the rows of each group that is in several parts, in the order of their first rows."""
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups.tolist()):
        rows_of[group].append(row)
    return [rows for rows in rows_of.values() if len({part_of[row] for row in rows}) > 1]


def _pair_rows(rows: list[int], part_of: list[str]) -> list[Leak]:
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(part_of[row], row)
    leaks = [Leak(row, partner) for row in rows for part, partner in first.items() if _RANK[part_of[row]] < _RANK[part]]
    lowest = min(first, key=_RANK.__getitem__)
    paired = {leak.partner for leak in leaks}
    return leaks + [Leak(first[lowest], row) for row in rows if part_of[row] != lowest and row not in paired]


def count_pairs(rows: list[int], part_of: list[str]) -> int:
    """Return the number of pairs of rows that are in different parts."""
    return sum(one * two for one, two in combinations(Counter(part_of[row] for row in rows).values(), 2))


def list_pairs(rows: list[int], part_of: list[str]) -> Iterator[Leak]:
    """Yield the pairs of rows that are in different parts: all, or the first 100,000 of more.

    Of more, those come first that have every row at least once (and are yielded even if they alone are too many).
    """
    if count_pairs(rows, part_of) <= _MOST_PAIRS:
        yield from _combine_rows(rows, part_of)
        return
    first = dict.fromkeys(_pair_rows(rows, part_of))
    others = (leak for leak in _combine_rows(rows, part_of) if leak not in first)
    yield from islice(chain(first, others), max(_MOST_PAIRS, len(first)))


def _combine_rows(rows: list[int], part_of: list[str]) -> Iterator[Leak]:
    rows_of: dict[str, list[int]] = {part: [] for part in _RANK}
    for row in rows:
        rows_of[part_of[row]].append(row)
    for row in rows:
        for part, partners in rows_of.items():
            if _RANK[part] > _RANK[part_of[row]]:
                yield from (Leak(row, partner) for partner in partners)


@dataclass(frozen=True)
class Handled:
    """What happened to leaks: the rows dropped, the rows of val and test that remain shared, and the problems."""

    dropped: frozenset[int] = frozenset()
    leaked: frozenset[int] = frozenset()
    problems: tuple[Problem, ...] = ()


def handle_leaks(
    prepared: Prepared,
    groups: Indices,
    part_of: list[str],
    how: Leaks,
    what: str,
    remedy: str,
    directory: Path | None,
) -> Handled:
    """Write the pairs to `directory`, if there is one, then stop, or return what to drop or to report.

    Rows of one of the `groups` share a text or a value. They are dropped from train if val or test has one of the
    group, too, then from val if test has; test is unchanged. For messages, `what` names such records, and `remedy`
    says how to find fewer of them.

    Raises:
        UserError: `how` is to stop, and there are leaks.
    """
    leaks = find_leaks(groups, part_of)
    if not leaks:
        return Handled()
    shared = list_shared_groups(groups, part_of)
    num_pairs = sum(count_pairs(rows, part_of) for rows in shared)
    listed = "" if directory is None else _write_pairs(prepared, shared, part_of, num_pairs, directory)
    if how is Leaks.stop:
        raise UserError(_format_stop(prepared, leaks, num_pairs, part_of, what, remedy, listed))
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


def _write_pairs(
    prepared: Prepared, shared: Iterable[list[int]], part_of: list[str], num_pairs: int, directory: Path
) -> str:
    """Write the pairs of each group as CSV, one by one. Return a phrase that names the file and how many it has."""
    path = directory / "leaks.csv"
    written = 0
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            columns = [f"{column}{number}" for number in (1, 2) for column in ("id", "part", "place", "text")]
            writer.writerow([*columns, "group", "pairs_of_group"])
            for number, rows in enumerate(shared, start=1):
                count = count_pairs(rows, part_of)
                for leak in list_pairs(rows, part_of):
                    records = [(prepared.records[row], part_of[row]) for row in (leak.row, leak.partner)]
                    values = (v for record, part in records for v in (record.id, part, record.place, record.text))
                    writer.writerow([*values, number, count])
                    written += 1
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    if written == num_pairs:
        return f"all pairs: {path}"
    return (
        f"{written:,} of {num_pairs:,} pairs: {path} (a group with more than {_MOST_PAIRS:,} pairs is cut short, but "
        "all of its records are in one)"
    )


def _format_stop(
    prepared: Prepared, leaks: list[Leak], num_pairs: int, part_of: list[str], what: str, remedy: str, listed: str
) -> str:
    def locate(row: int) -> str:
        return f"{prepared.records[row].place} ({part_of[row]})"

    later = Counter(part_of[row] for row in {leak.partner for leak in leaks})
    affected = " and ".join(f"{later[part]:,} records of {part}" for part in _RANK if later[part])
    lines = [
        f"{prepared.name}: data leak: {num_pairs:,} pairs of {what} are in two of the given parts; "
        f"{affected} leak into an earlier part"
    ]
    lines += [f"  {locate(leak.row)} and {locate(leak.partner)}" for leak in leaks[:_SHOWN]]
    if num_pairs > len(leaks[:_SHOWN]):
        lines.append(f"  ... and {num_pairs - len(leaks[:_SHOWN]):,} more")
    if listed:
        lines.append(f"  {listed}")
    lines += [
        "Set split.leaks=drop_from_train to leave them out of train (then of val, never of test), or",
        "split.leaks=report to keep them.",
        *([f"To find fewer, {remedy}."] if remedy else []),
        "Or make a new split: split.method=stratified",
    ]
    return "\n".join(lines)

"""Find the header of a table: title rows may be above it, or the first row may already be a record."""

import re
from collections.abc import Collection, Sequence

from ratchet.data.formats.rows import Row
from ratchet.errors import UserError

_TITLES = 50  # rows in which the header is looked for
_SHOWN = 12  # cells of a row in a message
_NUMBER_OR_DATE = re.compile(r"[+-]?[\d.,:%/ -]*\d[\d.,:%/ -]*(T[\d:.]+)?(Z|[+-]\d\d:?\d\d)?")


def find_header(
    rows: Sequence[Sequence[str]],
    width: int,
    after_blank: Collection[int],
    named: Sequence[str],
    stated: bool | None = None,
) -> int:
    """Return the index of the row of names, or of the first record: the rows before it are titles.

    Args:
        rows: the first rows of a file.
        width: the most common number of fields.
        after_blank: the indices of the rows after a blank line.
        named: the columns that the user named.
        stated: whether there is a header, if the user stated it.
    """
    first = next((index for index, row in enumerate(rows[:_TITLES]) if len(row) == width), 0)
    last = first
    while width > 2 and last < min(len(rows) - 1, _TITLES) and sum(map(bool, rows[last])) <= 1:
        last += 1
    if last == first:
        last = _find_row_after_blank(rows[:_TITLES], width, after_blank)
    is_header = last > first and all(rows[last]) and _judge(rows[last:], named)[0] is not False
    return last if is_header and stated is not False else first


def _find_row_after_blank(rows: Sequence[Sequence[str]], width: int, after_blank: Collection[int]) -> int:
    """Return the index of the row after the last blank line if titles are above it; 0 if there is none.

    At least one title has another number of fields than the other rows. Not all: "by Ann, 2 May" may have as many.
    """
    for index in range(len(rows) - 1, 0, -1):
        if index in after_blank and len(rows[index]) == width:
            return index if any(len(row) != width for row in rows[:index]) else 0
    return 0


def find_sheet_header(
    name: str, rows: Sequence[Row], named: Sequence[str], stated: bool | None = None
) -> tuple[int, bool, str]:
    """Return the index of the first row of a sheet after its titles, whether it is a header, and the reason.

    Raises:
        UserError: it is not certain whether it is a header.
    """
    filled = [sum(value is not None for value in row.values.values()) for row in rows]
    usual = sorted(filled)[len(filled) // 2]
    first = next((index for index, number in enumerate(filled[:_TITLES]) if number >= usual), 0)
    texts = [["" if value is None else str(value) for value in row.values.values()] for row in rows[first:]]
    return first, *detect_header(name, texts, named, stated)


def detect_header(
    name: str, rows: Sequence[Sequence[str]], named: Sequence[str], stated: bool | None = None
) -> tuple[bool, str]:
    """Return whether the first row names the columns, and the reason. `stated` is what the user says about it.

    Raises:
        UserError: it is not certain: the row would be lost as a header, or would become a record.
    """
    if stated is not None:
        return stated, f"as stated with header={str(stated).lower()}"
    header, reason = _judge(rows, named)
    if header is not None:
        return header, reason
    raise UserError(
        f"{name}: the first row may be a header or a record: {reason}. The row is: {list_names(rows[0])}. Set "
        f"header=false if it is a record (the columns are then called 1 to {len(rows[0])}), header=true if it has the "
        "names of the columns, and give columns by name"
    )


def list_names(names: Collection[str]) -> str:
    """Return names of columns, separated by commas, for a message; of many, the first."""
    shown = [name[:40] if name.isprintable() else ascii(name)[:40] for name in list(names)[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN:,} others" if len(names) > _SHOWN else "")


def _judge(rows: Sequence[Sequence[str]], named: Sequence[str]) -> tuple[bool | None, str]:
    """Return whether the first row names the columns (None if that is not certain), and the reason."""
    first, others = rows[0], rows[1:]
    if not any(_NUMBER_OR_DATE.fullmatch(cell.strip()) for cell in first):
        others = [row for row in others if row != first]  # a header that is repeated, as in joined files
    present = [name for name in named if name in first]
    numbers = [str(index) for index in range(1, len(first) + 1)]
    if named and all(name in numbers for name in named):
        return _judge_numbers(first, others, present)
    if present:
        for name in present:
            number = _count_repeated(first, others, name)
            if number > 1 and len(others) > 2:
                return None, f"it has {name!r}, which was named, and which is a value of {number:,} later rows as well"
        return True, "the first row has the columns that were named"
    like = _compare(first, others)
    if like is None:
        for cell in first:
            if cell.strip() and _NUMBER_OR_DATE.fullmatch(cell.strip()):
                like = f"the first row has a number or a date, {cell.strip()!r}"
    if like is not None and _has_series(first):
        return None, f"it has a series of numbers, but {like}"
    if like is not None:
        return False, like
    if len(set(first)) < len(first):
        return True, "the first row looks like names"
    return True, "the first row has short texts that no later row repeats"


def _judge_numbers(
    first: Sequence[str], others: Sequence[Sequence[str]], present: Sequence[str]
) -> tuple[bool | None, str]:
    """Judge the first row if columns were named by number: 1 may be a column's place, and its name."""
    like = _compare(first, others)
    if like is not None and not (present and _has_series(first)):
        return False, f"{like}; columns are named by their place, as 1"
    if like is not None:
        return None, f"columns are named by number, and it has a series of numbers, but {like}"
    if present:
        return True, "the first row has the columns that were named"
    return None, "columns were given by number, but it looks like names"


def _compare(first: Sequence[str], others: Sequence[Sequence[str]]) -> str | None:
    """Return in what the first row is like the others, if in anything: a value of its column, a number, a long text."""
    for index, cell in enumerate(first):
        text = cell.strip()
        if len(cell) > 60 or len(cell.split()) > 6:
            return f"the first row has a text of {len(cell.split())} words"
        if not text:
            continue
        values = [row[index].strip() for row in others if index < len(row) and row[index].strip()]
        if text in values:
            return f"{cell!r} in the first row is also a value of a later row"
        if not values or not _NUMBER_OR_DATE.fullmatch(text):
            continue
        if sum(_NUMBER_OR_DATE.fullmatch(value) is not None for value in values) >= 0.9 * len(values):
            return f"the first row has a number or a date, {text!r}, as later rows have in this column"
    return None


def _count_repeated(first: Sequence[str], others: Sequence[Sequence[str]], name: str) -> int:
    index = list(first).index(name)
    return sum(index < len(row) and row[index] == name for row in others)


def _has_series(first: Sequence[str]) -> bool:
    """Return whether cells in a row are consecutive numbers, and the others single words, as in `text,0,1,2`."""
    places = [index for index, cell in enumerate(first) if re.fullmatch(r"\d{1,4}", cell)]
    numbers = [int(first[place]) for place in places]
    words = [cell for index, cell in enumerate(first) if index not in places]
    is_series = len(places) > 1 and all(
        places[index] - places[0] == number - numbers[0] == index for index, number in enumerate(numbers)
    )
    return is_series and bool(words) and all(re.fullmatch(r"[^\W\d]\w*", cell) for cell in words)

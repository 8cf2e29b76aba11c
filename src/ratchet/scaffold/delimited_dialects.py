"""Detect how a delimited file is written: separator, quotes, escapes, comments, title rows and header.

Different ways to read the first rows are tried; the one that gives most rows the same number of fields is taken.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from ratchet.config import Format
from ratchet.errors import UserError
from ratchet.scaffold.header_rows import detect_header, find_header

SAMPLE_SIZE = 5_000_000  # characters from the start of the file
_SAMPLE = 1_000  # rows
_NAMES = {  # of separators
    ",": "commas",
    "\t": "tabs",
    ";": "semicolons",
    "|": "vertical bars",
    "\x1f": "unit separators (U+001F)",
    "\x01": "control characters (U+0001)",
    "^": "carets",
    "~": "tildes",
    "¦": "broken bars",
    "§": "section signs",
}
_QUOTING: tuple[tuple[str | None, str | None], ...] = (  # quotes and escapes, the most common first
    *(('"', None), ('"', "\\"), (None, None), ("'", None), ("'", "\\"), (None, "\\")),
)
_COMMENTS = ("#", "//", "--", "%")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class Delimited:
    """The dialect of a delimited file: keys that differ from the default, and the evidence by key."""

    format: Format
    keys: dict[str, object]
    comments: dict[str, str]
    repeated: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Lines:
    """The first lines of a file. `comment` starts lines that are left out; `is_cut` is true if the file has more."""

    lines: list[str]
    is_cut: bool
    comment: str | None = None

    @cached_property
    def chosen(self) -> list[tuple[int, str]]:
        """Return the lines that are read, with their index."""
        start = 1 if self.lines and _SEPARATOR_LINE.fullmatch(self.lines[0]) else 0
        lines = enumerate(self.lines[start:], start)
        return [(index, line) for index, line in lines if self.comment is None or not line.startswith(self.comment)]


@dataclass(frozen=True)
class _Reading:
    """The rows of the sample as one dialect gives them. `starts` has the index of the first line of each."""

    lines: _Lines
    separator: str
    quote: str | None
    escape: str | None
    skips_space: bool
    rows: list[list[str]]
    starts: list[int]
    is_complete: bool

    @cached_property
    def width(self) -> int:
        """Return the most common number of fields."""
        return Counter(map(len, self.rows)).most_common(1)[0][0] if self.rows else 0

    @cached_property
    def share(self) -> float:
        """Return the share of the rows that have this number of fields; 0 if it is 1."""
        return sum(len(row) == self.width for row in self.rows) / len(self.rows) if self.width > 1 else 0.0

    @property
    def after_blank(self) -> set[int]:
        """Return the indices of the rows after a blank line."""
        lines = self.lines.lines
        return {index for index, start in enumerate(self.starts) if start and not lines[start - 1].strip()}

    @property
    def quality(self) -> tuple[bool, float]:
        """Return what ranks readings: whether every row can be read, and how regular the rows are."""
        return self.is_complete, round(self.share, 4)


def detect_delimited(
    name: str, text: str, form: Format | None, named: Sequence[str], header: bool | None = None, *, is_cut: bool
) -> Delimited:
    """Return how a file is written. `text` is its start, `form` that of its suffix, `named` columns that users named.

    `header` is whether the first row has the names of the columns, if the user stated it.

    Raises:
        UserError: no separator gives rows of the same number of fields, texts are quoted in a way that no key reads,
            or it is not certain whether the first row is a header.
    """
    lines = list(io.StringIO(text, newline=""))
    own = "\t" if form is Format.tsv else ","
    stated = _SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    separators = [stated[1]] if stated else dict.fromkeys((own, *_NAMES))
    present = [separator for separator in separators if separator in text]
    best = _choose(_read_all(_Lines(lines, is_cut), present))
    for comment in (start for start in _COMMENTS if any(line.startswith(start) for line in lines)):
        reading = _choose(_read_all(_Lines(lines, is_cut, comment), present))
        if reading is not None and (best is None or reading.quality > best.quality) and _are_comments(reading):
            best = reading
    if best is None or best.share < 0.25:
        raise UserError(
            f"{name}: not a table: no separator ({', '.join(list(_NAMES.values())[:4])}) divides its rows into the "
            "same number of fields. Save it as CSV with commas, UTF-8"
        )
    _refuse_single_quotes(name, best)
    return _describe(name, best, named, header, stated[1] if stated else None)


def _read_all(lines: _Lines, separators: Sequence[str]) -> Iterator[list[_Reading]]:
    """Yield, for each kind of quotes, the readings with each separator, and with and without spaces after it."""
    text = "".join(line for _, line in lines.chosen)
    for quote, escape in _QUOTING:
        if (quote == "'" and "'" not in text) or (escape and escape not in text):
            continue
        readings = []
        for separator, skips_space in product(separators, (False, True)):
            if not skips_space or f"{separator} " in text:
                readings.append(_read(lines, separator, quote, escape, skips_space))
        yield readings


def _read(lines: _Lines, separator: str, quote: str | None, escape: str | None, skips_space: bool) -> _Reading:
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(
        (line for _, line in lines.chosen),
        delimiter=separator,
        quotechar=quote,
        quoting=csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL,
        escapechar=escape,
        skipinitialspace=skips_space,
        strict=True,
    )
    rows: list[list[str]] = []
    starts: list[int] = []
    is_complete, read = True, 0
    try:
        for row in reader:
            if row:
                rows.append(row)
                starts.append(lines.chosen[read][0])
            read = reader.line_num
            if len(rows) == _SAMPLE:
                break
    except csv.Error:  # harmless in the last row, where the sample may end
        is_complete = lines.is_cut and read > 0.5 * len(lines.chosen)
    return _Reading(lines, separator, quote, escape, skips_space, rows, starts, is_complete)


def _choose(candidates: Iterator[list[_Reading]]) -> _Reading | None:
    """Return the most regular reading; of equals, the one with the more common quotes."""
    by_quotes = [best for readings in candidates if (best := _choose_separator(readings)) is not None]
    if not by_quotes:
        return None
    best = max(by_quotes, key=lambda reading: reading.quality)
    if best.quote == '"' and best.escape is None:
        bare = next((reading for reading in by_quotes if reading.quote is None and reading.escape is None), None)
        is_regular = bare is not None and bare.quality >= (True, max(0.98, round(best.share, 4)))
        if bare is not None and is_regular and len(bare.rows) > len(best.rows) and not _has_closed_quotes(bare):
            return bare  # quotation marks had joined lines that are rows of their own
        single = next((reading for reading in by_quotes if reading.quote == "'" and reading.is_complete), None)
        if single is not None and single.share >= best.share and _find_single_quotes(best) is not None:
            return single
    return best


def _choose_separator(readings: list[_Reading]) -> _Reading | None:
    shares = {}
    for index, reading in enumerate(readings):
        if reading.width > 1:
            has_fitting_header = len(reading.rows[0]) == reading.width
            shares[index] = reading.share if has_fitting_header else reading.share / 2
    if not shares:
        return None
    regular = [index for index, share in shares.items() if share >= 0.9 and readings[index].is_complete]
    if regular:  # of "1;3,5" both are: more fields are more likely. The suffix's separator comes first: it wins a tie
        best = max(regular, key=lambda index: readings[index].width)
    else:
        best = max(shares, key=lambda index: (readings[index].is_complete, shares[index]))
    spaced = readings[best + 1] if best + 1 < len(readings) and readings[best + 1].skips_space else None
    if spaced is not None and spaced.separator == readings[best].separator and not readings[best].skips_space:
        is_better = spaced.quality > readings[best].quality
        if is_better or (spaced.quality == readings[best].quality and _begin_with_spaces(readings[best])):
            return spaced
    return readings[best]


def _has_closed_quotes(reading: _Reading) -> bool:
    """Return whether most fields that begin or end with a quotation mark do both."""
    marks = [(field[:1] == '"', field[-1:] == '"') for row in reading.rows for field in row if len(field) > 1]
    return 2 * marks.count((True, True)) >= sum(map(any, marks))


def _begin_with_spaces(reading: _Reading) -> bool:
    later = [field for row in reading.rows for field in row[1:] if field]
    return bool(later) and sum(field.startswith(" ") for field in later) >= 0.95 * len(later)


def _are_comments(reading: _Reading) -> bool:
    """Return whether few of the lines left out have the number of fields of the rows."""
    comment = reading.lines.comment or ""
    left_out = [line for line in reading.lines.lines if line.startswith(comment)]
    rows = [row for line in left_out for row in csv.reader([line], delimiter=reading.separator)]
    return 2 * sum(len(row) == reading.width for row in rows) <= len(rows)


def _find_single_quotes(reading: _Reading) -> tuple[int, int, int] | None:
    """Return the index of a column whose values are in single quotes, their number, and that of all its values."""
    for index in range(len(reading.rows[0])):
        values = [row[index].strip() for row in reading.rows[1:] if index < len(row) and row[index].strip()]
        quoted = sum(len(value) >= 2 and value[0] == value[-1] == "'" for value in values)
        if values and quoted >= 0.9 * len(values):
            return index, quoted, len(values)
    return None


def _refuse_single_quotes(name: str, reading: _Reading) -> None:
    if reading.quote == '"' and (column := _find_single_quotes(reading)) is not None:
        index, quoted, number = column
        raise UserError(
            f"{name}: column {reading.rows[0][index]!r}: {quoted} of {number} values are in single quotes, but "
            'data.quote="\'" does not read all rows: double the single quotes inside of texts, or use double quotes'
        )


# --- keys and comments ------------------------------------------------------------------------------------------------
def _describe(
    name: str, reading: _Reading, named: Sequence[str], has_header: bool | None, stated: str | None
) -> Delimited:
    first = find_header(reading.rows, reading.width, reading.after_blank, named, has_header)
    rows = reading.rows[first:]
    number = f"the first {len(rows):,}" if len(reading.rows) == _SAMPLE else f"{len(rows):,}"
    separator = reading.separator
    fitting = sum(len(row) == reading.width for row in rows)
    seen = (
        f"separated by {_NAMES.get(separator, repr(separator))}: {reading.width} fields in {fitting:,} of {number} rows"
    )
    header, reason = detect_header(name, rows, named, has_header)
    form = Format.tsv if separator == "\t" else Format.csv
    keys: dict[str, object] = {"header": header}
    comments = {"format": seen, "header": reason}
    if stated is not None and separator not in ",\t":
        comments["format"] = f"{seen}, as its first line, sep={separator}, states"
    elif separator not in ",\t":
        keys["separator"], comments["separator"] = separator, seen
    elif form is Format.tsv and reading.quote is not None and _has_rows_in_rows(reading):
        form, keys["separator"] = Format.csv, "\t"
        comments["separator"] = "tabs; not format: tsv, which refuses tabs and ends of lines in quotes"
    if reading.quote is None:
        keys["quote"] = None
        comments["quote"] = "quotation marks belong to the texts: around fields, they would be unbalanced"
    elif reading.quote != '"':
        keys["quote"], comments["quote"] = reading.quote, "around the fields"
    if reading.escape is not None:
        keys["escape"] = reading.escape
        comments["escape"] = "a backslash stands before quotation marks or separators within fields"
    if reading.skips_space:
        keys["skip_initial_space"], comments["skip_initial_space"] = True, "spaces follow the separators"
    if reading.lines.comment is not None:
        left_out = [line.strip() for line in reading.lines.lines if line.startswith(reading.lines.comment)]
        keys["comment"] = reading.lines.comment
        comments["comment"] = f"{len(left_out):,} comment lines, the first is {left_out[0][:60]!r}"
    if first:
        _describe_titles(reading, first, keys, comments)
    names = [name for name, count in Counter(rows[0]).items() if count > 1] if keys["header"] else []
    return Delimited(form, keys, comments, tuple(names))


def _has_rows_in_rows(reading: _Reading) -> bool:
    """Return whether a quoted text has tabs in its first and last line, as if it were several rows."""
    lines, ends = reading.lines.lines, [*reading.starts[1:], reading.starts[-1] + 1]
    return any(
        end - start > 1 and lines[start].count("\t") == lines[end - 1].count("\t") == reading.width - 1
        for start, end in zip(reading.starts, ends, strict=True)
    )


def _describe_titles(reading: _Reading, first: int, keys: dict[str, object], comments: dict[str, str]) -> None:
    start, titles, width = reading.starts[first], reading.rows[:first], reading.width
    keys["skip_rows"] = start
    shown = " ".join(" ".join(titles[0]).split())[:60]
    comments["skip_rows"] = f"above the {'header' if keys['header'] else 'records'}: {shown!r}"
    if not keys["header"] and len(titles) == 1 and len(titles[0]) == width - 1 and all(titles[0]):
        keys["column_names"] = ("row", *titles[0])  # as R's write.table has it
        comments["column_names"] = "the first row names all columns but the first, which numbers the rows"

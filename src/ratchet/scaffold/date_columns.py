"""Find the columns of dates, and the format in which they are written."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any

from ratchet.data.dates import UNIX, DateParser
from ratchet.data.values import BadValue, to_string
from ratchet.scaffold.column_roles import ID_NAME, Column, get_text

_TIME_NAME = re.compile(
    r"(.*[_ .-])?(created|updated|modified|posted|published|opened|closed|sent|date|time|timestamp|epoch|unix|datum|"
    r"zeit)([_ .-]?(at|on|utc|date|time|s|ms))?|.*[a-z](At|Time|Date|Timestamp)",
    re.IGNORECASE,
)
_DATE_FORMATS = (
    *(f"{day}{clock}" for day in ("%d.%m.%Y", "%d.%m.%y") for clock in ("", " %H:%M", " %H:%M:%S", ", %H:%M")),
    *(
        f"{day}{clock}"
        for day in ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%d/%m/%y", "%m/%d/%y")
        for clock in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
    ),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y"),
    *("%Y-%m-%d %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %z %Y", "%d/%b/%Y:%H:%M:%S %z"),
)
_FEWEST_DATES = 5  # different texts of eight digits; fewer may be dates by chance
_DIGITS = "%Y%m%d"  # eight digits, as 20260228: a number, unless all of them are dates
_NAMES_OF_FORMATS = {None: "ISO 8601", UNIX: "numbers of seconds or milliseconds since 1970"}


@dataclass(frozen=True)
class Dates:
    """A column of dates: the formats that fit best, the rows that do not fit, the empty values.

    A format is one of strptime, "unix", or None for ISO 8601.
    """

    name: str
    formats: list[str | None]
    bad_rows: list[int]
    num_empty: int

    @property
    def is_certain(self) -> bool:
        """Return whether all dates can be read in one way only."""
        return len(self.formats) == 1 and not self.bad_rows

    def describe(self) -> str:
        """Return the evidence, for a comment."""
        names = " or ".join(_NAMES_OF_FORMATS.get(date_format, str(date_format)) for date_format in self.formats)
        if self.bad_rows:
            return (
                f"not used: {len(self.bad_rows):,} values are not {names}, the first is record {self.bad_rows[0] + 1:,}"
            )
        if len(self.formats) > 1:
            return f"not used: no value shows whether it is {names}"
        return f"{names} in all rows" + (f" except {self.num_empty:,} without a date" if self.num_empty else "")


def detect_dates(column: Column) -> Dates | None:
    """Return the date formats of a column; None unless at least nine values in ten are dates."""
    if not column.is_plain:
        return None
    candidates: tuple[str | None, ...] = (None, *_DATE_FORMATS)
    if column.is_numeric and not _has_two_dots(column):
        is_named = _TIME_NAME.fullmatch(column.name) is not None
        candidates = (UNIX,) if is_named else ()  # other numbers may be as large
        if _holds_digits_of_dates(column) and (is_named or _are_texts(column)):
            candidates = (*candidates, _DIGITS)
    head = column.sample[:20]
    formats: list[str | None] = []
    for date_format in candidates:
        if any(_is_date(value, date_format) for value in head):
            fitting = sum(_is_date(value, date_format) for value in column.sample)
            if fitting >= 0.9 * len(column.sample):
                formats.append(date_format)
    if not formats:
        return None
    bad_of = {date_format: _find_non_dates(column, date_format) for date_format in formats}
    fewest = min(map(len, bad_of.values()))
    best = [date_format for date_format in formats if len(bad_of[date_format]) == fewest]
    return Dates(column.name, best, bad_of[best[0]], column.num_empty)


def _find_non_dates(column: Column, date_format: str | None) -> list[int]:
    is_date = {text: _is_date(text, date_format) for text in set(map(get_text, column.values))}
    texts = enumerate(map(get_text, column.values))
    return [index for index, text in texts if text and not is_date[text]]


def _has_two_dots(column: Column) -> bool:
    return all(text.count(".") == 2 for text in islice(column.counts, 20))  # as in 28.02.2026


def _holds_digits_of_dates(column: Column) -> bool:
    """Return whether every value of the sample is a date of eight digits."""
    return all(len(text) == 8 and text.isdecimal() and _is_date(text, _DIGITS) for text in column.counts)


def _are_texts(column: Column) -> bool:
    """Return whether several different values are written as texts, and not called an id."""
    is_written = all(isinstance(value, str) for value in column.sample)
    return is_written and len(column.counts) >= _FEWEST_DATES and not ID_NAME.fullmatch(column.name)


def _is_date(value: Any, date_format: str | None) -> bool:
    if isinstance(value, (date, datetime)):
        return date_format is None
    text = to_string(value).strip()
    if date_format == UNIX:
        return _is_unix_time(value)
    if date_format is None and "-" not in text:  # 20260228 may be a number
        return False
    try:
        moment = datetime.strptime(text, date_format) if date_format else datetime.fromisoformat(text)
    except ValueError:
        return False
    return 1900 <= moment.year < 2100


def _is_unix_time(value: Any) -> bool:
    try:
        moment = DateParser("", UNIX)(value)
    except BadValue:
        return False
    return moment is not None and 1980 <= moment.year < 2100  # small numbers, as 20260228, are of 1970

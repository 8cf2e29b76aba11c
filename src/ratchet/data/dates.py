"""Read dates: ISO 8601, a format of strptime, or numbers of seconds since 1970. A number alone is never ISO 8601."""

import re
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from ratchet.data.values import BadValue, NotText, describe_type, to_string

UNIX = "unix"
_EPOCH = datetime(1970, 1, 1)
# Numbers below these count as seconds, milliseconds, microseconds and nanoseconds: each limit is the year 5138.
_UNITS = ((10**11, 1), (10**14, 1_000), (10**17, 1_000_000), (10**20, 1_000_000_000))
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d*)?(?:[eE][-+]?\d+)?")


class DateParser:
    """Read the dates of a column. `date_format` is a format of strptime, "unix", or None for ISO 8601.

    Texts in `missing` mean that there is no date.
    """

    def __init__(self, column: str, date_format: str | None = None, missing: Collection[str] = ()) -> None:
        self.column = column
        self.date_format = date_format
        self.missing = missing

    def __call__(self, value: Any) -> datetime | None:
        """Return the date in UTC, without a time zone; None if there is none.

        Raises:
            BadValue: it is not a date in this format.
        """
        if isinstance(value, datetime):
            moment = value
        elif isinstance(value, date):
            moment = datetime.combine(value, time())
        else:
            try:
                text = to_string(value, self.column).strip()
            except NotText:
                raise self._report(f"must hold dates, but holds {describe_type(value)}") from None
            if not text or text in self.missing:
                return None
            moment = self._parse(value, text)
        if moment.tzinfo is None:
            return moment
        try:
            return moment.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            raise self._report(f"{str(value)!r} cannot be converted to UTC") from None

    def _parse(self, value: Any, text: str) -> datetime:
        if self.date_format == UNIX:
            return self._parse_unix(value, text)
        if self.date_format is not None:
            try:
                return datetime.strptime(text, self.date_format)
            except (ValueError, re.error):  # the latter if the format has a directive twice
                raise self._report(f"{text[:60]!r} is not {self.date_format} (data.date_format)") from None
        if not isinstance(value, str) or _NUMBER.fullmatch(text):
            raise self._report(
                f"{text[:60]!r} is a number, not ISO 8601: set data.date_format=unix for seconds or milliseconds since "
                "1970, or to a format of strptime, as %Y%m%d for 20260228"
            )
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise self._report(
                f"{text[:60]!r} is not ISO 8601, as 2026-02-28 or 2026-02-28T13:45:00 (data.date_format)"
            ) from None

    def _parse_unix(self, value: Any, text: str) -> datetime:
        try:
            number = Decimal("nan" if isinstance(value, bool) else text)  # exact, as a float of microseconds is not
        except InvalidOperation:
            number = Decimal("nan")
        is_number = number.is_finite()
        divisor = next((divisor for limit, divisor in _UNITS if is_number and abs(number) < limit), None)
        if divisor is None:
            raise self._report(
                f"{text[:60]!r} is not a number of seconds or milliseconds since 1970 (data.date_format=unix)"
            )
        try:
            return _EPOCH + timedelta(microseconds=round(number * 1_000_000 / divisor))
        except OverflowError:
            raise self._report(f"{text[:60]!r} is no year from 1 to 9999 (data.date_format=unix)") from None

    def _report(self, message: str) -> BadValue:
        return BadValue("bad date", f"{self.column} {message}")

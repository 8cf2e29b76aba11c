"""Find dates that mean "no date", such as 9999-12-31 or 1970-01-01."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

_USUAL = (  # the first or last date of a program, or an empty cell or zero that was read as a date
    *(datetime(year, 1, 1) for year in (1, 1000, 1753, 1800, 1900, 1904, 1970, 1980)),
    datetime(1899, 12, 30),
    datetime(2038, 1, 19),
    *(datetime(year, 12, 31) for year in (2099, 2199, 2999, 9998, 9999)),
)
_TIME_ZONES = timedelta(hours=38)  # a usual date at any hour of its day, in any time zone
_FAR = timedelta(days=2 * 365)  # of a usual date from the next other date
_VERY_FAR = timedelta(days=20 * 365)  # of any date


def find_sentinel_dates(dates: Iterable[datetime | None]) -> dict[datetime, int]:
    """Return the dates that several records have exactly and that are far from the others, with their numbers."""
    counts = Counter(date for date in dates if date is not None)
    usual = [date for date, count in counts.items() if count > 1 and _is_usual(date)]
    others = sorted(set(counts).difference(usual))
    if not others:
        return {}
    gaps = sorted(later - earlier for earlier, later in pairwise(others))
    far = max(_FAR, 3 * gaps[len(gaps) // 2]) if gaps else _FAR  # dates that are years or decades have large gaps
    sentinels = [date for date in usual if others[0] - date >= far or date - others[-1] >= far]
    if len(others) > 2:
        for date, nearest, span in (
            (others[0], others[1], others[-1] - others[1]),
            (others[-1], others[-2], others[-2] - others[0]),
        ):
            if counts[date] > 1 and abs(date - nearest) >= max(_VERY_FAR, 2 * span):
                sentinels.append(date)
    return {date: counts[date] for date in sorted(sentinels)}


def _is_usual(date: datetime) -> bool:
    return any(abs(date - usual) <= _TIME_ZONES for usual in _USUAL)

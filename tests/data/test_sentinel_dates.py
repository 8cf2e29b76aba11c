from datetime import datetime, timedelta

import pytest

from ratchet.data.sentinel_dates import find_sentinel_dates

DAYS = [datetime(2026, 1, 1, 9, 30) + timedelta(days=day) for day in range(40)]


@pytest.mark.parametrize(
    "date",
    [
        datetime(9999, 12, 31),
        datetime(9999, 12, 31, 23, 59, 59),
        datetime(1970, 1, 1),
        datetime(1969, 12, 31, 23),  # midnight east of Greenwich
        datetime(1900, 1, 1),
        datetime(1899, 12, 30),  # zero in a spreadsheet
        datetime(1, 1, 1),
        datetime(2099, 12, 31),
        datetime(2222, 2, 22),  # no usual one, but two centuries from all others
    ],
)
def test_repeated_date_far_from_all_others_is_found(date: datetime) -> None:
    assert find_sentinel_dates([*DAYS, None, *[date] * 3]) == {date: 3}


@pytest.mark.parametrize(
    "dates",
    [
        [],
        [None, None],
        [datetime(1970, 1, 1)] * 5,  # nothing to compare with
        DAYS * 2,
        [*DAYS, datetime(1970, 1, 1)],  # once
        [datetime(1970, 1, 1)] * 3 + [datetime(1970, 1, 1) + timedelta(days=day) for day in range(30)],
        [datetime(year, 1, 1) for year in range(1900, 1990)] * 3,  # years
        [datetime(year, 1, 1) for year in range(1900, 2000, 10)] * 3,  # decades
        [datetime(1970, 1, 1)] * 3 + [datetime(year, 5, 1) for year in range(1950, 2000)],
        [*DAYS, *[datetime(2027, 1, 1)] * 5],  # a year later
    ],
    ids=range(10),
)
def test_other_dates_are_not_found(dates: list[datetime | None]) -> None:
    assert find_sentinel_dates(dates) == {}


def test_all_sentinels_of_a_data_set_are_found() -> None:
    first, last = datetime(1970, 1, 1), datetime(9999, 12, 31)
    assert find_sentinel_dates([first, last, *DAYS] * 2) == {first: 2, last: 2}

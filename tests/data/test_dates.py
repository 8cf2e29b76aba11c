"""Tests for reading dates; tests/data/test_records.py tests them as part of a data set."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.data.dates import DateParser
from ratchet.data.values import BadValue

MOMENT = datetime(2023, 11, 14, 22, 13, 20)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1700000000, MOMENT),
        ("1700000000", MOMENT),
        (1700000000.0, MOMENT),
        (1700000000.25, MOMENT + timedelta(milliseconds=250)),
        (1700000000123, MOMENT + timedelta(milliseconds=123)),
        ("1700000000123", MOMENT + timedelta(milliseconds=123)),
        (1700000000123456, MOMENT + timedelta(microseconds=123456)),
        (1700000000000000000, MOMENT),
        (1.7e12, MOMENT),
        (0, datetime(1970, 1, 1)),
        (-86400, datetime(1969, 12, 31)),
        ("", None),
        (None, None),
        (float("nan"), None),
        (MOMENT, MOMENT),
    ],
)
def test_unix_times_are_read_by_their_size(value: Any, expected: datetime | None) -> None:
    assert DateParser("at", "unix")(value) == expected


@given(st.datetimes(datetime(1974, 1, 1), datetime(2900, 1, 1)), st.sampled_from([1, 1000, 1_000_000]))
def test_every_unit_gives_the_same_second(moment: datetime, unit: int) -> None:
    seconds = int(moment.replace(tzinfo=UTC).timestamp())
    assert DateParser("at", "unix")(seconds * unit) == moment.replace(microsecond=0)


@pytest.mark.parametrize("value", ["yesterday", "2026-02-28", True, "inf", "nan", "1e300", 10**25, "1,5"])
def test_what_is_no_unix_time_is_a_bad_date(value: Any) -> None:
    with pytest.raises(BadValue, match=r"^at .*data\.date_format=unix") as caught:
        DateParser("at", "unix")(value)
    assert caught.value.kind == "bad date"


@pytest.mark.parametrize(
    "value",
    [
        1700000000,
        "1700110900000",
        20260228,
        "2026",
        "202602",
        "20260228",
        "20260228134500",
        "1700000000.5",
        "1e9",
        4.5,
        "-5",
        True,
    ],
)
def test_a_number_alone_is_never_iso(value: Any) -> None:
    with pytest.raises(BadValue) as caught:
        DateParser("at")(value)
    assert "data.date_format=unix" in str(caught.value)


@given(st.integers() | st.floats(allow_nan=False))
def test_no_json_number_is_a_date_by_chance(value: float) -> None:
    with pytest.raises(BadValue):
        DateParser("at")(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20260228T134500", datetime(2026, 2, 28, 13, 45)),
        ("2026-W09-6", datetime(2026, 2, 28)),
        (date(2026, 2, 28), datetime(2026, 2, 28)),
    ],
)
def test_iso_dates_may_lack_hyphens(value: Any, expected: datetime) -> None:
    assert DateParser("at")(value) == expected


def test_a_number_can_be_read_by_a_format() -> None:
    assert DateParser("at", "%Y%m%d")(20260228) == datetime(2026, 2, 28)


@pytest.mark.parametrize("date_format", ["%Y %Y", "%Q", "%"])
def test_format_that_is_not_valid_is_named(date_format: str) -> None:
    with pytest.raises(BadValue, match=re.escape(f"{date_format} (data.date_format)")):
        DateParser("at", date_format)("2026 2026")


@pytest.mark.parametrize("date_format", [None, "unix", "%Y-%m-%d"])
def test_missing_values_are_no_date(date_format: str | None) -> None:
    parse = DateParser("at", date_format, ["never", "9999-12-31", "-1"])
    assert [parse(value) for value in ("never", " never ", "9999-12-31", -1)] == [None] * 4


@pytest.mark.parametrize("value", [["2026-02-28"], {"$date": "2026-02-28"}, b"2026-02-28"])
def test_objects_and_lists_are_bad_dates(value: Any) -> None:
    with pytest.raises(BadValue, match="at must hold dates"):
        DateParser("at")(value)

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.scaffold.ticket_files import inspect_and_read, join_labels, make_rows, to_csv, write


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("%Y-%m-%d", None),
        ("%Y-%m-%dT%H:%M:%S+02:00", None),
        ("%Y-%m-%dT%H:%M:%SZ", None),
        ("%d.%m.%Y", "%d.%m.%Y"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M"),
        ("%m/%d/%Y", "%m/%d/%Y"),
        ("%a, %d %b %Y %H:%M:%S +0000", "%a, %d %b %Y %H:%M:%S %z"),
    ],
)
def test_date_format_is_found(tmp_path: Path, written: str, expected: str | None) -> None:
    start = datetime(2026, 1, 1)
    rows = join_labels(make_rows(opened=lambda number: (start + timedelta(days=number)).strftime(written)))
    data, prepared, _ = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert (data.created_at, data.date_format) == ("opened", expected)
    dates = sorted(record.created_at for record in prepared.records if record.created_at)
    assert [date - dates[0] for date in dates] == [timedelta(days=number) for number in range(60)]


@pytest.mark.parametrize("name", ["created_utc", "createdAt", "timestamp"])
@pytest.mark.parametrize("factor", [1, 1_000, 1.0], ids=["seconds", "milliseconds", "decimals"])
def test_unix_times_are_found(tmp_path: Path, name: str, factor: float) -> None:
    rows = join_labels(make_rows(**{name: lambda number: (1_767_225_600 + 86_400 * number) * factor}))
    data, prepared, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert (data.created_at, data.date_format) == (name, "unix")
    dates = sorted(record.created_at for record in prepared.records if record.created_at)
    assert dates == [datetime(2026, 1, 1) + timedelta(days=number) for number in range(60)]
    assert "since 1970" in dict(inspection.findings)["date"]


@pytest.mark.parametrize(
    ("name", "first"),
    [("amount", 1_767_225_600), ("created", 20_260_101), ("time", 12), ("closed", 9_999_999_999_999)],
)
def test_other_numbers_are_no_dates(tmp_path: Path, name: str, first: int) -> None:
    rows = join_labels(make_rows(**{name: lambda number: first + number}))
    data, _, _ = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert data.created_at is None


def write_digits(number: int) -> str:
    return (datetime(2026, 1, 1) + timedelta(days=number)).strftime("%Y%m%d")


@pytest.mark.parametrize(
    ("name", "value", "suffix"),
    [
        ("created", write_digits, ".csv"),
        ("day", write_digits, ".csv"),
        ("day", write_digits, ".json"),
        ("date", lambda number: int(write_digits(number)), ".json"),
        ("opened_at", lambda number: write_digits(number) if number % 7 else "", ".csv"),
    ],
)
def test_dates_of_eight_digits_are_found(
    tmp_path: Path, name: str, value: Callable[[int], str | int], suffix: str
) -> None:
    rows = join_labels(make_rows(**{name: value}))
    text = to_csv(rows) if suffix == ".csv" else json.dumps(rows)
    data, prepared, _ = inspect_and_read(write(tmp_path / f"a{suffix}", text))
    assert (data.created_at, data.date_format) == (name, "%Y%m%d")
    dates = [record.created_at for record in prepared.records]
    assert max(date for date in dates if date) == datetime(2026, 3, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount", lambda number: int(write_digits(number))),
        ("created", lambda number: int(write_digits(number)) if number else 20_261_301),
        ("created", lambda number: 18_990_101 + number % 28),
        ("day", lambda number: f"2026{number:04}"),
    ],
)
def test_eight_digits_that_are_not_all_dates_stay_numbers(
    tmp_path: Path, name: str, value: Callable[[int], str | int]
) -> None:
    rows = join_labels(make_rows(**{name: value}))
    assert inspect_and_read(write(tmp_path / "a.json", json.dumps(rows)))[0].created_at is None


def test_date_that_can_be_read_in_two_ways_is_only_suggested(tmp_path: Path) -> None:
    rows = join_labels(make_rows(opened=lambda number: f"{number % 12 + 1:02}/{number % 9 + 1:02}/2026"))
    data, _, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert data.created_at is None
    assert '# date_format: "%d/%m/%Y"' in inspection.yaml
    assert '# date_format: "%m/%d/%Y"' in inspection.yaml


def test_two_date_columns_are_only_suggested(tmp_path: Path) -> None:
    rows = join_labels(make_rows(opened="2026-01-01", closed=lambda number: f"2026-02-{number % 28 + 1:02}"))
    data, _, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert data.created_at is None
    assert {"# created_at: opened", "# created_at: closed"} <= {
        line.partition("  #")[0] for line in inspection.yaml.splitlines()
    }


def test_date_column_with_other_values_is_not_used(tmp_path: Path) -> None:
    rows = join_labels(make_rows(opened=lambda number: "soon" if number == 30 else "2026-01-01"))
    data, prepared, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert data.created_at is None
    assert len(prepared.records) == 60
    assert "record 31" in dict(inspection.findings)["date"]

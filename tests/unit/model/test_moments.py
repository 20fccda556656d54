"""Moments that people type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kraken_fleet.errors import UsageError
from kraken_fleet.model import parse_moment

_NOW = datetime(2026, 11, 28, 21, 50, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("30min", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("1d 12h", timedelta(hours=36)),
        ("1w", timedelta(days=7)),
        ("2H", timedelta(hours=2)),
    ],
)
def test_a_span_of_time_counts_from_now(text: str, span: timedelta) -> None:
    assert parse_moment(text, _NOW) == _NOW + span


def test_a_moment_is_taken_as_it_is() -> None:
    assert parse_moment("2026-11-29T08:00Z", _NOW) == datetime(2026, 11, 29, 8, tzinfo=UTC)
    assert parse_moment("2026-11-29 08:00+02:00", _NOW) == datetime(2026, 11, 29, 6, tzinfo=UTC)


def test_a_time_of_day_is_the_next_one() -> None:
    here = _NOW.astimezone()
    earlier, later = here - timedelta(minutes=1), here + timedelta(minutes=1)
    assert parse_moment(f"{later:%H:%M}", _NOW) == later
    assert parse_moment(f"{earlier:%H:%M}", _NOW) == earlier + timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("soon", "no moment"),
        ("2", "no moment"),
        ("-2h", "no moment"),
        ("25:00", "no moment"),
        ("0s", "over already"),
        ("2026-11-28T21:49Z", "over already"),
        ("99999999999999999999d", "more than a year"),
        ("2028-01-01", "more than a year"),
    ],
)
def test_what_is_no_moment_of_the_next_year_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_moment(text, _NOW)

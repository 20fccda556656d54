"""Moments as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kraken_fleet.model import ago

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(0), "0 s ago"),
        (timedelta(seconds=59.9), "59 s ago"),
        (timedelta(seconds=61), "1 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=3), "3 d ago"),
        (timedelta(seconds=-9), "0 s ago"),
    ],
)
def test_how_long_ago_is_said_in_the_largest_unit_that_fits(passed: timedelta, said: str) -> None:
    assert ago(NOW - passed, NOW) == said


def test_what_never_was_is_never() -> None:
    assert ago(None) == "never"

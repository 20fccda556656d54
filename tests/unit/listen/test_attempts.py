"""Passwords cannot be guessed quickly, and nobody locks somebody else out."""

from __future__ import annotations

import pytest

from kraken_fleet.listen.attempts import WINDOW_SECONDS, AttemptLimit
from tests.fake_clock import FakeClock


def test_after_five_wrong_passwords_the_next_has_to_wait() -> None:
    clock = FakeClock()
    limit = AttemptLimit(5, 30, clock.now)
    for _ in range(5):
        assert limit.wait_seconds("ann", "10.0.0.1") == 0
        limit.failed("ann", "10.0.0.1")
    assert 0 < limit.wait_seconds("ann", "10.0.0.1") <= WINDOW_SECONDS
    assert limit.wait_seconds("bob", "10.0.0.1") == 0
    assert limit.wait_seconds("ann", "10.0.0.2") == 0
    clock.time = WINDOW_SECONDS
    assert limit.wait_seconds("ann", "10.0.0.1") == 0


@pytest.mark.parametrize(
    ("wrong", "waits", "waits_not"),
    [
        pytest.param(
            [(f"user{number}", "10.0.0.1") for number in range(30)],
            ("another", "10.0.0.1"),
            ("another", "10.0.0.2"),
            id="a peer that tries many accounts",
        ),
        pytest.param(
            [("ann", f"2001:db8::{number + 1}") for number in range(5)],
            ("ann", "2001:db8::ffff"),
            ("ann", "2001:db8:0:1::1"),
            id="one IPv6 host with many addresses is one peer",
        ),
        pytest.param(
            [("ann", f"10.1.0.{number}") for number in range(50)],
            ("ann", "10.2.0.1"),
            ("ann", "10.0.0.1"),
            id="many peers that try one account, and not its owner",
        ),
    ],
)
def test_who_guesses_has_to_wait_and_others_have_not(
    wrong: list[tuple[str, str]], waits: tuple[str, str], waits_not: tuple[str, str]
) -> None:
    limit = AttemptLimit(5, 30)
    limit.succeeded("ann", "10.0.0.1")
    for account, peer in wrong:
        limit.failed(account, peer)
    assert limit.wait_seconds(*waits) > 0
    assert limit.wait_seconds(*waits_not) == 0


def test_the_right_password_forgets_the_wrong_ones() -> None:
    limit = AttemptLimit(5, 30)
    for _ in range(5):
        limit.failed("ann", "10.0.0.1")
    limit.succeeded("ann", "10.0.0.1")
    assert limit.wait_seconds("ann", "10.0.0.1") == 0


def test_made_up_names_do_not_fill_the_memory() -> None:
    limit = AttemptLimit(5, 10**6)
    for number in range(50_000):
        limit.failed(f"made-up-{number}", "10.0.0.1")
    assert len(limit._failures) <= 20_000

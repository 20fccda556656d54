"""Passwords cannot be guessed quickly, and nobody locks somebody else out."""

from __future__ import annotations

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


def test_a_peer_that_tries_many_accounts_has_to_wait() -> None:
    limit = AttemptLimit(5, 30)
    for number in range(30):
        limit.failed(f"user{number}", "10.0.0.1")
    assert limit.wait_seconds("another", "10.0.0.1") > 0
    assert limit.wait_seconds("another", "10.0.0.2") == 0


def test_the_addresses_of_one_ipv6_host_are_one_peer() -> None:
    limit = AttemptLimit(5, 30)
    for number in range(5):
        limit.failed("ann", f"2001:db8::{number + 1}")
    assert limit.wait_seconds("ann", "2001:db8::ffff") > 0
    assert limit.wait_seconds("ann", "2001:db8:0:1::1") == 0


def test_many_peers_that_try_one_account_have_to_wait_and_its_owner_has_not() -> None:
    limit = AttemptLimit(5, 30)
    limit.succeeded("ann", "10.0.0.1")
    for number in range(50):
        limit.failed("ann", f"10.1.0.{number}")
    assert limit.wait_seconds("ann", "10.2.0.1") > 0
    assert limit.wait_seconds("ann", "10.0.0.1") == 0


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

"""Waiting for log records to arrive."""

from kraken_fleet.network.log_records import wait_for_records
from tests.fake_clock import FakeClock


def test_records_that_arrive_one_after_the_other_are_all_seen() -> None:
    clock = FakeClock()
    arrivals = {"a": 0.5, "b": 2.0}

    def arrived(missing: set[str]) -> set[str]:
        return {marker for marker in missing if arrivals[marker] <= clock.time}

    assert wait_for_records(arrivals, arrived, timeout=5, clock=clock.now, sleep=clock.sleep) == set()
    assert clock.time <= 2.25


def test_a_record_that_never_arrives_is_named_when_the_time_is_over() -> None:
    clock = FakeClock()
    lost = wait_for_records(
        ["there", "lost"], lambda missing: missing & {"there"}, timeout=3, clock=clock.now, sleep=clock.sleep
    )
    assert lost == {"lost"}
    assert 3 <= clock.time < 3.5

"""Waiting for log records to arrive."""

from kraken_fleet.network.log_records import wait_for_records


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_records_that_arrive_one_after_the_other_are_all_seen() -> None:
    clock = Clock()
    arrivals = {"a": 0.5, "b": 2.0}

    def arrived(missing: set[str]) -> set[str]:
        return {marker for marker in missing if arrivals[marker] <= clock.now}

    assert wait_for_records(arrivals, arrived, timeout=5, clock=clock, sleep=clock.sleep) == set()
    assert clock.now <= 2.25


def test_a_record_that_never_arrives_is_named_when_the_time_is_over() -> None:
    clock = Clock()
    lost = wait_for_records(
        ["there", "lost"], lambda missing: missing & {"there"}, timeout=3, clock=clock, sleep=clock.sleep
    )
    assert lost == {"lost"}
    assert 3 <= clock.now < 3.5

"""Slices in processes on this machine."""

from __future__ import annotations

from kraken_fleet.scale.events import SliceEnded
from kraken_fleet.scale.local import LocalRunner
from kraken_fleet.scale.runner import Slice

# Of another version, which a slice's process refuses before it runs anything.
SLICES = [Slice(number, {"all": {"hosts": {f"host-{number}": {}}}}, version="0.0.0") for number in (1, 2)]


def test_one_runner_runs_slices_several_times_and_tells_the_end_of_each() -> None:
    runner = LocalRunner(2)
    for _time in range(2):
        ended = [event for event in runner.run(SLICES) if isinstance(event, SliceEnded)]
        assert sorted(event.slice for event in ended) == [1, 2]
        assert all("and the deploy 0.0.0" in str(event.hosts) for event in ended)

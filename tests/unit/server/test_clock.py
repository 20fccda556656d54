"""The server's clock when somebody sets the machine's."""

from __future__ import annotations

import pytest

from kraken_fleet.server.clock import SteadyClock


class Machine:
    def __init__(self) -> None:
        self.wall, self.steady = 1_000_000.0, 50.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86400.0 * 365, -86400.0 * 365])
def test_a_clock_that_is_set_changes_no_duration(jump: float) -> None:
    machine = Machine()
    clock = SteadyClock(lambda: machine.wall, lambda: machine.steady)
    begin = clock()
    machine.wall += jump
    machine.pass_by(60)
    assert clock() - begin == pytest.approx(60, abs=3.01)


def test_it_nears_the_time_that_was_set_and_then_keeps_it() -> None:
    machine = Machine()
    clock = SteadyClock(lambda: machine.wall, lambda: machine.steady)
    machine.wall += 10
    for _ in range(300):
        machine.pass_by(1)
        clock()
    assert clock() == pytest.approx(machine.wall)

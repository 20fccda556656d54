"""How often the server is asked for the fleet."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import ServerUnreachableError
from kraken_fleet.model import Agent, AgentsGroup
from kraken_fleet.web.cache import FleetCache
from tests.fake_clock import FakeClock
from tests.unit.web.model_builders import an_agent
from tests.waiting import eventually


class SlowServer:
    """Counts how often it is asked, and takes its time."""

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self.clock, self.seconds, self.asked = clock, seconds, 0
        self.fleet: tuple[Agent, ...] = (an_agent(1),)
        # Cleared, the server answers when the test lets it.
        self.is_asked, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()

    def agents(self, *, unauthorized: bool = False) -> tuple[Agent, ...]:
        if unauthorized:
            return ()
        self.asked += 1
        self.clock.time += self.seconds
        return self.fleet

    def groups(self) -> tuple[AgentsGroup, ...]:
        self.is_asked.set()
        assert self.may_answer.wait(30)
        return ()

    def hold(self) -> None:
        """Answer nothing from now on, until `may_answer` is set."""
        self.is_asked.clear()
        self.may_answer.clear()


def cached(seconds: float) -> tuple[FleetCache, SlowServer, KrakenClient, FakeClock]:
    clock = FakeClock()
    server = SlowServer(clock, seconds)
    return FleetCache(2.0, clock=clock.now), server, cast(KrakenClient, server), clock


@pytest.mark.parametrize(
    ("takes", "young", "old"), [(0.01, 1.9, 2.1), (3.0, 10, 13)], ids=["a fast server", "a slow server, less often"]
)
def test_everybody_shares_one_view_until_it_is_old(takes: float, young: float, old: float) -> None:
    cache, server, client, clock = cached(takes)
    cache.get(client)
    clock.time += young
    for _ in range(10):
        cache.get(client)
    assert server.asked == 1
    clock.time += old - young
    cache.get(client)
    assert eventually(lambda: server.asked == 2)


def test_nobody_waits_for_a_server_that_answers_slowly() -> None:
    cache, server, client, clock = cached(3.0)
    before = cache.get(client)
    clock.time += 13
    server.hold()
    assert cache.get(client) is before
    assert server.is_asked.wait(30)
    assert cache.get(client) is before
    server.may_answer.set()
    assert eventually(lambda: cache.last is not before)
    assert server.asked == 2


def test_a_view_that_is_older_than_a_minute_is_shown_to_nobody() -> None:
    cache, _, client, clock = cached(3.0)
    before = cache.get(client)
    clock.time += 61
    assert cache.get(client) is not before


def test_a_server_that_is_gone_is_told_of_with_the_next_look() -> None:
    cache, server, client, clock = cached(3.0)
    before = cache.get(client)
    clock.time += 13

    def gone() -> tuple[AgentsGroup, ...]:
        raise ServerUnreachableError("There is no connection")

    server.groups = gone  # type: ignore[method-assign] # the server went away
    assert cache.get(client) is before
    with pytest.raises(ServerUnreachableError):
        eventually(lambda: cache.get(client) is not before)


def test_after_a_change_the_next_look_asks() -> None:
    cache, server, client, _ = cached(0.01)
    cache.get(client)
    cache.forget()
    cache.get(client)
    assert server.asked == 2


def test_the_version_grows_only_when_a_person_would_see_a_difference() -> None:
    cache, server, client, clock = cached(0.01)
    first = cache.get(client).version
    clock.time += 3
    server.fleet = (an_agent(1, silent_for=50),)
    assert cache.get(client).version == first, "only last_seen moved"
    clock.time += 3
    server.fleet = (an_agent(1, disabled=True),)
    assert cache.get(client).version == first + 1


def test_nobody_waits_while_somebody_else_asks_the_server() -> None:
    cache, server, client, clock = cached(0.01)
    before = cache.get(client)
    clock.time += 3
    server.hold()
    somebody = threading.Thread(target=cache.get, args=(client,))
    somebody.start()
    assert server.is_asked.wait(30)
    assert cache.get(client) is before
    server.may_answer.set()
    somebody.join()
    assert cache.get(client) is not before

"""Rounds over a real server and real receivers, with a clock that the tests move."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.errors import PartialFailureError, ServerUnreachableError
from kraken_fleet.model import DesiredAgent, DesiredFleet, Disabling
from kraken_fleet.reconcile import Event, disable, lifecycle
from kraken_fleet.server.testing import running
from kraken_fleet.watch import GivenUrl, MemoryFile, Times, Topic, Watch, receivers_of
from tests.message_receivers import WebHook, web_hook

HERE, GONE = DesiredAgent("build-1", "127.0.0.21"), DesiredAgent("build-2", "127.0.0.22")


class Fleet:
    """A server with one agent, an inventory that a test may change, a web hook, and the time."""

    def __init__(self, client: KrakenClient, hook: WebHook, state: Path) -> None:
        self.client, self.hook, self.state = client, hook, state
        self.desired = DesiredFleet((HERE,))
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def watch(self, client: KrakenClient | None = None, **more: Any) -> Watch:
        """A watch as after a restart: it knows what the state directory says."""
        client = client or self.client
        return Watch(
            client,
            lambda: self.desired,
            self.state,
            MemoryFile(self.state, self.client.url, "hosts.yml"),
            receivers_of([GivenUrl("--notify 1", self.hook.url())]),
            now=lambda: self.now,
            **{"times": Times({Topic.SERVER: timedelta(minutes=2)}), **more},
        )

    def round(self, **more: Any) -> list[Event]:
        return list(self.watch(**more).once())

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with running(tmp_path / "server") as server, web_hook() as hook:
        message = {"address": HERE.address, "msg": "get-job"}
        requests.post(f"{server.url}/backend", json=message, timeout=60).raise_for_status()
        with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
            client.set_authorized([agent.id for agent in client.agents(unauthorized=True)])
            yield Fleet(client, hook, tmp_path / "state")


def test_each_problem_is_told_of_once_over_restarts_and_when_it_is_over(fleet: Fleet) -> None:
    fleet.round()
    assert fleet.hook.messages == []
    fleet.desired = DesiredFleet((HERE, GONE))
    assert [event.kind for event in fleet.round()] == ["looked", "appeared", "sent"]
    fleet.later(hours=30)
    assert [event.kind for event in fleet.round()] == ["looked"]
    fleet.desired = DesiredFleet((HERE,))
    assert [event.kind for event in fleet.round()] == ["looked", "over", "sent"]
    first, second = fleet.hook.messages
    assert "- build-2: no agent has ever claimed 127.0.0.22" in first["message"]
    assert first["type"] == "warning"
    assert "- build-2, after 1 d: no agent" in second["message"]
    assert second["type"] == "info"


def test_a_message_that_nobody_took_is_sent_by_a_later_round(fleet: Fleet) -> None:
    fleet.desired, fleet.hook.status = DesiredFleet((HERE, GONE)), 503
    with pytest.raises(PartialFailureError) as caught:
        fleet.round()
    assert "503" in caught.value.failures["JSON (--notify 1)"]
    fleet.desired = DesiredFleet((HERE,))
    with pytest.raises(PartialFailureError):
        fleet.round()
    fleet.hook.status = 200
    assert [event.kind for event in fleet.round()] == ["looked", "sent", "sent"]
    assert [title.rpartition(": ")[2] for title in fleet.hook.titles] == ["1 problem", "1 over"]


def test_a_server_that_is_gone_is_told_of_and_nothing_else_counts_as_over(fleet: Fleet) -> None:
    fleet.desired = DesiredFleet((HERE, GONE))
    fleet.round()
    away = KrakenClient("http://127.0.0.1:1", PasswordCredentials("admin", "x"))
    for minutes in (0, 3, 3):
        fleet.later(minutes=minutes)
        with pytest.raises(ServerUnreachableError):
            fleet.round(client=away)
    fleet.round()
    assert [title.rpartition(": ")[2] for title in fleet.hook.titles] == ["1 problem", "1 problem", "1 over"]
    assert fleet.hook.messages[1]["type"] == "failure"
    assert "Cannot be read:" in fleet.hook.messages[1]["message"]


def test_a_dry_run_sends_nothing_and_remembers_nothing(fleet: Fleet) -> None:
    fleet.desired = DesiredFleet((HERE, GONE))
    for _ in range(2):
        assert [event.kind for event in fleet.round(dry_run=True)] == ["looked", "appeared", "to_send"]
    assert fleet.hook.messages == []
    assert not list(fleet.state.glob("watch/*.json"))


def test_an_agent_is_given_back_when_its_time_is_over_and_no_drift_is_told(fleet: Fleet) -> None:
    (agent,) = fleet.client.agents()
    now = fleet.client.server_time()
    why = Disabling("anna", now - timedelta(hours=2), now - timedelta(hours=1), "a new disk")
    list(disable(fleet.client, [agent], why=why))
    assert [event.kind for event in fleet.round(dry_run=True)] == ["looked", "appeared", "to_send"]
    assert fleet.client.agents()[0].disabled
    assert [event.kind for event in fleet.round()] == ["changed", "looked", "sent"]
    (after,) = fleet.client.agents()
    assert after.enabled
    assert after.disabling is None
    (message,) = fleet.hook.messages
    assert "Enabled again:\n- build-1 (127.0.0.21): it was disabled by anna since" in message["message"]
    assert "a new disk" in message["message"]


def test_an_agent_that_was_given_back_is_told_of_although_the_server_then_fails(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_client: KrakenClient, _groups: set[int]) -> None:
        raise ServerUnreachableError("The server does not answer")

    now = fleet.client.server_time()
    list(disable(fleet.client, fleet.client.agents(), why=Disabling("anna", now - timedelta(hours=2), now)))
    monkeypatch.setattr(lifecycle, "tidy", fails)
    with pytest.raises(ServerUnreachableError):
        fleet.round()
    assert fleet.client.agents()[0].enabled
    assert [title.rpartition(": ")[2] for title in fleet.hook.titles] == ["1 enabled again"]
    assert "- build-1 (127.0.0.21): it was disabled by anna" in fleet.hook.messages[0]["message"]


def test_topics_that_nobody_asked_for_are_not_told(fleet: Fleet) -> None:
    fleet.desired = DesiredFleet((HERE, GONE))
    fleet.round(topics=[Topic.DISK])
    assert fleet.hook.messages == []


def test_a_watch_wakes_up_when_an_agent_is_to_be_given_back(fleet: Fleet) -> None:
    class Naps:
        taken: list[float] = []  # noqa: RUF012

        def now(self) -> float:
            return 0.0

        def sleep(self, seconds: float) -> None:
            self.taken.append(seconds)

    (agent,) = fleet.client.agents()
    now = fleet.client.server_time()
    list(disable(fleet.client, [agent], why=Disabling("anna", now, now + timedelta(seconds=100))))
    list(fleet.watch(clock=Naps()).repeat(interval=600, rounds=2, chance=lambda: 0.5))
    (pause,) = Naps.taken
    assert 60 < pause <= 101

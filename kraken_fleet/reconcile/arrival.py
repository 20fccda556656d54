"""Waiting until the server knows the agents of a fleet, and saying why it may not."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import Agent, DesiredAgent, DesiredFleet, ObservedFleet
from kraken_fleet.plan.findings import why_missing
from kraken_fleet.reconcile.clock import Clock, SystemClock
from kraken_fleet.reconcile.events import Missing, Waiting
from kraken_fleet.reconcile.observe import observe_agents

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 3.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came.

    Args:
        seen: by address.
        missing: who did not come in time, with the reason.
        agents: all agents of the server at that moment.
    """

    seen: Mapping[str, Agent]
    missing: tuple[Missing, ...]
    agents: tuple[Agent, ...]


def wait_for_agents(
    client: KrakenClient,
    desired: DesiredFleet,
    timeout: float,
    *,
    clock: Clock | None = None,
    seen_after: Mapping[str, datetime] | None = None,
    told: Callable[[Waiting], object] | None = None,
) -> Arrival:
    """Wait until every agent has spoken to the server.

    Args:
        timeout: seconds; 0 looks once.
        seen_after: by host, or "" for all others: an agent counts once it was seen after this moment.
        told: called before each pause.

    Raises:
        ServerError: see kraken_fleet.errors.
    """
    steps = arrivals(client, desired, timeout, clock=clock or SystemClock(), seen_after=seen_after)
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            arrival: Arrival = end.value
            return arrival
        if told:
            told(event)


def arrivals(
    client: KrakenClient,
    desired: DesiredFleet,
    timeout: float,
    *,
    clock: Clock,
    seen_after: Mapping[str, datetime] | None = None,
) -> Generator[Waiting, None, Arrival]:
    """Do the same as a generator: yield an event before each pause, and return the Arrival."""
    started, pause = clock.now(), _FIRST_PAUSE
    while True:
        agents = observe_agents(client)
        by_address = {agent.address: agent for agent in agents}
        missing = [wanted for wanted in desired.agents if not _here(wanted, by_address, seen_after or {})]
        passed = clock.now() - started
        if not missing or passed >= timeout:
            return _arrival(desired, agents, by_address, missing)
        yield Waiting(missing=tuple(wanted.label for wanted in missing), seconds=passed)
        clock.sleep(min(pause, max(timeout - passed, 0.01)))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _here(wanted: DesiredAgent, by_address: Mapping[str, Agent], seen_after: Mapping[str, datetime]) -> bool:
    agent = by_address.get(wanted.address)
    since = seen_after.get(wanted.host, seen_after.get(""))
    return agent is not None and (since is None or (agent.last_seen is not None and agent.last_seen >= since))


def _arrival(
    desired: DesiredFleet, agents: tuple[Agent, ...], by_address: Mapping[str, Agent], missing: list[DesiredAgent]
) -> Arrival:
    absent = {wanted.address for wanted in missing}
    seen = {wanted.address: by_address[wanted.address] for wanted in desired.agents if wanted.address not in absent}
    told = why_missing(missing, desired, ObservedFleet(agents))
    reasons = tuple(_reason(wanted, message, hint, by_address) for wanted, message, hint in told)
    return Arrival(seen, reasons, agents)


def _reason(wanted: DesiredAgent, message: str, hint: str, by_address: Mapping[str, Agent]) -> Missing:
    if agent := by_address.get(wanted.address):
        seen = f"{agent.last_seen:%Y-%m-%d %H:%M:%S} UTC" if agent.last_seen else "never"
        message = f"the agent that claims {wanted.address} was not seen since the deploy (last: {seen})"
    return Missing(host=wanted.label, address=wanted.address, reason=message, hint=hint)

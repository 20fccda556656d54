"""Keeping on the server who disabled which agents, why and until when: see kraken_fleet.model.disabling."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import Agent, Disabling
from kraken_fleet.reconcile.observe import observe_agents

# Somebody may have made a group and be about to put agents into it.
_FRESH = timedelta(minutes=5)


def disabling(client: KrakenClient, by: str, note: str = "", until: datetime | None = None) -> Disabling:
    """Return a decision of now, by the server's clock.

    Raises:
        ServerError: see kraken_fleet.errors; so do all functions here.
    """
    return Disabling(by, client.server_time(), until, note, secrets.randbelow(10**6))


def keep(client: KrakenClient, agent_id: int, group_id: int) -> None:
    """Put a disabled agent into the group that says why, and out of others that said so before."""
    refs = client.agent(agent_id).groups
    client.set_agent_groups(agent_id, {ref.id for ref in refs if Disabling.parse(ref.name) is None} | {group_id})


def enable_agent(client: KrakenClient, agent_id: int) -> frozenset[int]:
    """Enable an agent; return the groups that it has left because of that: those that said why it was disabled."""
    agent = client.enable_agent(agent_id)
    said = _said_by(agent)
    if said:
        client.set_agent_groups(agent_id, {ref.id for ref in agent.groups} - said)
    return said


def tidy(client: KrakenClient, left: Collection[int] = ()) -> None:
    """Delete the groups that say nothing any more, after taking agents out of them that were enabled in other ways.

    Args:
        left: ids of groups that agents have just left, which need no patience.
    """
    groups = {group.id: said for group in client.groups() if (said := Disabling.parse(group.name))}
    if not groups:
        return
    now, used = client.server_time(), set[int]()
    for agent in observe_agents(client):
        mine = _said_by(agent) & groups.keys()
        if mine and agent.enabled:
            client.set_agent_groups(agent.id, {ref.id for ref in agent.groups} - mine)
        else:
            used |= mine
    for number, said in groups.items():
        if number not in used and (number in left or now - said.since > _FRESH):
            client.drop_passing_group(number)


def are_over(agents: Iterable[Agent], now: datetime) -> list[Agent]:
    """Return the agents that were disabled until a moment which is over.

    Args:
        now: by the server's clock.
    """
    return [agent for agent in agents if agent.disabling and agent.disabling.is_over(now)]


def seconds_to_next_end(client: KrakenClient) -> float | None:
    """Say in how many seconds the first agent is to be enabled again; None when none is."""
    now = client.server_time()
    ends = [said.until for agent in client.agents() if (said := agent.disabling) and said.until and said.until > now]
    return (min(ends) - now).total_seconds() if ends else None


def _said_by(agent: Agent) -> frozenset[int]:
    return frozenset(ref.id for ref in agent.groups if Disabling.parse(ref.name))

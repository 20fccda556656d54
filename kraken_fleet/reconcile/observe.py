"""Reading a server: both lists of agents and the groups, in as few calls as they have pages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import Agent, ObservedFleet
from kraken_fleet.reconcile.group_memory import GroupMemory

# How many deleted groups are asked for at most, newest first: each is a call of about 7 ms, which no list spares.
DELETED_LIMIT = 2_000


def observe(
    client: KrakenClient,
    *,
    deleted_groups: bool = True,
    names: Iterable[str] = (),
    memory: GroupMemory | None = None,
) -> ObservedFleet:
    """A server as it is now.

    Args:
        deleted_groups: also find deleted groups, whose names break runs when a living group has them too.
        names: agents groups that the inventory asks for.
        memory: of deleted groups that earlier commands have found, so that each is asked for only once.

    Raises:
        ServerError: see kraken_fleet.errors.
    """
    agents = observe_agents(client)
    groups = client.groups()
    if not deleted_groups:
        return ObservedFleet(agents, groups, datetime.now(UTC))
    if memory:
        memory.recall(client, groups)
    listed = {ref.id for agent in agents for ref in agent.groups}
    deleted = client.deleted_groups(groups, listed=listed, names=names, max_calls=DELETED_LIMIT)
    if memory:
        memory.keep(client, groups)
    return ObservedFleet(agents, groups, datetime.now(UTC), deleted)


def observe_agents(client: KrakenClient) -> tuple[Agent, ...]:
    """All agents, authorised or not, each once."""
    # Waiting ones first: one that is authorised between the two calls is then in both lists, and not in none.
    found = {agent.id: agent for agent in client.agents(unauthorized=True)}
    found.update((agent.id, agent) for agent in client.agents())
    return tuple(found[number] for number in sorted(found))

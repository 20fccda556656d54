"""Reading a server: both lists of agents and the groups, in as few calls as they have pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import RequestRejectedError
from kraken_fleet.model import Agent, AgentsGroup, ObservedFleet

# How many deleted groups are asked for at most, newest first: each is a call of about 7 ms, which no list spares.
DELETED_LIMIT = 2_000
# So many ids that no group has, one after another, mean that there are no groups beyond. Failed creations leave gaps.
_GAP = 5
# What is known of ids that no living group has: the deleted group, or None when the id was never given out.
DeletedGroups = MutableMapping[int, AgentsGroup | None]


def observe(client: KrakenClient, *, deleted_groups: bool = True, known: DeletedGroups | None = None) -> ObservedFleet:
    """A server as it is now.

    Args:
        deleted_groups: also find deleted groups, whose names break runs when a living group has them too.
        known: what an earlier call found of those; filled, so that later calls ask only for new ones.

    Raises:
        ServerError: see kraken_fleet.errors.
    """
    agents = observe_agents(client)
    groups = client.groups()
    deleted = _deleted(client, agents, groups, {} if known is None else known) if deleted_groups else ()
    return ObservedFleet(agents, groups, datetime.now(UTC), tuple(deleted))


def observe_agents(client: KrakenClient) -> tuple[Agent, ...]:
    """All agents, authorised or not, each once."""
    # Waiting ones first: one that is authorised between the two calls is then in both lists, and not in none.
    found = {agent.id: agent for agent in client.agents(unauthorized=True)}
    found.update((agent.id, agent) for agent in client.agents())
    return tuple(found[number] for number in sorted(found))


def _deleted(
    client: KrakenClient, agents: Iterable[Agent], groups: Iterable[AgentsGroup], known: DeletedGroups
) -> list[AgentsGroup]:
    alive = {group.id for group in groups}
    listed = {ref.id for agent in agents for ref in agent.groups}  # an agent goes on listing a deleted group
    newest = max(alive | listed | known.keys(), default=0)
    unknown = [number for number in range(newest, 0, -1) if number not in alive and number not in known]
    with ThreadPoolExecutor(max_workers=8) as pool:

        def ask(numbers: Sequence[int]) -> dict[int, AgentsGroup | None]:
            return dict(zip(numbers, pool.map(lambda number: _group(client, number), numbers), strict=True))

        known.update(ask(unknown[:DELETED_LIMIT]))
        known.update(_beyond(newest, ask))
    return [
        group for number, group in sorted(known.items()) if group is not None and group.deleted and number not in alive
    ]


def _beyond(newest: int, ask: Callable[[Sequence[int]], dict[int, AgentsGroup | None]]) -> dict[int, AgentsGroup]:
    """Groups newer than every one that a list shows. An id that is free now may be given out later: it is not kept."""
    found: dict[int, AgentsGroup] = {}
    while some := {
        number: group for number, group in ask(range(newest + 1, newest + 1 + _GAP)).items() if group is not None
    }:
        found.update((number, group) for number, group in some.items() if group.deleted)
        newest = max(some)
    return found


def _group(client: KrakenClient, number: int) -> AgentsGroup | None:
    try:
        return client.group(number)
    except RequestRejectedError:
        return None  # an id that was never given out

"""Reading a server: both lists of agents and the groups, in as few calls as they have pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import NotPermittedError, RequestRejectedError, ServerFaultError, UnexpectedAnswerError
from kraken_fleet.model import Agent, AgentsGroup, ObservedFleet, OwnGroup
from kraken_fleet.reconcile.group_memory import GroupMemory
from kraken_fleet.reconcile.owner import is_left
from kraken_fleet.reconcile.peer_memory import PeerMemory
from kraken_fleet.reconcile.waiting_jobs import WaitingJobs, find_waiting_jobs

# How many deleted groups are asked for at most, newest first: each is a call of about 7 ms, which no list spares.
DELETED_LIMIT = 2_000
# Two for each branch of the server and one for each run with waiting jobs, however many agents there are.
JOBS_LIMIT = 200
_DOES_NOT_TELL = (NotPermittedError, RequestRejectedError, ServerFaultError, UnexpectedAnswerError)


def observe(
    client: KrakenClient,
    *,
    deleted_groups: bool = True,
    names: Iterable[str] = (),
    memory: GroupMemory | None = None,
    peers: PeerMemory | None = None,
) -> ObservedFleet:
    """Return a server as it is now.

    Args:
        deleted_groups: also find deleted groups, whose names break runs when a living group has them too.
        names: agents groups that the inventory asks for.
        memory: of deleted groups that earlier commands have found, so that each is asked for only once.
        peers: of where agents connected from when they were looked at before.

    Raises:
        ServerError: see kraken_fleet.errors.
    """
    agents = observe_agents(client)
    groups = client.groups()
    left = frozenset(group.id for group in groups if _is_left(group, client.server_time()))
    before = peers.compared(client.url, agents) if peers else {}
    seen = ObservedFleet(
        agents,
        groups,
        datetime.now(UTC),
        upgrades_broken_off=left,
        earlier_peers=before,
        clock_ahead=client.clock_ahead(),
    )
    if not deleted_groups:
        return seen
    if memory:
        memory.recall(client, groups)
    listed = {ref.id for agent in agents for ref in agent.groups}
    deleted = client.deleted_groups(groups, listed=listed, names=names, max_calls=DELETED_LIMIT)
    if memory:
        memory.keep(client, groups)
    return replace(seen, deleted_groups=deleted)


def _is_left(group: AgentsGroup, now: datetime) -> bool:
    own = OwnGroup.parse(group.name)
    return own is not None and own.kind == "upgrade" and is_left(own, now)


def with_waiting_jobs(client: KrakenClient, observed: ObservedFleet) -> ObservedFleet:
    """Return the same with the jobs that wait for an agent, as far as JOBS_LIMIT calls find them.

    Jobs are nothing that a plan rests on: a server that does not tell of them leaves it without.
    """
    try:
        found = find_waiting_jobs(client, JOBS_LIMIT)
    except _DOES_NOT_TELL:
        found = WaitingJobs((), complete=False)
    return replace(observed, waiting_jobs=found.jobs, all_jobs_seen=found.complete)


def observe_agents(client: KrakenClient) -> tuple[Agent, ...]:
    """Return all agents, authorized or not, each once."""
    # Discovered ones first: one that is authorized between the two calls is then in both lists, and not in none.
    found = {agent.id: agent for agent in client.agents(unauthorized=True)}
    found.update((agent.id, agent) for agent in client.agents())
    return tuple(found[number] for number in sorted(found))

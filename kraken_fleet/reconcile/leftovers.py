"""Undoing what a proof or an upgrade did to agents groups: at its end, or for one that was killed before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import ServerError
from kraken_fleet.model import ALL_GROUP, Agent, AgentsGroup, OwnGroup, is_earlier_group
from kraken_fleet.reconcile.clock import Clock, SystemClock
from kraken_fleet.reconcile.observe import observe_agents
from kraken_fleet.reconcile.owner import is_left
from kraken_fleet.reconcile.parallel import FATAL

_PAUSES = (0.5, 2.0, 5.0)


def put_back(client: KrakenClient, agent_id: int, groups: Iterable[AgentsGroup]) -> None:
    """Take an agent out of its groups for proofs, into those that it was in before, and disable it if it was disabled.

    Args:
        groups: the living ones.

    Raises:
        ServerError: see kraken_fleet.errors.
    """
    living = {group.id: group.name for group in groups}
    everybody = {number for number, name in living.items() if name == ALL_GROUP}
    ids: set[int] = set()
    disabled = False
    for ref in client.agent(agent_id).groups:
        own = OwnGroup.parse(ref.name)
        if own and own.kind == "proof":
            ids |= {*(own.groups or ())}
            disabled |= own.disabled
        elif own or not is_earlier_group(ref.name):
            ids.add(ref.id)
    # First of all: in its own groups an enabled agent would be given their jobs.
    if disabled:
        client.disable_agent(agent_id)
    client.set_agent_groups(agent_id, ids & living.keys() or everybody)


def sweep(client: KrakenClient, now: datetime, groups: Iterable[AgentsGroup] | None = None) -> list[Agent]:
    """Undo what processes that have ended have left on the server; send nothing when there is nothing.

    Agents that an upgrade has disabled stay so, in the group that says it: whether they work is not known. Those that
    have been enabled since then leave it.

    Args:
        now: by the server's clock.
        groups: the living ones, when the caller has just read them.

    Returns:
        the agents that were put back.

    Raises:
        ServerError: see kraken_fleet.errors.
    """
    living = tuple(client.groups() if groups is None else groups)
    left = {group.id: group.name for group in living if _is_left(group.name, now)}
    if not left:
        return []
    touched = []
    members: set[int] = set()
    for agent in observe_agents(client):
        mine = {ref.id for ref in agent.groups} & left.keys()
        owns = [OwnGroup.parse(left[number]) for number in mine]
        if any(own is None or own.kind == "proof" for own in owns):
            put_back(client, agent.id, living)
            touched.append(agent)
            # In a proof alone it was in none of its own groups, such as that of an upgrade; they are in the name.
            mine |= {number for own in owns if own for number in own.groups or ()} & left.keys()
        markers = {number for number in mine if (own := OwnGroup.parse(left[number])) and own.kind == "upgrade"}
        if markers and client.agent(agent.id).enabled:  # somebody has let it work again
            client.set_agent_groups(agent.id, {ref.id for ref in client.agent(agent.id).groups} - markers)
        else:
            members |= markers
    for number in left.keys() - members:
        client.drop_passing_group(number)
    return touched


def persist(work: Callable[[], object], clock: Clock | None = None) -> None:
    """Do what has to be done to give an agent back, again when the server fails at it.

    Raises:
        ServerError: the last one, after several tries.
    """
    clock = clock or SystemClock()
    for pause in _PAUSES:
        try:
            work()
        # A server that is unreachable, the first of FATAL, may be back after a pause; an account that may not stays so.
        except FATAL[1:]:
            raise
        except ServerError:
            clock.sleep(pause)
        else:
            return
    work()


def _is_left(name: str, now: datetime) -> bool:
    own = OwnGroup.parse(name)
    return is_left(own, now) if own else is_earlier_group(name)

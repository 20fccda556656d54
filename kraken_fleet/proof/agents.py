"""Proof that particular agents work: a job on each of them, which nobody else can get.

The server hands jobs to groups, not to agents. For its proof an agent therefore comes into a group that is made for it
and deleted after it, and whose name nobody else can choose (kraken_fleet.model.own_groups). It stays in its own groups,
unless its jobs would be at risk there: then it is in none of them meanwhile, and the name says which they are.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import Agent, AgentsGroup, Owner, OwnGroup, is_earlier_group
from kraken_fleet.proof.groups import GroupProof, verify_groups
from kraken_fleet.reconcile.clock import Clock
from kraken_fleet.reconcile.leftovers import persist, put_back, sweep

# So many agents are proven at the same time.
PLACES = 8


def verify_agents(
    client: KrakenClient,
    agents: Sequence[Agent],
    owner: Owner,
    *,
    alone: bool = False,
    timeout: float = 120.0,
    clock: Clock | None = None,
) -> Iterator[tuple[Agent, GroupProof]]:
    """Run a job on each of these agents and yield what became of it, in no particular order.

    An agent that works at other jobs all the time is not proven, but that is no failure, save with `alone`.

    Args:
        agents: authorized ones.
        owner: the process that will undo what is done to their groups, or else is known not to live any more.
        alone: whether nobody else's job is to be risked on them. Disabled ones are then enabled for their proof only.
        timeout: seconds for the job of an agent.

    Raises:
        VerificationError: no run could be started.
        ServerError: see kraken_fleet.errors.
    """
    places = _Places(client, owner, alone=alone, clock=clock)
    try:
        for first in range(0, len(agents), PLACES):
            yield from _together(client, agents[first : first + PLACES], places, timeout, clock)
    finally:
        places.close()


def _together(
    client: KrakenClient, agents: Sequence[Agent], places: _Places, timeout: float, clock: Clock | None
) -> Iterator[tuple[Agent, GroupProof]]:
    places.look()
    with ExitStack() as stack:
        at: dict[str, Agent] = {}
        for number, agent in enumerate(agents):
            stack.callback(places.leave, agent)
            at[places.enter(number, agent)] = agent
        stack.callback(places.look)  # the first of all callbacks
        for proof in verify_groups(client, list(at), timeout=timeout, clock=clock):
            agent = at[proof.group]
            yield agent, _judged(client, agent, proof, alone=places.alone)


def _judged(client: KrakenClient, agent: Agent, proof: GroupProof, *, alone: bool) -> GroupProof:
    if proof.proven and proof.agent != agent.name:
        why = f"its job was run by {proof.agent}: somebody has put that agent into the group {proof.group}"
        return dataclasses.replace(proof, failure=why, hint="Verify it again")
    # One that is alone had no job when its proof began: the one that it has now it does not end.
    if proof.proven or proof.agent or alone:
        return proof
    now = client.agent(agent.id)
    if now.job and now.job.id != proof.job_id:
        return dataclasses.replace(proof, failure=None, hint=None, left_out=f"runs job {now.job.id}")
    return proof


class _Places:
    """The groups of one verification, made when they are needed."""

    def __init__(self, client: KrakenClient, owner: Owner, *, alone: bool, clock: Clock | None) -> None:
        self._client, self._owner, self.alone, self._clock = client, owner, alone, clock
        self._now = client.server_time()
        self._first = secrets.randbelow(10**6) * PLACES  # this process may have had the same places a moment ago
        self._living: dict[int, AgentsGroup] = {}
        self._made: dict[int, AgentsGroup] = {}
        self._inside: dict[int, int] = {}  # agent to group
        sweep(client, self._now)

    def look(self) -> None:
        """See which groups there are: in a proof of a whole fleet people and other processes make some meanwhile."""

        def look() -> None:
            self._living = {group.id: group for group in self._client.groups()}

        persist(look, self._clock)

    def enter(self, place: int, agent: Agent) -> str:
        """Put an agent into a group of its own; return the group's name."""
        # It may have come into other groups since its caller has seen it.
        agent = self._client.agent(agent.id)
        refs = {ref.id for ref in agent.groups if ref.id in self._living and not _is_of_proofs(ref.name)}
        state = {"groups": tuple(sorted(refs)), "disabled": agent.disabled} if self.alone else {}
        own = OwnGroup("proof", self._owner, int(self._now.timestamp()), self._first + place, **state)  # type: ignore[arg-type]
        group = self._made.get(place)
        if group is None:
            group = self._client.make_passing_group(own.name)
        elif group.name != own.name:
            group = self._client.call_passing_group(group.id, own.name)
        self._made[place], self._inside[agent.id] = group, group.id
        self._client.set_agent_groups(agent.id, [group.id] if self.alone else [*refs, group.id])
        # Only now: while it was in its own groups it would have been given their jobs.
        if self.alone:
            self._client.enable_agent(agent.id)
        return group.name

    def leave(self, agent: Agent) -> None:
        living = [*self._living.values(), *self._made.values()]
        persist(lambda: put_back(self._client, agent.id, living), self._clock)
        self._inside.pop(agent.id, None)

    def close(self) -> None:
        """Delete the groups. One that an agent could not be taken out of stays: the next sweep does both."""
        for number in {group.id for group in self._made.values()} - {*self._inside.values()}:
            persist(partial(self._client.drop_passing_group, number), self._clock)


def _is_of_proofs(name: str) -> bool:
    own = OwnGroup.parse(name)
    return own.kind == "proof" if own else is_earlier_group(name)

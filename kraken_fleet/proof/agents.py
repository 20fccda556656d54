"""Proof that one particular agent works.

The server hands jobs to groups, not to agents. For its proof an agent is therefore alone in one of a few permanent
groups, `kraken-fleet-verify-1` and so on, and in no other: it gets the job of the proof, and nobody else's job is
risked on it. Afterwards it is in its groups again, and enabled or disabled as it was. The groups stay: deleting one
that a job still refers to would hurt, an empty one does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import VerificationError
from kraken_fleet.model import ALL_GROUP, Agent
from kraken_fleet.proof.groups import GroupProof, verify_groups
from kraken_fleet.reconcile.clock import Clock

GROUP_PREFIX = "kraken-fleet-verify-"
# So many agents are proven at the same time, each in a group of its own.
SLOTS = 8


def verify_agents(
    client: KrakenClient, agents: Sequence[Agent], *, timeout: float = 120.0, clock: Clock | None = None
) -> Iterator[tuple[Agent, GroupProof]]:
    """Runs a job on each of these agents and yields what became of it, in no particular order.

    Args:
        agents: authorized ones; disabled ones are enabled for their proof only.
        timeout: seconds for the job of an agent.

    Raises:
        VerificationError: other agents are in all of the groups, or no run could be started.
        ServerError: see kraken_fleet.errors.
    """
    for first in range(0, len(agents), SLOTS):
        yield from _chunk(client, agents[first : first + SLOTS], timeout, clock)


def _chunk(
    client: KrakenClient, agents: Sequence[Agent], timeout: float, clock: Clock | None
) -> Iterator[tuple[Agent, GroupProof]]:
    living = client.groups()
    numbers, kept = {group.name: group.id for group in living}, {group.id for group in living}
    places = dict(zip(_free(client, agents, numbers), agents, strict=False))
    with ExitStack() as stack:
        for name, agent in places.items():
            if name not in numbers:
                numbers[name] = client.create_group(name).id
            stack.callback(_put_back, client, agent, numbers, kept)
            client.set_agent_groups(agent.id, [numbers[name]])
            client.set_agent_disabled(agent.id, False)  # noqa: FBT003 - its second argument is the verb's sense
        for proof in verify_groups(client, list(places), timeout=timeout, clock=clock):
            agent = places[proof.group]
            yield agent, _of(agent, proof)


def _free(client: KrakenClient, agents: Sequence[Agent], numbers: dict[str, int]) -> list[str]:
    """Names of as many groups as there are agents; those that another controller uses now are passed over."""
    mine = {agent.id for agent in agents}
    taken = {ref.id for agent in client.agents() if agent.id not in mine for ref in agent.groups}
    names = [f"{GROUP_PREFIX}{number}" for number in range(1, 4 * SLOTS + 1)]
    free = [name for name in names if numbers.get(name) not in taken]
    if len(free) < len(agents):
        hint = f"Wait for other verifications to end, or take the agents out of the groups {GROUP_PREFIX}..."
        raise VerificationError("other agents are in the groups for verification", where=client.url, hint=hint)
    return free[: len(agents)]


def _put_back(client: KrakenClient, agent: Agent, numbers: dict[str, int], living: set[int]) -> None:
    """As it was, save for groups that have been deleted.

    One that an interrupted verification has left in its group comes into `all`, where authorization had put it.
    """
    slots = {number for name, number in numbers.items() if name.startswith(GROUP_PREFIX)}
    groups = {ref.id for ref in agent.groups} & living
    if groups & slots:
        groups = (groups - slots) | {numbers[ALL_GROUP]}
    if agent.disabled:
        client.set_agent_disabled(agent.id, True)  # noqa: FBT003 - as above
    client.set_agent_groups(agent.id, groups)


def _of(agent: Agent, proof: GroupProof) -> GroupProof:
    if proof.proven and proof.agent != agent.name:
        why = f"its job was run by {proof.agent}: somebody has put that agent into the group {proof.group}"
        return dataclasses.replace(proof, failure=why, hint="Verify it again")
    return proof

"""What an upgrade does on the server, batch by batch: who is upgraded together, and who is drained for it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, PartialFailureError
from kraken_fleet.model import Agent, DesiredFleet, Owner
from kraken_fleet.plan import batches
from kraken_fleet.reconcile.clock import Clock
from kraken_fleet.reconcile.events import Event
from kraken_fleet.reconcile.leftovers import sweep
from kraken_fleet.reconcile.lifecycle import drain
from kraken_fleet.reconcile.upgrade import left_out_of_service, take_out, who_is_out


@dataclass(frozen=True, slots=True)
class Batches:
    """The hosts of an upgrade.

    Args:
        hosts: of each batch, in their order.
        left: hosts whose agents an upgrade that was broken off has left disabled: they are upgraded first.
    """

    hosts: Sequence[Sequence[str]]
    left: Sequence[str]


def upgrade_batches(
    client: KrakenClient,
    fleet: DesiredFleet,
    owner: Owner,
    sizes: Sequence[int | str],
    most_out: int | str,
    *,
    check: bool = False,
) -> Batches:
    """Divide the hosts of a fleet, so that with what is disabled on the server now no group lacks too many agents.

    Args:
        fleet: agents whose address the server does not know count as enabled.
        owner: whose upgrade it is.
        sizes: see kraken_fleet.plan.batches; so is the next one.
        most_out: of each group.
        check: change nothing on the server, not even what ended processes have left there.

    Raises:
        UsageError: a size is no number.
        ServerError: see kraken_fleet.errors; so do all functions here.
    """
    if not check:
        sweep(client, client.server_time())
    known = {agent.address: agent for agent in client.agents()}
    wanted = fleet.by_address()
    left = {agent.id for agent in left_out_of_service([*known.values()], who_is_out(client, owner))}
    idle: Counter[str] = Counter()
    for agent in known.values():
        if agent.disabled and agent.address not in wanted:
            idle.update(agent.group_names)
    pairs = [(one, known[address]) for address, one in wanted.items() if address in known]
    resting = [one for one, agent in pairs if agent.disabled and agent.id not in left]
    hosts = sorted({one.host for one, agent in pairs if agent.id in left})
    # They are out already. Were others taken out first, more would be out at once than may be.
    ordered = sorted(fleet.agents, key=lambda one: one.host not in hosts)
    return Batches(batches(ordered, sizes, most_out, idle, resting), hosts)


@dataclass(frozen=True, slots=True)
class ToDrain:
    """The agents of a batch that get or have jobs.

    Args:
        coming_back: those that are enabled afterwards: they are now, or an upgrade that was broken off disabled them.
        ending: disabled ones that still run a job. They stay disabled.
    """

    coming_back: Sequence[Agent]
    ending: Sequence[Agent]

    @property
    def working(self) -> list[Agent]:
        """Those for which there is something to do."""
        return [agent for agent in (*self.coming_back, *self.ending) if agent.enabled or agent.job]


def to_drain(client: KrakenClient, agents: Sequence[Agent], owner: Owner) -> ToDrain:
    """Say which of the agents of a batch have to be drained."""
    left = {agent.id for agent in left_out_of_service(agents, who_is_out(client, owner))}
    back = [agent for agent in agents if agent.enabled or agent.id in left]
    return ToDrain(back, [agent for agent in agents if agent.job and agent not in back])


def drain_batch(
    client: KrakenClient,
    agents: Sequence[Agent],
    drained: ToDrain,
    owner: Owner,
    *,
    max_unavailable: str,
    timeout: float,
    clock: Clock | None = None,
) -> Generator[Event, None, dict[str, str]]:
    """Take the agents of a batch out of service, and wait until their jobs have ended; yield what happens meanwhile.

    Args:
        agents: all of the batch.
        drained: what to_drain has said of them.
        max_unavailable: see take_out; so is the next one.
        timeout: in seconds.

    Returns:
        why agents could not be drained, by address. Those too have to be given back.
    """

    out = take_out(client, drained.coming_back, owner, max_unavailable=max_unavailable, timeout=timeout, clock=clock)
    ending = drain(client, drained.ending, timeout, clock=clock) if drained.ending else ()
    try:
        yield from itertools.chain(out, ending)
    except PartialFailureError as error:
        addresses = {agent.name: agent.address for agent in agents}
        return {addresses.get(name, name): reason for name, reason in error.failures.items()}
    except FleetError as error:
        # What is out of service comes back at the end, which a failure here must not prevent.
        return dict.fromkeys([agent.address for agent in agents], str(error))
    return {}

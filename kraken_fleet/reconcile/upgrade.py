"""Taking agents out of service for an upgrade, so that they come back whatever happens to the process that does it.

Who is out is in an agents group that says whose upgrade it is (kraken_fleet.model.own_groups). Other controllers see by
it how many are out, and whoever comes after a process that was killed sees which agents have to come back.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError
from kraken_fleet.model import ALL_GROUP, Agent, AgentsGroup, Owner, OwnGroup, is_own_group
from kraken_fleet.plan import share
from kraken_fleet.reconcile.clock import Clock, SystemClock
from kraken_fleet.reconcile.events import Crowded, Event
from kraken_fleet.reconcile.leftovers import persist, put_back, sweep
from kraken_fleet.reconcile.lifecycle import drain
from kraken_fleet.reconcile.owner import is_left

_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Out:
    """The agents that are out of service on a server, as the names of groups say it.

    Args:
        mine: ids of the groups of this upgrade.
        others: of upgrades that go on.
        left: of upgrades that were broken off.
    """

    mine: frozenset[int] = field(default=frozenset())
    others: frozenset[int] = field(default=frozenset())
    left: frozenset[int] = field(default=frozenset())


def who_is_out(client: KrakenClient, owner: Owner | None = None) -> Out:
    """Return the groups of upgrades, by whose they are.

    Raises:
        ServerError: see kraken_fleet.errors; so do all functions here.
    """
    found: dict[str, set[int]] = {"mine": set(), "others": set(), "left": set()}
    now = client.server_time()
    for group in client.groups():
        own = OwnGroup.parse(group.name)
        if own and own.kind == "upgrade":
            whose = "mine" if own.owner == owner else "left" if is_left(own, now) else "others"
            found[whose].add(group.id)
    return Out(**{name: frozenset(ids) for name, ids in found.items()})


def left_out_of_service(agents: Sequence[Agent], out: Out) -> list[Agent]:
    """Return the agents that are still disabled by an upgrade that was broken off."""
    return [agent for agent in agents if agent.disabled and _in(agent, out.left)]


def take_out(
    client: KrakenClient,
    agents: Sequence[Agent],
    owner: Owner,
    *,
    max_unavailable: str,
    timeout: float,
    clock: Clock | None = None,
    chance: Callable[[], float] = random.random,
) -> Iterator[Event]:
    """Disable agents for an upgrade once other upgrades leave room for it, and wait until their jobs have ended.

    Args:
        agents: those that are to come back afterwards.
        owner: whose upgrade it is.
        max_unavailable: how many agents of a group may be out at once, a number or a percentage of the group.
        timeout: seconds to wait for other upgrades, and again for jobs.

    Raises:
        FleetError: other upgrades left no room in that time.
        PartialFailureError: at the end: some could not be disabled, or still run a job.
    """
    if not agents:
        return
    clock = clock or SystemClock()
    sweep(client, client.server_time())
    since = int(client.server_time().timestamp())
    made = client.make_passing_group(OwnGroup("upgrade", owner, since, secrets.randbelow(10**6)).name)
    started = clock.now()
    while True:
        for agent in agents:
            _join(client, agent.id, made.id)
        # Who comes second sees the one who came first: each writes before it reads.
        crowded = _crowded(client, agents, owner, max_unavailable)
        if not crowded:
            break
        for agent in agents:
            _leave(client, agent.id, {made.id})
        if clock.now() - started >= timeout:
            client.drop_passing_group(made.id)
            hint = "Wait for it, or allow more with kraken_upgrade_max_unavailable"
            text = f"After {timeout:g} s another upgrade still has agents of {', '.join(crowded)} disabled"
            raise FleetError(text, where=client.url, hint=hint)
        yield Crowded(groups=tuple(crowded), seconds=clock.now() - started)
        # A random pause: two upgrades that made way for each other at one moment must not return at one moment.
        clock.sleep(_PAUSE * (1 + 2 * chance()))
    yield from drain(client, agents, timeout, clock=clock)


def give_back(
    client: KrakenClient,
    owner: Owner,
    keep_out: Collection[int] = (),
    *,
    doubtful: Collection[int] = (),
    clock: Clock | None = None,
) -> tuple[list[Agent], dict[str, str]]:
    """Enable the agents that this upgrade has taken out, again when the server fails at it.

    Args:
        keep_out: ids of those that stay disabled: they do not work.
        doubtful: ids of those that stay as they are, for whoever comes after this process: it does not know.

    Returns:
        those that have come back, and why others have not, by address.
    """
    failures = _end_proofs(client, owner, clock)
    out = who_is_out(client, owner)
    back = []
    agents = [one for one in client.agents() if _in(one, out.mine)] if out.mine else []
    for agent in [one for one in agents if one.id not in doubtful]:
        try:
            if agent.id not in keep_out:
                persist(lambda number=agent.id: client.enable_agent(number), clock)  # type: ignore[misc]
                back.append(agent)
            persist(lambda number=agent.id: _leave(client, number, out.mine | out.left), clock)  # type: ignore[misc]
        except FleetError as error:
            failures[agent.address] = str(error)
    if not failures and not any(agent.id in doubtful for agent in agents):
        for number in out.mine:
            persist(lambda group=number: client.drop_passing_group(group), clock)  # type: ignore[misc]
    if out.left:
        sweep(client, client.server_time())
    return back, failures


def _end_proofs(client: KrakenClient, owner: Owner, clock: Clock | None) -> dict[str, str]:
    """Put agents back that a proof of this process has left, because the server failed; say why others are not."""
    living = tuple(client.groups())
    mine = {
        group.id
        for group in living
        if (own := OwnGroup.parse(group.name)) and own.kind == "proof" and own.owner == owner
    }
    failures = {}
    for agent in [one for one in client.agents() if _in(one, mine)] if mine else []:
        try:
            persist(lambda number=agent.id: put_back(client, number, living), clock)  # type: ignore[misc]
        except FleetError as error:
            failures[agent.address] = str(error)
    if not failures:
        for number in mine:
            persist(lambda group=number: client.drop_passing_group(group), clock)  # type: ignore[misc]
    return failures


def _crowded(client: KrakenClient, agents: Sequence[Agent], owner: Owner, max_unavailable: str) -> list[str]:
    """Return the groups of which more agents would be out than may be, because of other upgrades."""
    out, known = who_is_out(client, owner), client.agents()
    mine = {agent.id for agent in agents}
    crowded = []
    for group in _groups_of(client, agents):
        members = [agent for agent in known if _belongs(agent, {group.id})]
        elsewhere = [agent for agent in members if agent.id not in mine]
        theirs = sum(_belongs(agent, out.others) for agent in elsewhere)
        idle = sum(agent.disabled and not _belongs(agent, out.others) for agent in elsewhere)
        # Without other upgrades there is nothing to wait for: upgrade_batches has made this batch for the same limit,
        # and lets it have one agent of a group even where agents that are disabled already leave no room.
        if theirs and theirs + idle + len(members) - len(elsewhere) > share(max_unavailable, len(members)):
            crowded.append(group.name)
    return crowded


def _groups_of(client: KrakenClient, agents: Sequence[Agent]) -> list[AgentsGroup]:
    ids = {ref.id for agent in agents for ref in agent.groups}
    return [
        group
        for group in client.groups()
        if group.id in ids and group.name != ALL_GROUP and not is_own_group(group.name)
    ]


def _belongs(agent: Agent, groups: Collection[int]) -> bool:
    """Say whether an agent is in one of these groups, or was until its proof began, which gives it back to them."""
    proofs = (own for ref in agent.groups if (own := OwnGroup.parse(ref.name)) and own.kind == "proof")
    return _in(agent, groups) or any(number in groups for own in proofs for number in own.groups or ())


def _in(agent: Agent, groups: Collection[int]) -> bool:
    return any(ref.id in groups for ref in agent.groups)


def _join(client: KrakenClient, agent_id: int, group: int) -> None:
    ids = {ref.id for ref in client.agent(agent_id).groups}
    if group not in ids:
        client.set_agent_groups(agent_id, ids | {group})


def _leave(client: KrakenClient, agent_id: int, groups: Collection[int]) -> None:
    ids = {ref.id for ref in client.agent(agent_id).groups}
    if ids & {*groups}:
        client.set_agent_groups(agent_id, ids - {*groups})

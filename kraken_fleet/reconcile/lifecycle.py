"""Disabling agents without cutting off a job, enabling them again, and removing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, PartialFailureError
from kraken_fleet.model import Agent, Disabling
from kraken_fleet.reconcile.clock import Clock, SystemClock
from kraken_fleet.reconcile.disabling import enable_agent, keep, tidy
from kraken_fleet.reconcile.events import Changed, Draining, Event, Failed
from kraken_fleet.reconcile.parallel import each, told

_INTERVAL = 1.0
# The scheduler may just be handing out a job while an agent is disabled; it shows in the next look.
_LOOKS = 2


def disable(
    client: KrakenClient, agents: Sequence[Agent], *, why: Disabling | None = None, concurrency: int = 8
) -> Iterator[Event]:
    """Give agents no more jobs; those that they run go on.

    Args:
        why: is kept on the server until they are enabled again.

    Raises:
        PartialFailureError: at the end: some could not be disabled.
    """
    failures: dict[str, str] = {}
    yield from told(_disable_each(client, agents, why, concurrency), failures, _name, lambda _: "disabled")
    _report("disabled", failures, len(agents))


def drain(
    client: KrakenClient,
    agents: Sequence[Agent],
    timeout: float,
    *,
    why: Disabling | None = None,
    concurrency: int = 8,
    clock: Clock | None = None,
) -> Iterator[Event]:
    """Disable agents and wait until the jobs that they run have ended.

    Args:
        timeout: seconds to wait for those; the agents stay disabled after it.
        why: is kept on the server until they are enabled again.

    Raises:
        PartialFailureError: at the end: some could not be disabled, or still run a job.
    """
    clock = clock or SystemClock()
    failures: dict[str, str] = {}
    draining: dict[int, Agent] = {}
    for agent, error in _disable_each(client, agents, why, concurrency):
        if error:
            failures[agent.name] = str(error)
            yield Failed(subject=agent.name, reason=str(error))
        else:
            draining[agent.id] = agent
    started = clock.now()
    idle = dict.fromkeys(draining, 0)
    while draining:
        busy = {agent.id: agent.job.id for agent in client.agents() if agent.id in draining and agent.job}
        for number in list(draining):
            idle[number] = 0 if number in busy else idle[number] + 1
            if idle[number] >= _LOOKS:
                yield Changed(subject=draining.pop(number).name, state="drained")
        # Agents without a job only need their second look, which a time-out should not turn into a failure.
        if draining and clock.now() - started >= timeout and busy:
            break
        if busy:
            named = {draining[number].name: job for number, job in busy.items()}
            yield Draining(busy=named, seconds=clock.now() - started)
        if draining:
            clock.sleep(_INTERVAL)
    for agent in draining.values():
        failures[agent.name] = f"still runs a job after {timeout:g} s; it is disabled and gets no other"
        yield Failed(subject=agent.name, reason=failures[agent.name])
    _report("drained", failures, len(agents))


def enable(client: KrakenClient, agents: Sequence[Agent], *, concurrency: int = 8) -> Iterator[Event]:
    """Let agents have jobs again.

    Raises:
        PartialFailureError: at the end: some could not be enabled.
    """
    failures: dict[str, str] = {}
    left: set[int] = set()
    outcomes = each(agents, lambda one: left.update(enable_agent(client, one.id)), concurrency)
    yield from told(outcomes, failures, _name, lambda _: "enabled")
    if left:
        tidy(client, left)
    _report("enabled", failures, len(agents))


def remove(client: KrakenClient, agents: Sequence[Agent]) -> Iterator[Event]:
    """Delete agents' records, slowly: each costs the server background work in the queue that also completes jobs.

    An agent that still runs on its host comes back as discovered and disabled: stop it there first.

    Raises:
        PartialFailureError: at the end: some could not be deleted.
    """
    failures: dict[str, str] = {}
    outcomes = each(agents, lambda one: client.delete_agent(one.id), 1)
    yield from told(outcomes, failures, _name, lambda _: "removed")
    _report("removed", failures, len(agents))


def _disable_each(
    client: KrakenClient, agents: Sequence[Agent], why: Disabling | None, concurrency: int
) -> Iterator[tuple[Agent, FleetError | None]]:
    if not agents:
        return
    group = client.make_passing_group(why.group_name) if why else None

    def work(agent: Agent) -> None:
        client.disable_agent(agent.id)
        # Only now: an agent in the group that is enabled is taken out of it again.
        if group:
            keep(client, agent.id, group.id)

    yield from each(agents, work, concurrency)
    if any(agent.disabling for agent in agents):  # what was said before has been replaced
        tidy(client)


def _name(agent: Agent) -> str:
    return agent.name


def _report(state: str, failures: dict[str, str], total: int) -> None:
    if failures:
        raise PartialFailureError(f"{len(failures)} of {total} agents could not be {state}", failures=failures)

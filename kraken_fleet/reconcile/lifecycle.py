"""Taking agents out of work without cutting off a job, putting them back, and removing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import PartialFailureError
from kraken_fleet.model import Agent
from kraken_fleet.reconcile.clock import Clock, SystemClock
from kraken_fleet.reconcile.events import Changed, Draining, Event, Failed
from kraken_fleet.reconcile.parallel import each

_INTERVAL = 1.0
# The scheduler may just be handing out a job while an agent is disabled; it shows in the next look.
_LOOKS = 2


def drain(
    client: KrakenClient, agents: Sequence[Agent], timeout: float, *, concurrency: int = 8, clock: Clock | None = None
) -> Iterator[Event]:
    """Disable agents and wait until the jobs that they run have ended.

    Args:
        timeout: seconds to wait for those; the agents stay disabled after it.

    Raises:
        PartialFailureError: at the end: some could not be disabled, or still run a job.
    """
    clock = clock or SystemClock()
    failures: dict[str, str] = {}
    waiting: dict[int, Agent] = {}
    for agent, error in each(agents, lambda one: client.disable_agent(one.id), concurrency):
        if error:
            failures[agent.name] = str(error)
            yield Failed(subject=agent.name, reason=str(error))
        else:
            waiting[agent.id] = agent
    started = clock.now()
    idle = dict.fromkeys(waiting, 0)
    while waiting:
        busy = {agent.id: agent.job.id for agent in client.agents() if agent.id in waiting and agent.job}
        for number in list(waiting):
            idle[number] = 0 if number in busy else idle[number] + 1
            if idle[number] >= _LOOKS:
                yield Changed(subject=waiting.pop(number).name, state="drained")
        # Agents without a job only need their second look, which a time-out should not turn into a failure.
        if waiting and clock.now() - started >= timeout and busy:
            break
        if busy:
            named = {waiting[number].name: job for number, job in busy.items()}
            yield Draining(busy=named, seconds=clock.now() - started)
        if waiting:
            clock.sleep(_INTERVAL)
    for agent in waiting.values():
        failures[agent.name] = f"still runs a job after {timeout:g} s; it is disabled and gets no other"
        yield Failed(subject=agent.name, reason=failures[agent.name])
    _report("drained", failures, len(agents))


def enable(client: KrakenClient, agents: Sequence[Agent], *, concurrency: int = 8) -> Iterator[Event]:
    """Let agents have jobs again.

    Raises:
        PartialFailureError: at the end: some could not be enabled.
    """
    failures: dict[str, str] = {}
    for agent, error in each(agents, lambda one: client.enable_agent(one.id), concurrency):
        if error:
            failures[agent.name] = str(error)
            yield Failed(subject=agent.name, reason=str(error))
        else:
            yield Changed(subject=agent.name, state="enabled")
    _report("enabled", failures, len(agents))


def remove(client: KrakenClient, agents: Sequence[Agent]) -> Iterator[Event]:
    """Delete agents' records, slowly: each costs the server background work in the queue that also completes jobs.

    An agent that still runs on its host comes back as discovered and disabled: stop it there first.

    Raises:
        PartialFailureError: at the end: some could not be deleted.
    """
    failures: dict[str, str] = {}
    for agent, error in each(agents, lambda one: client.delete_agent(one.id), 1):
        if error:
            failures[agent.name] = str(error)
            yield Failed(subject=agent.name, reason=str(error))
        else:
            yield Changed(subject=agent.name, state="removed")
    _report("removed", failures, len(agents))


def _report(state: str, failures: dict[str, str], total: int) -> None:
    if failures:
        raise PartialFailureError(f"{len(failures)} of {total} agents could not be {state}", failures=failures)

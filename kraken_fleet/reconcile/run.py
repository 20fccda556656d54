"""The whole of it: wait for the agents, compare, change; once, or again and again."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import datetime

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, PartialFailureError
from kraken_fleet.model import DesiredFleet
from kraken_fleet.plan import PlanPolicy, make_plan
from kraken_fleet.reconcile.apply import apply
from kraken_fleet.reconcile.arrival import arrivals
from kraken_fleet.reconcile.clock import Clock, SystemClock
from kraken_fleet.reconcile.disabling import seconds_to_next_end
from kraken_fleet.reconcile.events import Event, Planned, RoundFailed, Sleeping
from kraken_fleet.reconcile.memories import Memories
from kraken_fleet.reconcile.observe import observe
from kraken_fleet.reconcile.trial import TRIAL_TIMEOUT


def reconcile(
    client: KrakenClient,
    desired: DesiredFleet,
    policy: PlanPolicy | None = None,
    *,
    timeout: float = 0.0,
    seen_after: Mapping[str, datetime] | None = None,
    dry_run: bool = False,
    concurrency: int = 8,
    trial_timeout: float = TRIAL_TIMEOUT,
    clock: Clock | None = None,
    now: Callable[[], datetime] | None = None,
    memories: Memories | None = None,
) -> Iterator[Event]:
    """Make the server as the inventory wants it.

    Args:
        policy: what a plan may do; the default authorizes agents as the inventory says.
        timeout: seconds to wait for agents that the server does not know yet.
        seen_after: by host: an agent counts once it was seen after this moment, its deploy.
        dry_run: plan only; nothing is waited for or changed.
        concurrency: how many requests are on their way at the same time.
        trial_timeout: seconds for an agent on trial to say what it is.
        now: the time of day, in UTC; default the server's.
        memories: of what earlier commands have seen.

    Raises:
        PartialFailureError: at the end: some agents never appeared or could not be changed; the others are done.
        FleetError: nothing could be done.
    """
    clock = clock or SystemClock()
    memories = memories or Memories()
    policy = memories.policy(policy or PlanPolicy(), desired)
    missing: dict[str, str] = {}
    if timeout and not dry_run:
        missing = yield from _wait(client, desired, timeout, clock, seen_after)
    observed = observe(client, names=desired.groups, memory=memories.groups, peers=memories.peers)
    plan = make_plan(desired, observed, policy, now=now() if now else client.server_time(), server=client.url)
    yield Planned(plan=plan)
    failures: dict[str, str] = {}
    if not dry_run:
        try:
            events = apply(
                client,
                plan,
                observed=observed,
                trust=policy.trust or (),
                declared=desired.declared_groups,
                concurrency=concurrency,
                clock=clock,
                trial_timeout=trial_timeout,
            )
            yield from memories.nonces.forgetting(plan, events) if memories.nonces else events
        except PartialFailureError as error:
            failures = error.failures
    _report({**missing, **failures})


def _wait(
    client: KrakenClient,
    desired: DesiredFleet,
    timeout: float,
    clock: Clock,
    seen_after: Mapping[str, datetime] | None,
) -> Generator[Event, None, dict[str, str]]:
    """Wait for the agents of a fleet; return why some have not come, by their hosts."""
    arrival = yield from arrivals(client, desired, timeout, clock=clock, seen_after=seen_after)
    yield from arrival.missing
    return {absent.host: f"{absent.reason}. {absent.hint}" for absent in arrival.missing}


def watch(
    client: KrakenClient,
    load: Callable[[], DesiredFleet],
    policy: PlanPolicy | None = None,
    *,
    interval: float = 300.0,
    jitter: float = 0.1,
    rounds: int | None = None,
    clock: Clock | None = None,
    chance: Callable[[], float] = random.random,
    now: Callable[[], datetime] | None = None,
    memories: Memories | None = None,
) -> Iterator[Event]:
    """Do `reconcile` again and again; a round that fails is reported, and the next one follows.

    Args:
        load: reads the inventory, anew in each round.
        interval: seconds from the end of a round to the next one; that comes earlier when an agent is to be enabled
            again before.
        jitter: up to this part of the interval is added or taken, so that many controllers do not come at once.
        rounds: how many; None for ever.
        chance: a number from 0 to 1.
        memories: of what earlier commands have seen.
    """
    clock = clock or SystemClock()
    done = 0
    while rounds is None or done < rounds:
        try:
            yield from reconcile(client, load(), policy, clock=clock, now=now, memories=memories)
        except FleetError as error:
            yield RoundFailed(error=error.as_dict())
        done += 1
        if rounds is None or done < rounds:
            pause = _until_next_end(client, interval * (1 + jitter * (2 * chance() - 1)))
            yield Sleeping(seconds=pause)
            clock.sleep(pause)


def _until_next_end(client: KrakenClient, pause: float) -> float:
    try:
        end = seconds_to_next_end(client)
    except FleetError:
        return pause  # the next round says what is wrong
    # Its time has come a moment later: times on the server have whole seconds.
    return pause if end is None else min(pause, end + 1)


def _report(failures: dict[str, str]) -> None:
    if failures:
        raise PartialFailureError(
            f"{len(failures)} agents or groups are not as they should be",
            failures=failures,
            hint="The others are done; correct what is named and run it again",
        )

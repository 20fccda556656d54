"""Doing what a plan says: in bulk where the server allows it, side by side where it does not.

One agent's failure stops only that agent; a server that is gone stops everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, PartialFailureError, PlanError, RequestRejectedError
from kraken_fleet.model import ALL_GROUP, AgentsGroup, DesiredFleet, ObservedFleet
from kraken_fleet.plan import (
    Action,
    Authorize,
    CreateGroup,
    DeleteAgent,
    Disable,
    Enable,
    Plan,
    Recheck,
    RenameGroup,
    SetGroups,
    TrustPolicy,
    Unauthorize,
    check_fresh,
)
from kraken_fleet.plan.membership import LivingGroups
from kraken_fleet.reconcile.clock import Clock, SystemClock
from kraken_fleet.reconcile.events import Done, Event, Failed, Finished, TrialFailed
from kraken_fleet.reconcile.group_memory import GroupMemory
from kraken_fleet.reconcile.observe import observe
from kraken_fleet.reconcile.parallel import FATAL, each
from kraken_fleet.reconcile.trial import TRIAL_TIMEOUT, hold_trials

# One PATCH of this many agents takes the real server well under a second.
CHUNK = 500


def apply(
    client: KrakenClient,
    plan: Plan,
    *,
    observed: ObservedFleet | None = None,
    trust: Sequence[TrustPolicy] = (),
    concurrency: int = 8,
    clock: Clock | None = None,
    trial_timeout: float = TRIAL_TIMEOUT,
) -> Iterator[Event]:
    """Makes the changes of a plan; without any, nothing is sent.

    Args:
        observed: the server as the plan saw it, to spare reading its groups again.
        trust: the policies that judge agents on trial; a plan holds no secrets.
        concurrency: how many requests are on their way at the same time; the client has 8 connections.
        trial_timeout: seconds for an agent on trial to say what it is.

    Raises:
        PlanError: pruning was refused, or the policy of an agent on trial is not given.
        PartialFailureError: at the end, when some changes failed; it names them.
        ServerError: the server is gone, or the account may not do this.
    """
    if plan.prune.refused:
        raise PlanError(plan.prune.refused, hint="Raise --max-prune if that is meant")
    _check_judges(plan, trust)
    if not plan.changes:
        return
    yield from _Run(client, plan, observed, trust, concurrency, clock or SystemClock(), trial_timeout).events()


def apply_saved(
    client: KrakenClient,
    plan: Plan,
    *,
    desired: DesiredFleet | None = None,
    trust: Sequence[TrustPolicy] = (),
    concurrency: int = 8,
    memory: GroupMemory | None = None,
) -> Iterator[Event]:
    """Makes the changes of a plan that was made earlier, after seeing that it still fits.

    Args:
        desired: the inventory now, when it is at hand.
        memory: of deleted groups, see observe.

    Raises:
        PlanError: the plan is stale or for another server.
        others: as apply.
    """
    observed = observe(client, names=plan.groups, memory=memory)
    check_fresh(plan, observed, server=client.url, desired=desired)
    yield from apply(client, plan, observed=observed, trust=trust, concurrency=concurrency)


class _Run:
    """One application of a plan: what failed so far, and which groups there are by now."""

    def __init__(
        self,
        client: KrakenClient,
        plan: Plan,
        observed: ObservedFleet | None,
        trust: Sequence[TrustPolicy],
        concurrency: int,
        clock: Clock,
        trial_timeout: float,
    ) -> None:
        self._client = client
        self._plan = plan
        self._observed = observed
        self._trust = trust
        self._concurrency = concurrency
        self._clock = clock
        self._trial_timeout = trial_timeout
        self._groups: dict[str, int] = {}
        self._done = 0
        self._total = len(plan.actions) - len(plan.of(Recheck))
        self._failures: dict[str, str] = {}
        self._spoilt: set[int] = set()

    def events(self) -> Iterator[Event]:
        started = self._clock.now()
        plan = self._plan
        yield from self._trials(plan.of(Recheck))
        yield from self._each(plan.of(RenameGroup), self._rename, workers=1)
        if plan.summary().keys() & {SetGroups.kind, CreateGroup.kind}:
            self._groups = dict(LivingGroups.of(self._living()).ids)
        yield from self._create(plan.of(CreateGroup))
        yield from self._each(plan.of(Disable), lambda item: self._client.disable_agent(item.agent_id))
        yield from self._authorize(plan.of(Authorize), authorized=True)
        yield from self._each(plan.of(SetGroups), self._set_groups)
        yield from self._each(plan.of(Enable), lambda item: self._client.enable_agent(item.agent_id))
        yield from self._authorize(plan.of(Unauthorize), authorized=False)
        yield from self._each(plan.of(DeleteAgent), self._delete, workers=1)
        yield from self._trials([action for action in plan.of(Authorize) if action.on_trial])
        yield Finished(done=self._done, failed=len(self._failures), seconds=self._clock.now() - started)
        if self._failures:
            raise PartialFailureError(
                f"{len(self._failures)} of {len(plan.actions)} changes could not be made",
                failures=self._failures,
                hint="Correct what is named and run it again",
            )

    def _living(self) -> Iterable[AgentsGroup]:
        return self._client.groups() if self._observed is None or self._plan.of(RenameGroup) else self._observed.groups

    def _each(
        self, actions: Sequence[Action], work: Callable[..., object], *, workers: int | None = None
    ) -> Iterator[Event]:
        able = [action for action in actions if getattr(action, "agent_id", None) not in self._spoilt]
        for action, error in each(able, work, workers or self._concurrency):
            yield self._fail(action, error) if error else self._succeed(action)

    def _authorize(self, actions: Sequence[Authorize | Unauthorize], *, authorized: bool) -> Iterator[Event]:
        able = {action.agent_id: action for action in actions if action.agent_id not in self._spoilt}
        numbers = sorted(able)
        for first in range(0, len(numbers), CHUNK):
            for number, error in self._patch(numbers[first : first + CHUNK], authorized=authorized):
                yield self._fail(able[number], error) if error else self._succeed(able[number])

    def _patch(self, numbers: Sequence[int], *, authorized: bool) -> Iterator[tuple[int, FleetError | None]]:
        """One request for all; when the server refuses it for one of them, halves, to find which."""
        try:
            self._client.set_authorized(numbers, authorized)
        except RequestRejectedError as error:
            if len(numbers) == 1:
                yield numbers[0], error
                return
            middle = len(numbers) // 2
            yield from self._patch(numbers[:middle], authorized=authorized)
            yield from self._patch(numbers[middle:], authorized=authorized)
        except FATAL:
            raise
        except FleetError as error:
            yield from ((number, error) for number in numbers)
        else:
            yield from ((number, None) for number in numbers)

    def _rename(self, action: RenameGroup) -> None:
        if action.name == ALL_GROUP and action.deleted:
            self._client.heal_group_name(ALL_GROUP)
        else:
            self._client.rename_group(action.group_id, action.new_name)

    def _create(self, actions: Sequence[CreateGroup]) -> Iterator[Event]:
        made = dict(self._client.create_groups(action.name for action in actions if action.name not in self._groups))
        self._groups |= {name: group.id for name, group in made.items() if isinstance(group, AgentsGroup)}
        for action in actions:
            group = made.get(action.name)
            yield self._fail(action, group) if isinstance(group, FleetError) else self._succeed(action)

    def _set_groups(self, action: SetGroups) -> None:
        missing = [name for name in action.added if name not in self._groups]
        if missing:
            raise PlanError(f"the agents group {', '.join(missing)} does not exist")
        self._client.set_agent_groups(action.agent_id, {*action.kept, *(self._groups[name] for name in action.added)})

    def _delete(self, action: DeleteAgent) -> None:
        self._client.delete_agent(action.agent_id)

    def _trials(self, actions: Sequence[Authorize | Recheck]) -> Iterator[Event]:
        trials = {action.label: action for action in actions if action.agent_id not in self._spoilt}
        if not trials:
            return
        before = {agent.id: agent.host_info for agent in self._observed.agents} if self._observed else {}
        events = hold_trials(
            self._client,
            list(trials.values()),
            self._trust,
            before=before,
            timeout=self._trial_timeout,
            clock=self._clock,
            concurrency=self._concurrency,
        )
        for event in events:
            if isinstance(event, Failed | TrialFailed):
                self._failures[event.subject] = event.reason
                self._spoilt.add(trials[event.subject].agent_id)
            yield event

    def _succeed(self, action: Action) -> Done:
        self._done += 1
        return Done(action=action, number=self._done, total=self._total)

    def _fail(self, action: Action, error: FleetError) -> Failed:
        subject = action.name if isinstance(action, CreateGroup | RenameGroup) else action.label
        if not isinstance(action, CreateGroup | RenameGroup):
            self._spoilt.add(action.agent_id)
        self._failures[subject] = f"{action.describe()}: {error}"
        return Failed(subject=subject, reason=str(error), action=action)


def _check_judges(plan: Plan, trust: Sequence[TrustPolicy]) -> None:
    given = {policy.name for policy in trust}
    on_trial: list[Authorize | Recheck] = [action for action in plan.of(Authorize) if action.on_trial]
    for action in (*plan.of(Recheck), *on_trial):
        if action.policy not in given:
            raise PlanError(
                f"the plan puts {action.label} on trial, and its policy {action.policy} is not given",
                hint="Apply it with the same trust policy, or make a new plan",
            )

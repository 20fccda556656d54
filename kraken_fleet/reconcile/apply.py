"""Doing what a plan says: in bulk where the server allows it, side by side where it does not.

One agent's failure stops only that agent; a server that is gone stops everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, PartialFailureError, PlanError, RequestRejectedError
from kraken_fleet.model import ALL_GROUP, AgentsGroup, Deployment, DesiredFleet, DesiredGroup, ObservedFleet
from kraken_fleet.plan import (
    Action,
    Authorize,
    CreateGroup,
    DeleteAgent,
    Disable,
    Enable,
    GroupAction,
    Plan,
    PlanPolicy,
    Recheck,
    RenameGroup,
    SetDeployment,
    SetGroups,
    TrustPolicy,
    Unauthorize,
    check_against_inventory,
    check_against_server,
    check_fresh,
    make_plan,
    with_trust_of,
)
from kraken_fleet.plan.membership import LivingGroups
from kraken_fleet.reconcile.clock import Clock, SystemClock
from kraken_fleet.reconcile.disabling import enable_agent, tidy
from kraken_fleet.reconcile.events import Done, Event, Failed, Finished, TrialFailed, TrialPassed
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
    declared: Iterable[DesiredGroup] = (),
    concurrency: int = 8,
    clock: Clock | None = None,
    trial_timeout: float = TRIAL_TIMEOUT,
) -> Iterator[Event]:
    """Make the changes of a plan; without any, nothing is sent.

    Args:
        observed: the server as the plan saw it, to spare reading its groups again.
        trust: the policies that judge agents on trial; a plan holds no secrets.
        declared: the inventory's groups, for the secrets in their deployments.
        concurrency: how many requests are on their way at the same time; the client has 8 connections.
        trial_timeout: seconds for an agent on trial to say what it is.

    Raises:
        PlanError: pruning was refused, or the policy of an agent on trial or a secret of a deployment is not given.
        PartialFailureError: at the end, when some changes failed; it names them.
        ServerError: the server is gone, or the account may not do this.
    """
    if plan.prune.refused:
        raise PlanError(plan.prune.refused, hint=plan.prune.hint)
    _check_judges(plan, trust)
    deployments = {group.name: group.deployment for group in declared if group.deployment}
    _check_secrets(plan, deployments)
    if not plan.changes:
        return
    clock = clock or SystemClock()
    yield from _Run(client, plan, observed, trust, deployments, concurrency, clock, trial_timeout).events()


def apply_saved(
    client: KrakenClient,
    plan: Plan,
    *,
    desired: DesiredFleet | None = None,
    policy: PlanPolicy | None = None,
    concurrency: int = 8,
    memory: GroupMemory | None = None,
) -> Iterator[Event]:
    """Make the changes of a plan that was made earlier, after seeing that it still fits and is about what it says.

    Args:
        desired: the inventory now, when it is at hand: what it asks for is worked out again and has to be the same.
        policy: what the plan was made with; also judges agents on trial.
        memory: of deleted groups, see observe.

    Raises:
        PlanError: the plan is stale, for another server, or was changed.
        others: as apply.
    """
    policy = with_trust_of(policy or PlanPolicy(), desired or DesiredFleet())
    names = plan.groups | (desired.groups if desired else frozenset())
    observed = observe(client, names=names, memory=memory)
    check_against_server(plan, observed)
    check_fresh(plan, observed, server=client.url, desired=desired)
    if desired:
        again = make_plan(desired, observed, policy, now=client.server_time(), server=client.url)
        check_against_inventory(plan, again)
        plan = again
    declared = desired.declared_groups if desired else ()
    yield from apply(
        client, plan, observed=observed, trust=policy.trust or (), declared=declared, concurrency=concurrency
    )


@dataclass
class _Run:
    """One application of a plan: what failed so far, and which groups there are by now."""

    client: KrakenClient
    plan: Plan
    observed: ObservedFleet | None
    trust: Sequence[TrustPolicy]
    deployments: Mapping[str, Deployment]
    concurrency: int
    clock: Clock
    trial_timeout: float
    groups: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    failed_agents: set[int] = field(default_factory=set)
    on_trial: dict[str, int] = field(default_factory=dict)
    done: int = 0

    def events(self) -> Iterator[Event]:
        try:
            yield from self._changes()
        finally:
            # Whoever was not judged, because this was interrupted or the server fails, does not stay authorized.
            if self.on_trial:
                with suppress(FleetError):
                    list(self._patch(sorted(self.on_trial.values()), authorized=False))

    def _changes(self) -> Iterator[Event]:
        started = self.clock.now()
        plan = self.plan
        # The order is that of ACTION_TYPES, which says why. New agents are judged last: that takes up to trial_timeout.
        yield from self._trials(plan.of(Recheck))
        # One after the other: each rename first reads which names are taken.
        yield from self._each(plan.of(RenameGroup), self._rename, workers=1)
        if plan.summary().keys() & {SetGroups.kind, CreateGroup.kind, SetDeployment.kind}:
            self.groups = dict(LivingGroups.of(self._living()).ids)
        yield from self._create(plan.of(CreateGroup))
        yield from self._each(plan.of(SetDeployment), self._set_deployment)
        yield from self._each(plan.of(Disable), lambda item: self.client.disable_agent(item.agent_id))
        # Before the first request: an answer that is lost must not leave anybody authorized.
        newcomers = [action for action in plan.of(Authorize) if action.on_trial]
        self.on_trial = {action.label: action.agent_id for action in newcomers}
        yield from self._authorize(plan.of(Authorize), authorized=True)
        yield from self._each(plan.of(SetGroups), self._set_groups)
        yield from self._enable(plan.of(Enable))
        yield from self._authorize(plan.of(Unauthorize), authorized=False)
        # One after the other: each costs the server a second of work in the queue that also completes jobs.
        yield from self._each(plan.of(DeleteAgent), self._delete, workers=1)
        yield from self._trials(newcomers)
        yield Finished(done=self.done, failed=len(self.failures), seconds=self.clock.now() - started)
        if self.failures:
            raise PartialFailureError(
                f"{len(self.failures)} of {len(plan.actions)} changes could not be made",
                failures=self.failures,
                hint="Correct what is named and run it again",
            )

    def _enable(self, actions: Sequence[Enable]) -> Iterator[Event]:
        left: set[int] = set()
        yield from self._each(actions, lambda item: left.update(enable_agent(self.client, item.agent_id)))
        if left:
            tidy(self.client, left)

    def _living(self) -> Iterable[AgentsGroup]:
        return self.client.groups() if self.observed is None or self.plan.of(RenameGroup) else self.observed.groups

    def _each(
        self, actions: Sequence[Action], work: Callable[..., object], *, workers: int | None = None
    ) -> Iterator[Event]:
        able = [action for action in actions if getattr(action, "agent_id", None) not in self.failed_agents]
        for action, error in each(able, work, workers or self.concurrency):
            yield self._fail(action, error) if error else self._succeed(action)

    def _authorize(self, actions: Sequence[Authorize | Unauthorize], *, authorized: bool) -> Iterator[Event]:
        able = {action.agent_id: action for action in actions if action.agent_id not in self.failed_agents}
        numbers = sorted(able)
        for first in range(0, len(numbers), CHUNK):
            for number, error in self._patch(numbers[first : first + CHUNK], authorized=authorized):
                yield self._fail(able[number], error) if error else self._succeed(able[number])

    def _patch(self, numbers: Sequence[int], *, authorized: bool) -> Iterator[tuple[int, FleetError | None]]:
        """Send one request for all; when the server refuses it for one of them, send two halves, to find which."""
        try:
            self.client.set_authorized(numbers, authorized)
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
        # rename_group refuses a group `all` that may be the server's own, as a deleted one with the lowest id may be.
        if action.name == ALL_GROUP and action.deleted:
            self.client.heal_group_name(ALL_GROUP)
        else:
            self.client.rename_group(action.group_id, action.new_name)

    def _create(self, actions: Sequence[CreateGroup]) -> Iterator[Event]:
        made = dict(self.client.create_groups(action.name for action in actions if action.name not in self.groups))
        self.groups |= {name: group.id for name, group in made.items() if isinstance(group, AgentsGroup)}
        for action in actions:
            group = made.get(action.name)
            yield self._fail(action, group) if isinstance(group, FleetError) else self._succeed(action)

    def _set_deployment(self, action: SetDeployment) -> None:
        if action.name not in self.groups:
            raise PlanError(f"The agents group {action.name} does not exist")
        given = self.deployments[action.name].secrets() if action.secrets else {}
        settings = {**dict(action.settings), **{name: given[name] for name in action.secrets}}
        self.client.set_deployment(self.groups[action.name], Deployment(action.method, tuple(settings.items())))

    def _set_groups(self, action: SetGroups) -> None:
        missing = [name for name in action.added if name not in self.groups]
        if missing:
            raise PlanError(f"The agents group {', '.join(missing)} does not exist")
        self.client.set_agent_groups(action.agent_id, {*action.kept, *(self.groups[name] for name in action.added)})

    def _delete(self, action: DeleteAgent) -> None:
        self.client.delete_agent(action.agent_id)

    def _trials(self, actions: Sequence[Authorize | Recheck]) -> Iterator[Event]:
        trials = {action.label: action for action in actions if action.agent_id not in self.failed_agents}
        if not trials:
            return
        before = {agent.id: agent.host_info for agent in self.observed.agents} if self.observed else {}
        events = hold_trials(
            self.client,
            list(trials.values()),
            self.trust,
            before=before,
            timeout=self.trial_timeout,
            clock=self.clock,
            concurrency=self.concurrency,
        )
        for event in events:
            # One whose judgement could not be carried out stays in on_trial.
            if isinstance(event, TrialPassed | TrialFailed):
                self.on_trial.pop(event.subject, None)
            if isinstance(event, Failed | TrialFailed):
                self.failures[event.subject] = event.reason
                self.failed_agents.add(trials[event.subject].agent_id)
            yield event

    def _succeed(self, action: Action) -> Done:
        self.done += 1
        return Done(action=action, number=self.done, total=self._total)

    @cached_property
    def _total(self) -> int:
        # Counted once: to count it for each change took minutes with ten thousand agents.
        return len(self.plan.actions) - len(self.plan.of(Recheck))

    def _fail(self, action: Action, error: FleetError) -> Failed:
        subject = action.name if isinstance(action, GroupAction) else action.label
        if not isinstance(action, GroupAction):
            self.failed_agents.add(action.agent_id)
        self.failures[subject] = f"{action.describe()}: {error}"
        return Failed(subject=subject, reason=str(error), action=action)


def _check_judges(plan: Plan, trust: Sequence[TrustPolicy]) -> None:
    given = {policy.name for policy in trust}
    on_trial: list[Authorize | Recheck] = [action for action in plan.of(Authorize) if action.on_trial]
    for action in (*plan.of(Recheck), *on_trial):
        if action.policy not in given:
            raise PlanError(
                f"The plan puts {action.label} on trial, and its policy {action.policy} is not given",
                hint="Give the inventory with -i, or the same file with --trust; or make a new plan",
            )


def _check_secrets(plan: Plan, deployments: Mapping[str, Deployment]) -> None:
    for action in plan.of(SetDeployment):
        given = deployments.get(action.name, Deployment()).secrets()
        if missing := [name for name in action.secrets if name not in given]:
            raise PlanError(
                f"The plan sets {', '.join(missing)} of the agents group {action.name}, and holds no secret",
                hint="Give the inventory with -i: the value is taken from there",
            )

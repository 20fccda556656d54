# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers all agents of a play in one call: observe, wait, plan, apply in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction, client_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play import registration, trust, upgrade
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.host_results import HostResults
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.inventory import PlayInventory
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.registration import Outcome

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import PartialFailureError
from kraken_fleet.model import Agent, DesiredFleet
from kraken_fleet.plan import PlanPolicy, make_plan
from kraken_fleet.reconcile import (
    Done,
    Event,
    GroupMemory,
    Memories,
    Missing,
    Planned,
    TrialFailed,
    Waiting,
    drain,
    enable,
    observe,
    reconcile,
    remove,
)
from kraken_fleet.reconcile.leftovers import sweep
from kraken_fleet.state import state_dir

_VERBS = {"drained": "drain", "enabled": "enable", "absent": "delete the record of"}
_DONE = {"drained": "drained", "enabled": "enabled", "absent": "deleted"}


class ActionModule(ControllerAction):
    """One call for the whole play."""

    ARGUMENTS = arguments_of("agent_registration")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        # Of the batch, those that have not failed: an agent that could not be installed is not waited for.
        hosts = arguments["hosts"] or task_vars["ansible_play_batch"]
        deploying = arguments["state"] == "present" and not arguments["upgrade"]
        results = HostResults(task_vars["hostvars"], arguments["results"] if deploying else "")
        failed = results.failures(hosts)
        inventory = PlayInventory(self, task_vars["hostvars"], results)
        hosts = [host for host in hosts if host not in failed]
        fleet = registration.desired_fleet(inventory, hosts, arguments["groups_mode"])
        with client_of(arguments) as client:
            if arguments["upgrade"]:
                outcome = self._for_upgrade(client, fleet, arguments)
            elif arguments["state"] != "present":
                outcome = self._change_state(client, fleet, arguments)
            else:
                outcome = self._present(client, fleet, arguments, results)
        outcome.failures.update(failed)
        if deploying:
            # Their hosts fail at the end of the play, which may be after the proof of all others.
            self.tell(f"{host}: not registered: {why}" for host, why in sorted(outcome.failures.items()))
        would = "would be " if self._task.check_mode else ""
        self.tell(f"{host}: {would}{', '.join(done)}" for host, done in sorted(outcome.host_changes.items()))
        return outcome.result(fleet)

    def _for_upgrade(self, client: KrakenClient, fleet: DesiredFleet, arguments: dict[str, Any]) -> Outcome:
        if arguments["state"] == "drained":
            return upgrade.drained(client, fleet, arguments, check_mode=self._task.check_mode)
        if arguments["state"] == "enabled" and not self._task.check_mode:
            return upgrade.enabled(client, fleet, arguments["keep_out"] or ())
        return Outcome()

    def _present(
        self, client: KrakenClient, fleet: DesiredFleet, arguments: dict[str, Any], results: HostResults
    ) -> Outcome:
        hosts = {agent.host for agent in fleet.agents}
        seen_after = {}
        if not self._task.check_mode:
            seen_after = registration.deployed_after(results, hosts, client.clock_ahead())
            sweep(client, client.server_time())
        policy = PlanPolicy(give_back=True, trust=(trust.policy_of(arguments, fleet, results, seen_after),))
        if self._task.check_mode:
            return _predict(client, fleet, policy)
        outcome = _register(client, fleet, policy, arguments, seen_after, self.tell)
        sweep(client, client.server_time())  # of agents that work again
        return outcome

    def _change_state(self, client: KrakenClient, fleet: DesiredFleet, arguments: dict[str, Any]) -> Outcome:
        """Drain or enable the agents, or delete their records; those that the server does not have are left out."""
        # Deleted groups matter to plans alone, and finding them costs a call for each.
        agents = registration.agents_of(fleet, observe(client, deleted_groups=False).agents)
        outcome = Outcome(unknown=registration.hosts_without(fleet, agents), was_enabled=_enabled(agents))
        if arguments["addresses"] is not None:
            agents = [agent for agent in agents if agent.address in arguments["addresses"]]
        agents = _concerned(arguments["state"], fleet, agents)
        labels = {agent.address: agent.label for agent in fleet.agents}
        outcome.changes = [f"{_VERBS[arguments['state']]} {labels[agent.address]}" for agent in agents]
        if arguments["state"] == "drained":
            work: Iterable[Event] = drain(client, agents, arguments["drain_timeout"])
        else:
            work = enable(client, agents) if arguments["state"] == "enabled" else remove(client, agents)
        if agents and not self._task.check_mode:
            _finish(work, outcome, fleet, agents)
        outcome.credit(fleet, agents, _DONE[arguments["state"]])
        return outcome


def _enabled(agents: Iterable[Agent]) -> list[str]:
    return [agent.address for agent in agents if agent.enabled]


def _concerned(state: str, fleet: DesiredFleet, agents: list[Agent]) -> list[Agent]:
    """Return those of the agents that are not in that state."""
    if state == "drained":
        return [agent for agent in agents if agent.enabled or agent.job]
    if state == "enabled":
        out = {agent.address for agent in fleet.agents if agent.enabled is False}
        return [agent for agent in agents if agent.disabled and agent.authorized and agent.address not in out]
    return agents


def _finish(work: Iterable[Event], outcome: Outcome, fleet: DesiredFleet, agents: Iterable[Agent]) -> None:
    try:
        for _event in work:
            pass
    except PartialFailureError as error:
        addresses = {agent.name: agent.address for agent in agents}  # failures are told by the agents' names
        outcome.blame(fleet, {addresses.get(name, name): reason for name, reason in error.failures.items()})


def _predict(client: KrakenClient, fleet: DesiredFleet, policy: PlanPolicy) -> Outcome:
    observed = registration.with_expected(fleet, observe(client, names=fleet.groups, memory=GroupMemory(state_dir())))
    plan = make_plan(fleet, observed, policy, now=client.server_time(), server=client.url)
    outcome = Outcome(
        changes=registration.described(plan.actions),
        findings=list(registration.notes(plan)),
        host_changes=registration.by_host(fleet, plan.actions),
    )
    outcome.blame(fleet, registration.refusals(plan))
    return outcome


def _register(
    client: KrakenClient,
    fleet: DesiredFleet,
    policy: PlanPolicy,
    arguments: dict[str, Any],
    seen_after: dict[str, datetime],
    tell: Callable[[Iterable[str]], None],
) -> Outcome:
    outcome, done, unauthorized, waiting = Outcome(), [], [], registration.WaitingLines()
    try:
        for event in reconcile(
            client,
            fleet,
            policy,
            timeout=arguments["timeout"],
            seen_after=seen_after,
            concurrency=arguments["concurrency"],
            memories=Memories(GroupMemory(state_dir())),
        ):
            if isinstance(event, Done):
                done.append(event.action)
            elif isinstance(event, TrialFailed):
                unauthorized.append(f"unauthorize {event.subject}")
            elif isinstance(event, Planned):
                outcome.findings = list(registration.notes(event.plan))
                outcome.blame(fleet, registration.refusals(event.plan))
            elif isinstance(event, Waiting):
                tell(waiting.lines(event))
            elif isinstance(event, Missing):
                waited = f"did not appear within {arguments['timeout']} s"
                outcome.blame(fleet, {event.host: f"the agent {event.address} {waited}: {event.reason}. {event.hint}"})
    except PartialFailureError as error:
        outcome.blame(fleet, error.failures)
    outcome.changes = [*registration.described(done), *sorted(unauthorized)]
    outcome.host_changes = registration.by_host(fleet, done)
    return outcome

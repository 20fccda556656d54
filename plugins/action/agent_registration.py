"""Registers all agents of a play in one call: observe, wait, plan, apply in bulk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils import registration
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import (
    SERVER_ARGUMENTS,
    ControllerAction,
    client_of,
)
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play_inventory import PlayInventory
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.registration import Outcome

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import PartialFailureError
from kraken_fleet.model import Agent, DesiredFleet
from kraken_fleet.plan import make_plan
from kraken_fleet.reconcile import Done, Event, Missing, Planned, drain, observe, reconcile, remove
from kraken_fleet.reconcile.run import utc_now


class ActionModule(ControllerAction):
    """One call for the whole play."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {
        **SERVER_ARGUMENTS,
        "state": {"type": "str", "choices": ["present", "drained", "absent"], "default": "present"},
        "hosts": {"type": "list", "elements": "str"},
        "groups_mode": {"type": "str", "choices": ["merge", "exact"], "default": "merge"},
        "timeout": {"type": "int", "default": 60},
        "drain_timeout": {"type": "int", "default": 300},
        "concurrency": {"type": "int", "default": 8},
    }

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        hosts = arguments["hosts"] or task_vars["ansible_play_batch"]
        inventory = PlayInventory(task_vars["hostvars"], self._templar)
        fleet = registration.desired_fleet(inventory, hosts, arguments["groups_mode"])
        with client_of(arguments) as client:
            if arguments["state"] != "present":
                outcome = self._take_out(client, fleet, arguments)
            elif self._task.check_mode:
                outcome = _predict(client, fleet)
            else:
                seen_after = registration.deployed_after(task_vars["hostvars"], hosts)
                outcome = _register(client, fleet, arguments, seen_after)
        return outcome.result(fleet)

    def _take_out(self, client: KrakenClient, fleet: DesiredFleet, arguments: dict[str, Any]) -> Outcome:
        """Drains the agents, or deletes their records; those that the server does not have are out already."""
        outcome = Outcome()
        agents = registration.agents_of(fleet, observe(client, deleted_groups=False).agents)
        labels = {agent.address: agent.label for agent in fleet.agents}
        if arguments["state"] == "drained":
            agents = [agent for agent in agents if agent.enabled or agent.job]
            outcome.changes = [f"drain {labels[agent.address]}" for agent in agents]
            work: Iterable[Event] = drain(client, agents, arguments["drain_timeout"])
        else:
            outcome.changes = [f"delete the record of {labels[agent.address]}" for agent in agents]
            work = remove(client, agents)
        if agents and not self._task.check_mode:
            _finish(work, outcome, fleet, agents)
        return outcome


def _finish(work: Iterable[Event], outcome: Outcome, fleet: DesiredFleet, agents: Iterable[Agent]) -> None:
    try:
        for _ in work:
            pass
    except PartialFailureError as error:
        addresses = {agent.name: agent.address for agent in agents}  # failures are told by the agents' names
        outcome.blame(fleet, {addresses.get(name, name): reason for name, reason in error.failures.items()})


def _predict(client: KrakenClient, fleet: DesiredFleet) -> Outcome:
    observed = registration.with_expected(fleet, observe(client))
    plan = make_plan(fleet, observed, now=utc_now(), server=client.url)
    return Outcome(changes=registration.described(plan.actions), findings=list(registration.notes(plan)))


def _register(
    client: KrakenClient, fleet: DesiredFleet, arguments: dict[str, Any], seen_after: dict[str, Any]
) -> Outcome:
    outcome, done = Outcome(), []
    try:
        for event in reconcile(
            client, fleet, timeout=arguments["timeout"], seen_after=seen_after, concurrency=arguments["concurrency"]
        ):
            if isinstance(event, Done):
                done.append(event.action)
            elif isinstance(event, Planned):
                outcome.findings = list(registration.notes(event.plan))
            elif isinstance(event, Missing):
                waited = f"did not appear within {arguments['timeout']} s"
                outcome.blame(fleet, {event.host: f"the agent {event.address} {waited}: {event.reason}. {event.hint}"})
    except PartialFailureError as error:
        outcome.blame(fleet, error.failures)
    outcome.changes = registration.described(done)
    return outcome

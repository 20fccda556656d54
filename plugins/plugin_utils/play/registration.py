# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registering the agents of a play: the fleet that it asks for, and what became of each host."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.host_results import HostResults
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.inventory import SERVER_RESULT, PlayInventory

from kraken_fleet.inventory import fleet_from_hostvars
from kraken_fleet.inventory.addresses import Resolver, resolve_name
from kraken_fleet.model import Agent, DesiredAgent, DesiredFleet, ObservedFleet
from kraken_fleet.plan import Action, Plan
from kraken_fleet.plan.actions import ACTION_TYPES
from kraken_fleet.reconcile import Waiting

_TOLD_SECONDS = 10.0
_WAITED_FOR = 5
# The server's answers give its time in whole seconds; the clock behind a proxy may be another one.
_TOLERANCE = timedelta(seconds=10)


@dataclass
class Outcome:
    """What was done, or would be, and which hosts it did not work for.

    Args:
        changes: in words, in their order.
        failures: why, by host.
        general: failures that belong to no host.
        findings: what a person should know besides, in words.
        unknown: hosts with an agent that the server does not know, or has not authorized.
        was_enabled: addresses of the agents that could get jobs before.
        host_changes: what was done to the agents of a host, in few words, by host.
    """

    changes: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    general: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    was_enabled: list[str] = field(default_factory=list)
    host_changes: dict[str, list[str]] = field(default_factory=dict)

    def blame(self, fleet: DesiredFleet, failures: Mapping[str, str]) -> None:
        """Take failures by agent, address or agents group apart to the hosts that they hit."""
        named, members = _hosts_by_name(fleet), hosts_by_group(fleet)
        for subject, reason in failures.items():
            hosts = named.get(subject) or members.get(subject, [])
            if not hosts:
                self.general.append(f"{subject}: {reason}")
            for host in hosts:
                self.failures.setdefault(host, reason)

    def credit(self, fleet: DesiredFleet, agents: Iterable[Agent], done: str) -> None:
        """Say the same of the hosts of these agents, save those that it did not work for."""
        changed = {agent.address for agent in agents}
        for agent in fleet.agents:
            if agent.address in changed and agent.host not in self.failures:
                what = f"{agent.instance}: {done}" if agent.instance else done
                self.host_changes.setdefault(agent.host, []).append(what)

    def result(self, fleet: DesiredFleet) -> dict[str, Any]:
        """Return the same as a task's result. Failures of hosts are left to a task that fails just them."""
        text = "".join(f"{change}\n" for change in self.changes)
        result: dict[str, Any] = {
            "changed": bool(self.changes),
            "changes": self.changes,
            "failed_hosts": self.failures,
            "findings": self.findings,
            "unknown_hosts": self.unknown,
            "was_enabled": self.was_enabled,
            "host_changes": self.host_changes,
            "agents": [_shown(agent) for agent in fleet.agents],
            "groups": sorted(fleet.groups),
        }
        if self.changes:
            result["diff"] = {"before": "", "after": text, "before_header": "server", "after_header": "server, changed"}
        if self.general:
            result.update(failed=True, msg="\n".join(self.general))
        return result


def desired_fleet(inventory: PlayInventory, hosts: Iterable[str], groups_mode: str) -> DesiredFleet:
    """Return the agents of these hosts, each with a groups mode: its own, else this one.

    Raises:
        InventoryError: a variable is wrong.
    """
    fleet = fleet_of(inventory, hosts)
    agents = (
        agent if agent.groups_mode else dataclasses.replace(agent, groups_mode=groups_mode) for agent in fleet.agents
    )
    return dataclasses.replace(fleet, agents=tuple(agents))


def fleet_of(inventory: PlayInventory, hosts: Iterable[str], resolve: Resolver | None = resolve_name) -> DesiredFleet:
    """Return what the inventory says of these hosts. A play never is the whole fleet: what it lacks means nothing.

    Args:
        resolve: finds the address of a host that is known by name only; None when addresses do not matter.

    Raises:
        InventoryError: a variable is wrong.
    """
    wanted = list(hosts)
    return fleet_from_hostvars(
        {host: inventory.variables(host) for host in wanted},
        {host: inventory.groups(host) for host in wanted},
        levels={host: inventory.levels(host) for host in wanted},
        complete=False,
        resolve=resolve,
    )


@dataclass
class WaitingLines:
    """Says from time to time for which agents a registration waits: at most once in ten seconds of its waiting."""

    told: float = 0.0

    def lines(self, event: Waiting) -> Iterator[str]:
        """Give the line for a moment of waiting, when it is time for one."""
        if event.seconds - self.told < _TOLD_SECONDS:
            return
        self.told = event.seconds
        some = ", ".join(event.missing[:_WAITED_FOR])
        more = f" and {len(event.missing) - _WAITED_FOR} more" if len(event.missing) > _WAITED_FOR else ""
        count = f"{len(event.missing)} agent{'s' * (len(event.missing) != 1)}"
        yield f"Waiting for {count} since {event.seconds:.0f} s: {some}{more}"


def deployed_after(results: HostResults, hosts: Iterable[str], ahead: timedelta) -> dict[str, datetime]:
    """Return the time by the server's clock since which it must have seen agents that were started in this deploy.

    A record that an earlier agent of that address has left on the server is then not taken for this one.

    Args:
        ahead: how much the server's clock is ahead of the controller's.
    """
    found = {}
    for host in hosts:
        if started := results.of(host).get("started_at"):
            found[host] = datetime.fromisoformat(str(started)).astimezone(UTC) + ahead - _TOLERANCE
    return found


def changed_hosts(hostvars: Any, results: HostResults, hosts: Iterable[str]) -> set[str]:
    """Return the hosts that this deploy has changed: on the host itself, or their agents on the server."""
    return {host for host in hosts if results.of(host).get("changed") or _changed_on_server(host, hostvars)}


def _changed_on_server(host: str, hostvars: Any) -> bool:
    common = hostvars.raw_get(host).get(SERVER_RESULT)
    return isinstance(common, Mapping) and host in common.get("host_changes", ())


def with_expected(fleet: DesiredFleet, observed: ObservedFleet) -> ObservedFleet:
    """Return the server as it will be when every agent of the fleet has appeared: what a prediction starts from."""
    known = observed.by_address()
    coming = [
        # No record on a server has a number below zero.
        Agent(id=-number, name=agent.address, address=agent.address)
        for number, agent in enumerate(fleet.agents, 1)
        if agent.address not in known
    ]
    return observed.with_agents([*observed.agents, *coming])


def described(actions: Iterable[Action]) -> list[str]:
    """Describe changes, each once; sorted, since nobody knows which number a new agent will get."""
    ordered = sorted(actions, key=lambda action: (ACTION_TYPES.index(type(action)), action.describe()))
    return list(dict.fromkeys(action.describe() for action in ordered))


def by_host(fleet: DesiredFleet, actions: Iterable[Action]) -> dict[str, list[str]]:
    """Return the changes to the agents of each host, in few words."""
    hosts = {agent.address: agent for agent in fleet.agents}
    found: dict[str, list[str]] = defaultdict(list)
    for action in sorted(actions, key=lambda action: ACTION_TYPES.index(type(action))):
        agent = hosts.get(getattr(action, "address", ""))
        if agent:
            found[agent.host].append(f"{agent.instance}: {action.brief}" if agent.instance else action.brief)
    return dict(found)


def notes(plan: Plan) -> Iterator[str]:
    """Return what the plan found besides changes, of which a person should hear."""
    for finding in plan.findings:
        if finding.severity != "info" and finding.kind != "never_seen":
            yield f"{finding.subject}: {finding.message}. {finding.hint}".strip()


def refusals(plan: Plan) -> dict[str, str]:
    """Say why agents of the play are not authorized, by their labels."""
    return {
        finding.subject: f"it is not trusted: {finding.message}"
        for finding in plan.findings
        if finding.kind == "not_trusted"
    }


def agents_of(fleet: DesiredFleet, agents: Iterable[Agent]) -> list[Agent]:
    """Return the server's records of the fleet's agents."""
    known = {agent.address: agent for agent in agents}
    return [known[agent.address] for agent in fleet.agents if agent.address in known]


def hosts_without(fleet: DesiredFleet, agents: Iterable[Agent]) -> list[str]:
    """Return hosts of the fleet with an agent that is not among these, or not authorized."""
    known = {agent.address for agent in agents if agent.authorized}
    return list(dict.fromkeys(agent.host for agent in fleet.agents if agent.address not in known))


def hosts_by_group(fleet: DesiredFleet) -> dict[str, list[str]]:
    """Say which hosts an agents group has in this play."""
    found: dict[str, list[str]] = defaultdict(list)
    for agent in fleet.agents:
        for name in agent.groups:
            found[name].append(agent.host)
    return dict(found)


def _hosts_by_name(fleet: DesiredFleet) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for agent in fleet.agents:
        for name in dict.fromkeys(_names(agent)):
            found[name].append(agent.host)
    return dict(found)


def _names(agent: DesiredAgent) -> tuple[str, ...]:
    """Say how failures may name an agent; actions name it by label and address."""
    return agent.label, agent.host, agent.address, f"{agent.label} ({agent.address})"


def _shown(agent: Any) -> dict[str, Any]:
    return {"host": agent.host, "name": agent.instance, "address": agent.address, "groups": sorted(agent.groups)}

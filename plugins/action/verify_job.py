"""Runs a real job on agents groups and reads its log back."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import (
    SERVER_ARGUMENTS,
    ControllerAction,
    client_of,
)
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play import registration
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.inventory import PlayInventory

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import UsageError
from kraken_fleet.model import ALL_GROUP, DesiredFleet
from kraken_fleet.proof.agents import verify_agents
from kraken_fleet.proof.groups import GroupProof, verify_groups

_UNKNOWN = "the server has no authorized agent with its address; deploy it first"


class ActionModule(ControllerAction):
    """One run for the whole play, with a job for each group."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {
        **SERVER_ARGUMENTS,
        "groups": {"type": "list", "elements": "str"},
        "hosts": {"type": "list", "elements": "str"},
        "each_agent": {"type": "bool", "default": False},
        "timeout": {"type": "int", "default": 120},
    }

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        groups, members = arguments["groups"], {}
        if groups and arguments["each_agent"]:
            raise UsageError("each_agent is about the agents of hosts, not of groups", hint="Leave one of them out")
        if not groups:
            members = registration.hosts_by_group(self._fleet(arguments, task_vars))
            # Agents that are in no group of their own can still be asked for through the server's own one.
            groups = sorted(members) or [ALL_GROUP]
        if self._task.check_mode:
            return {"changed": False, "skipped": True, "msg": "No job is run in check mode", "failed_hosts": {}}
        with client_of(arguments) as client:
            if arguments["each_agent"]:
                return _of_agents(client, self._fleet(arguments, task_vars), arguments["timeout"])
            proofs = list(verify_groups(client, groups, timeout=arguments["timeout"]))
        return _result(proofs, members)

    def _fleet(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> DesiredFleet:
        """The agents that may be given jobs, of the hosts that have not failed."""
        inventory = PlayInventory(self, task_vars["hostvars"])
        hosts = arguments["hosts"] or task_vars["ansible_play_batch"]
        fleet = registration.desired_fleet(inventory, hosts, "merge")
        return dataclasses.replace(fleet, agents=tuple(one for one in fleet.agents if one.enabled is not False))


def _of_agents(client: KrakenClient, fleet: DesiredFleet, timeout: float) -> dict[str, Any]:
    """The agents one by one; those that the server does not have let their hosts fail like those without a proof."""
    authorized = registration.agents_of(fleet, client.agents())
    hosts = {agent.address: agent.host for agent in fleet.agents}
    failed = dict.fromkeys(registration.hosts_without(fleet, authorized), _UNKNOWN)
    proofs = []
    for agent, proof in verify_agents(client, authorized, timeout=timeout):
        proofs.append({**dataclasses.asdict(proof), "agent": agent.name})
        if proof.error:
            failed[hosts[agent.address]] = str(proof.error)
    return {"changed": False, "proofs": proofs, "failed_hosts": failed}


def _result(proofs: list[GroupProof], members: dict[str, list[str]]) -> dict[str, Any]:
    failed = {proof.group: str(proof.error) for proof in proofs if proof.error}
    hosts = {host: reason for group, reason in failed.items() for host in members.get(group, ())}
    result: dict[str, Any] = {
        "changed": False,
        "proofs": [dataclasses.asdict(proof) for proof in proofs],
        "failed_hosts": hosts,
    }
    if any(group not in members for group in failed):
        result.update(failed=True, msg="\n".join(failed.values()))
    return result

"""Runs a real job on agents groups and reads its log back."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils import registration
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import (
    SERVER_ARGUMENTS,
    ControllerAction,
    client_of,
)
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play_inventory import PlayInventory

from kraken_fleet.model import ALL_GROUP, DesiredFleet
from kraken_fleet.reconcile.verify import GroupProof, verify_groups


class ActionModule(ControllerAction):
    """One run for the whole play, with a job for each group."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {
        **SERVER_ARGUMENTS,
        "groups": {"type": "list", "elements": "str"},
        "hosts": {"type": "list", "elements": "str"},
        "timeout": {"type": "int", "default": 120},
    }

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        groups, members = arguments["groups"], {}
        if not groups:
            members = registration.hosts_by_group(self._fleet(arguments, task_vars))
            # Agents that are in no group of their own can still be asked for through the server's own one.
            groups = sorted(members) or [ALL_GROUP]
        if self._task.check_mode:
            return {"changed": False, "skipped": True, "msg": "No job is run in check mode", "failed_hosts": {}}
        with client_of(arguments) as client:
            proofs = list(verify_groups(client, groups, timeout=arguments["timeout"]))
        return _result(proofs, members)

    def _fleet(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> DesiredFleet:
        """The agents that may be given jobs, of the hosts that have not failed."""
        inventory = PlayInventory(task_vars["hostvars"], self._templar)
        hosts = arguments["hosts"] or task_vars["ansible_play_batch"]
        fleet = registration.desired_fleet(inventory, hosts, "merge")
        return dataclasses.replace(fleet, agents=tuple(one for one in fleet.agents if one.enabled is not False))


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

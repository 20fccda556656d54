# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs real jobs on the agents of a play, or on agents groups, and reads their logs back."""

from __future__ import annotations

import dataclasses
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    client_of,
    playbook_owner,
)
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play import registration
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.deploy import unregistered_hosts
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.host_results import HostResults
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.inventory import PlayInventory

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import UsageError
from kraken_fleet.proof import GroupProof, HostProofs, prove_hosts, verify_groups


class ActionModule(ControllerAction):
    """One call for the whole play."""

    ARGUMENTS = arguments_of("verify_job")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        groups = arguments["groups"]
        if groups and (arguments["each_agent"] or arguments["alone"]):
            raise UsageError(
                "each_agent and alone are about the agents of hosts, not of groups", hint="Leave one of them out"
            )
        if self._task.check_mode:
            return {"changed": False, "skipped": True, "msg": "No job is run in check mode", "failed_hosts": {}}
        with client_of(arguments) as client:
            if groups:
                return _of_groups(list(verify_groups(client, groups, timeout=arguments["timeout"])))
            return self._of_hosts(client, arguments, task_vars)

    def _of_hosts(self, client: KrakenClient, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        results = HostResults(task_vars["hostvars"], arguments["results"])
        inventory = PlayInventory(self, task_vars["hostvars"], results)
        # Of the hosts that have not failed, and will not for what registration has found.
        batch = task_vars["ansible_play_batch"]
        undeployed = results.failures(batch)
        bad = unregistered_hosts(task_vars) | undeployed
        hosts = arguments["hosts"] or [host for host in batch if host not in bad]
        if not hosts:
            return {"changed": False, "skipped": True, "msg": "All hosts have failed", "failed_hosts": undeployed}
        fleet = registration.desired_fleet(inventory, hosts, "merge")
        changed = registration.changed_hosts(task_vars["hostvars"], results, hosts)
        each, alone = arguments["each_agent"], arguments["alone"]
        found = prove_hosts(
            client, fleet, changed, playbook_owner(), each=each, alone=alone, timeout=arguments["timeout"]
        )
        result = _of_agents(found)
        result["failed_hosts"] = undeployed | result["failed_hosts"]
        self.tell(found.lines())
        if not alone and not result["failed_hosts"]:
            self.tell(["Next: `kraken-fleet agents list` shows the agents, `kraken-fleet plan` what is left to do"])
        return result


def _of_agents(found: HostProofs) -> dict[str, Any]:
    shown = [
        {
            **dataclasses.asdict(proof),
            "host": wanted.host,
            "label": wanted.label,
            "agent": agent.name,
            "groups": sorted(wanted.groups),
        }
        for wanted, agent, proof in found.proofs
    ]
    return {
        "changed": False,
        "proofs": sorted(shown, key=lambda one: str(one["label"])),
        "not_proven": found.left_out,
        "groups_not_proven": found.groups,
        "failed_hosts": found.failures,
        "trouble": found.trouble,
        "unproven_hosts": sorted(found.unproven),
    }


def _of_groups(proofs: list[GroupProof]) -> dict[str, Any]:
    failed = {proof.group: str(proof.error) for proof in proofs if proof.error}
    shown = [dataclasses.asdict(proof) for proof in proofs]
    result: dict[str, Any] = {"changed": False, "proofs": shown, "failed_hosts": {}}
    if failed:
        result.update(failed=True, msg="\n".join(failed.values()))
    return result

# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which agents the registration of a play authorizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.host_results import HostResults

from kraken_fleet.errors import UsageError
from kraken_fleet.model import DesiredFleet, TrustRule
from kraken_fleet.plan import AttestedTrust, CidrTrust, InventoryTrust, RulesTrust, TrustPolicy


def policy_of(
    arguments: Mapping[str, Any], fleet: DesiredFleet, results: HostResults, seen_after: Mapping[str, datetime]
) -> TrustPolicy:
    """Return the policy that a task's arguments ask for.

    Args:
        arguments: those of agent_registration, checked.
        fleet: the agents of the play.
        results: what the deploy has found on each host.
        seen_after: by host, when its agent was started.

    Raises:
        UsageError: networks or rules are missing, or are there for another policy.
        PlanError: a network cannot be read.
    """
    for name, policy in (("trust_networks", "cidr"), ("trust_rules", "rules")):
        if bool(arguments[name]) != (arguments["trust"] == policy):
            raise UsageError(
                f"{name} goes with trust {policy}, and only with it", hint=f"Set kraken_registration_{name}"
            )
    if arguments["trust"] == "attested":
        return AttestedTrust(dict(_digests(results, {agent.host for agent in fleet.agents})), hashed=True)
    if arguments["trust"] == "cidr":
        return CidrTrust(tuple(arguments["trust_networks"]))
    if arguments["trust"] == "rules":
        return RulesTrust(tuple(TrustRule.of(rule) for rule in arguments["trust_rules"]))
    return InventoryTrust(seen_after)


def _digests(results: HostResults, hosts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Return, by address, the sha256 of the secret that is on the host."""
    for host in hosts:
        for agent in results.of(host).get("agents") or ():
            if agent.get("nonce_sha256") and agent.get("address"):
                yield str(agent["address"]), str(agent["nonce_sha256"])

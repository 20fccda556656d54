# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the agents of a play out of service for an upgrade, and enabling those that work."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import playbook_owner
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play import registration
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.registration import Outcome

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, PartialFailureError
from kraken_fleet.model import Agent, DesiredFleet
from kraken_fleet.reconcile import drain
from kraken_fleet.reconcile.leftovers import sweep
from kraken_fleet.reconcile.upgrade import give_back, left_out_of_service, take_out, who_is_out


def out_of_work(client: KrakenClient, fleet: DesiredFleet) -> tuple[dict[str, int], list[str]]:
    """Return what an upgrade has to know before it begins.

    Returns:
        how many agents of each agents group get no jobs and are not of this play; and the hosts whose agents an upgrade
        has left disabled that was broken off.
    """
    sweep(client, client.server_time())
    agents, hosts = client.agents(), {agent.address: agent.host for agent in fleet.agents}
    idle: Counter[str] = Counter()
    for agent in agents:
        if agent.disabled and agent.address not in hosts:
            idle.update(agent.group_names)
    left = left_out_of_service(agents, who_is_out(client, playbook_owner()))
    return dict(idle), sorted({hosts[agent.address] for agent in left if agent.address in hosts})


def drained(client: KrakenClient, fleet: DesiredFleet, arguments: dict[str, Any], *, check_mode: bool) -> Outcome:
    """Take the agents out of service, while enough others of each group work.

    Who is disabled already stays so afterwards.
    """
    agents = registration.agents_of(fleet, client.agents())
    owner = playbook_owner()
    left = {agent.id for agent in left_out_of_service(agents, who_is_out(client, owner))}
    coming_back = [agent for agent in agents if agent.enabled or agent.id in left]
    ending = [agent for agent in agents if agent.job and agent not in coming_back]
    outcome = Outcome(unknown=registration.hosts_without(fleet, agents))
    outcome.was_enabled = [agent.address for agent in coming_back]
    labels = {agent.address: agent.label for agent in fleet.agents}
    working = [agent for agent in [*coming_back, *ending] if agent.enabled or agent.job]
    outcome.changes = [f"drain {labels[agent.address]}" for agent in working]
    if check_mode:
        outcome.credit(fleet, working, "drained")
        return outcome
    allowed, timeout = arguments["max_unavailable"], arguments["drain_timeout"]
    try:
        work = take_out(client, coming_back, owner, max_unavailable=allowed, timeout=timeout)
        for _event in itertools.chain(work, drain(client, ending, timeout) if ending else ()):
            pass
    except PartialFailureError as error:
        addresses = {agent.name: agent.address for agent in agents}
        outcome.blame(fleet, {addresses.get(name, name): reason for name, reason in error.failures.items()})
    except FleetError as error:
        # An agent that is out of service comes back at the end of the role, which a failed task would not reach.
        outcome.blame(fleet, dict.fromkeys([agent.address for agent in agents], str(error)))
    outcome.credit(fleet, working, "drained")
    return outcome


def enabled(client: KrakenClient, fleet: DesiredFleet, keep_out: Iterable[str]) -> Outcome:
    """Enable the agents that this playbook has taken out of service, save those of the hosts to keep out."""
    broken = {agent.address for agent in fleet.agents if agent.host in set(keep_out)}
    stay = {agent.id for agent in client.agents() if agent.address in broken}
    back, failures = give_back(client, playbook_owner(), stay)
    outcome = Outcome(changes=[f"enable {_label(fleet, agent)}" for agent in back])
    outcome.blame(fleet, {address: f"its agent could not be enabled: {why}" for address, why in failures.items()})
    outcome.credit(fleet, back, "enabled")
    return outcome


def _label(fleet: DesiredFleet, agent: Agent) -> str:
    wanted = fleet.by_address().get(agent.address)
    return wanted.label if wanted else agent.address

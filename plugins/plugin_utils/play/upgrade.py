# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the agents of a play out of service for an upgrade, and enabling those that work."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import playbook_owner
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play import registration
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.registration import Outcome

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import Agent, DesiredFleet
from kraken_fleet.reconcile.upgrade import give_back
from kraken_fleet.reconcile.upgrade_batches import drain_batch, to_drain


def drained(client: KrakenClient, fleet: DesiredFleet, arguments: dict[str, Any], *, check_mode: bool) -> Outcome:
    """Take the agents out of service, while enough others of each group work.

    Who is disabled already stays so afterwards.
    """
    agents = registration.agents_of(fleet, client.agents())
    owner = playbook_owner()
    todo = to_drain(client, agents, owner)
    outcome = Outcome(unknown=registration.hosts_without(fleet, agents))
    outcome.was_enabled = [agent.address for agent in todo.coming_back]
    labels = {agent.address: agent.label for agent in fleet.agents}
    outcome.changes = [f"drain {labels[agent.address]}" for agent in todo.working]
    if not check_mode:
        allowed, timeout = arguments["max_unavailable"], arguments["drain_timeout"]
        work = drain_batch(client, agents, todo, owner, max_unavailable=allowed, timeout=timeout)
        outcome.blame(fleet, _end_of(work))
    outcome.credit(fleet, todo.working, "drained")
    return outcome


def _end_of(work: Generator[object, None, dict[str, str]]) -> dict[str, str]:
    """Let work be done to its end; return what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return dict(end.value)


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

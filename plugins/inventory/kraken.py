# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts from the agents of a Kraken server."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kraken
short_description: Hosts from the agents of a Kraken server
version_added: 0.1.0
description:
  - Every agent of the server becomes a host, in groups by agents group, system, executor, isolation and state.
  - An agent chooses its address itself. One that is neither an IP address nor a host name, or that Ansible takes for
    the controller (C(localhost), C(127.0.0.1)), becomes the host C(kraken_agent_ID), with a warning. C(ansible_host) is
    always an IP address or a host name; an agent without either is left out, with a warning.
  - The agents group NAME becomes the group C(kraken_group_NAME), which the deploy playbook understands. A name that
    Ansible does not allow, like C(big-disk), becomes C(kraken_agents_group_big_disk), and the variable
    C(kraken_agent_groups) of its hosts holds it as it is, so this inventory can be deployed again.
  - Use a file whose name ends in C(kraken.yml) or C(kraken.yaml).
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: Names this plugin.
    required: true
    choices: [kraken_ci.fleet.kraken]
  server_url:
    description: The Kraken server.
    type: str
    required: true
    env:
      - name: KRAKEN_FLEET_SERVER
  user:
    description: An account with the superadmin role.
    type: str
    env:
      - name: KRAKEN_FLEET_USER
  password:
    description: Its password. Better in a file or the environment than here.
    type: str
    env:
      - name: KRAKEN_FLEET_PASSWORD
  password_file:
    description: A file whose first line is the password.
    type: path
    env:
      - name: KRAKEN_FLEET_PASSWORD_FILE
  token:
    description: A session token, instead of user and password.
    type: str
    env:
      - name: KRAKEN_FLEET_TOKEN
  token_file:
    description: A file whose first line is a session token.
    type: path
    env:
      - name: KRAKEN_FLEET_TOKEN_FILE
  ca_bundle:
    description: A file with the certificate authorities to trust for https.
    type: path
  discovered:
    description: Also take agents that are not authorized. They are whoever could reach the server.
    type: bool
    default: false
  silent_seconds:
    description: An agent that was not seen for longer than this is in state C(silent).
    type: int
    default: 60
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
# build.kraken.yml
plugin: kraken_ci.fleet.kraken
server_url: https://kraken.example
user: admin
password_file: ~/.config/kraken-password
keyed_groups:
  - key: kraken_isolation_type
    prefix: isolation
compose:
  ansible_user: "'debian'"
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

# Before kraken_fleet is imported: it says so when that is not installed.
import ansible_collections.kraken_ci.fleet.plugins.plugin_utils  # noqa: F401 # pylint: disable=unused-import
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from kraken_fleet.api import Credentials, KrakenClient, find_credentials, of_files
from kraken_fleet.errors import FleetError
from kraken_fleet.model import Agent, ServerAccount, activity_of, ip_of, names_a_host, shown


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Reads the server once, or the cache, and names the groups as Ansible wants them."""

    NAME = "kraken_ci.fleet.kraken"

    def verify_file(self, path: str) -> bool:
        # Ansible asks each plugin about each file of an inventory: only the name says that this one is meant.
        return super().verify_file(path) and path.endswith(("kraken.yml", "kraken.yaml"))

    def parse(self, inventory: InventoryData, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        for facts in self._facts(path, cache):
            self._add(inventory, facts)

    def _facts(self, path: str, cache: bool) -> list[dict[str, Any]]:
        key = self.get_cache_key(path)
        if cache and self.get_option("cache") and key in self._cache:
            return list(self._cache[key])
        try:
            facts = self._ask()
        except FleetError as error:
            raise AnsibleParserError(str(error)) from error
        if self.get_option("cache"):
            self._cache[key] = facts
        return facts

    def _ask(self) -> list[dict[str, Any]]:
        bundle = self.get_option("ca_bundle")
        with KrakenClient(self.get_option("server_url"), self._credentials(), ca_bundle=bundle) as client:
            agents = list(client.agents())
            if self.get_option("discovered"):
                agents += client.agents(unauthorized=True)
        now, bound = datetime.now(UTC), self.get_option("silent_seconds")
        return [facts_of(agent, now, bound) for agent in agents]

    def _credentials(self) -> Credentials:
        place = "the inventory plugin"
        user, password, token = (self.get_option(name) or "" for name in ("user", "password", "token"))
        files = (self.get_option(name) for name in ("password_file", "token_file"))
        return find_credentials([ServerAccount(place, "", user, password, token), of_files(place, None, user, *files)])

    def _add(self, inventory: InventoryData, facts: dict[str, Any]) -> None:
        name, target = known_as(facts)
        if not target:
            self._warn(facts, "and connects from no IP address: it is left out")
            return
        if name != facts["kraken_address"]:
            self._warn(facts, f"which is no address or name of a host of its own: here it is {name}")
        host = inventory.add_host(name)
        for variable, value in {"ansible_host": target, **facts}.items():
            inventory.set_variable(host, variable, value)
        if others := [name for name in _own_groups(facts) if self._altered(name)]:
            inventory.set_variable(host, "kraken_agent_groups", others)
        for group in groups_of(facts, self._altered):
            inventory.add_child(inventory.add_group(self._sanitize_group_name(group)), host)
        strict = self.get_option("strict")
        variables = inventory.hosts[host].get_vars()
        self._set_composite_vars(self.get_option("compose"), variables, host, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict)

    def _warn(self, facts: dict[str, Any], words: str) -> None:
        said = shown(facts["kraken_address"][:80], lines=False)
        self.display.warning(f"Agent {facts['kraken_id']} of the server calls itself {said!r}, {words}")

    def _altered(self, name: str) -> bool:
        """Say whether Ansible cannot call a group so; what it calls it instead is another agents group."""
        return bool(self._sanitize_group_name(f"x_{name}") != f"x_{name}")


def facts_of(agent: Agent, now: datetime, silent_seconds: float) -> dict[str, Any]:
    """Return an agent as host variables; only what JSON can hold, since it is cached."""
    info = agent.host_info
    return {
        "kraken_id": agent.id,
        "kraken_name": agent.name,
        "kraken_address": agent.address,
        "kraken_ip_address": agent.ip_address or agent.address,
        "kraken_agents_groups": sorted(agent.group_names),
        "kraken_authorized": agent.authorized,
        "kraken_enabled": agent.enabled,
        "kraken_state": str(activity_of(agent, now, timedelta(seconds=silent_seconds))),
        "kraken_system": info.system if info else "",
        "kraken_isolation": info.isolation if info else "",
        "kraken_isolation_type": info.isolation_type if info else "",
        "kraken_executors": info.executors if info else {},
        "kraken_last_seen": agent.last_seen.isoformat() if agent.last_seen else None,
    }


def known_as(facts: dict[str, Any]) -> tuple[str, str]:
    """Return what Ansible calls an agent's host, and what it connects to.

    The latter is empty when there is nothing to trust.

    An agent says itself what it is called, also before it is authorized. A name that Ansible, ssh or a shell gives
    a meaning would be more than a name: localhost is where delegated tasks run, and what begins with - is an option.
    """
    address, peer = facts["kraken_address"], ip_of(facts["kraken_ip_address"])
    name = address if names_a_host(address) else f"kraken_agent_{facts['kraken_id']}"
    return name, peer or (address if name == address else "")


def groups_of(facts: dict[str, Any], altered: Callable[[str], bool]) -> list[str]:
    """Return the inventory groups of a host.

    The deploy playbook understands `kraken_group_NAME` as well, so this inventory can be deployed again.
    """
    groups = [f"kraken_{'agents_' if altered(name) else ''}group_{name}" for name in _own_groups(facts)]
    groups += [f"kraken_executor_{name}" for name in facts["kraken_executors"]]
    groups += [f"kraken_{key}_{facts[f'kraken_{key}']}" for key in ("system", "isolation") if facts[f"kraken_{key}"]]
    return [*groups, f"kraken_state_{facts['kraken_state']}"]


def _own_groups(facts: dict[str, Any]) -> list[str]:
    return [name for name in facts["kraken_agents_groups"] if name != "all"]

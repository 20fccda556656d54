# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_registration
short_description: Register the agents of a play on the Kraken server
version_added: 0.1.0
description:
  - Waits for the agents of all hosts of the play to appear on the server, then authorizes them, creates missing agents
    groups, puts the agents into theirs, and enables or disables them, for all hosts in one call.
  - The inventory says which groups an agent is in. Each inventory group C(kraken_group_NAME) puts its hosts into
    the agents group NAME, and the variable C(kraken_agent_groups) names more; both add up over all levels of the
    inventory. The server's own group C(all) is left alone.
  - Does not fail for agents that did not appear or could not be changed; it returns their hosts, so that a task can
    fail just those (see the examples).
  - Agents that are not in the play are never changed, except those that O(trust) authorizes by network or rule.
options:
  state:
    description:
      - V(present) registers.
      - V(drained) disables the agents and waits for the jobs that they run.
      - V(enabled) lets agents that are authorized have jobs again, save those whose C(kraken_agent_enabled) is false.
      - V(absent) deletes their records. Stop the agents on their hosts first, else they come back.
    type: str
    choices: [present, drained, enabled, absent]
    default: present
  hosts:
    description: The hosts whose agents are meant; those of the play that have not failed when empty.
    type: list
    elements: str
  addresses:
    description:
      - Of these hosts only the agents with these addresses; all when not given. Not for O(state=present).
      - No role sets it.
    type: list
    elements: str
  upgrade:
    description:
      - For an upgrade. With O(state=drained) the agents are taken out of service when other upgrades leave room for it,
        and noted on the server as disabled by this playbook. With O(state=enabled) those that are noted so have jobs
        again, of whatever hosts.
      - An agent that an upgrade has left disabled which was broken off counts as one that could get jobs before.
    type: bool
    default: false
  max_unavailable:
    description: With O(upgrade), how many agents of an agents group may be out at once, a number or a percentage.
    type: str
    default: 50%
  keep_out:
    description: With O(upgrade) and O(state=enabled), hosts whose agents stay disabled.
    type: list
    elements: str
  groups_mode:
    description:
      - V(merge) leaves an agent in groups that the inventory does not name; V(exact) takes it out of them.
      - The variable C(kraken_agent_groups_mode) of a host goes before. No role sets it.
    type: str
    choices: [merge, exact]
    default: merge
  trust:
    description:
      - Which agents to authorize. V(inventory) - agents with the address of a host of the play, once the server has
        seen them after their deploy.
      - V(attested) - the same, if they report the secret that M(kraken_ci.fleet.agent_host) has made on their host.
        Until then they are disabled; one that does not report it is unauthorized again.
      - V(cidr) - agents that claim an address in one of O(trust_networks) and connect from there.
      - V(rules) - agents that satisfy one of O(trust_rules); they join its groups.
    type: str
    choices: [inventory, attested, cidr, rules]
    default: inventory
  trust_networks:
    description: For O(trust=cidr), such as C(10.1.0.0/16).
    type: list
    elements: str
    default: []
  trust_rules:
    description: For O(trust=rules).
    type: list
    elements: dict
    default: []
    suboptions:
      networks:
        description: The agent's address is in one of them.
        type: list
        elements: str
        required: true
      groups:
        description: Agents groups that it comes into.
        type: list
        elements: str
        required: true
      systems:
        description: Its system matches one of these patterns, such as C(debian-*); any when empty.
        type: list
        elements: str
        default: []
      executors:
        description: It has all of them.
        type: list
        elements: str
        default: []
  timeout:
    description: Seconds to wait for agents to appear.
    type: int
    default: 60
  drain_timeout:
    description: Seconds to wait for the jobs of agents that are drained.
    type: int
    default: 300
  results:
    description:
      - The file that M(kraken_ci.fleet.deploy_results) has written in the process that has deployed the agents; for
        O(state=present).
      - Hosts that it lacks, or that have failed there, fail with that reason. Empty when this play has deployed.
    type: path
  concurrency:
    description: How many requests are on their way to the server at the same time. No role sets it.
    type: int
    default: 8
extends_documentation_fragment: [kraken_ci.fleet.server, kraken_ci.fleet.attributes]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Register all agents of the play
  kraken_ci.fleet.agent_registration:
    server_url: "{{ kraken_server_url }}"
    server_user: "{{ kraken_server_user }}"
    server_password: "{{ kraken_server_password }}"
  run_once: true
  register: registration

- name: Fail the hosts whose agents could not be registered
  ansible.builtin.fail:
    msg: "{{ registration.failed_hosts[inventory_hostname] }}"
  when: inventory_hostname in registration.failed_hosts
"""

RETURN = r"""
changes:
  description: What was changed on the server, or would be in check mode.
  returned: always
  type: list
  elements: str
failed_hosts:
  description: Why it did not work, by host.
  returned: always
  type: dict
findings:
  description: What a person should know besides, such as a host that reports another system than the inventory says.
  returned: always
  type: list
  elements: str
unknown_hosts:
  description: Hosts with an agent that the server does not know or has not authorized; empty with O(state=present).
  returned: always
  type: list
  elements: str
was_enabled:
  description: Addresses of the agents that could get jobs before; empty with O(state=present).
  returned: always
  type: list
  elements: str
groups:
  description: The agents groups that the hosts are in by the inventory.
  returned: always
  type: list
  elements: str
agents:
  description: The agents that the inventory asks for.
  returned: always
  type: list
  elements: dict
  contains:
    host: {description: The host., type: str, returned: always}
    name: {description: The name of the instance., type: str, returned: always}
    address: {description: The address that it claims., type: str, returned: always}
    groups: {description: Its agents groups by the inventory., type: list, elements: str, returned: always}
"""

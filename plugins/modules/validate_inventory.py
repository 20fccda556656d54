# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: validate_inventory
short_description: Check the kraken_* variables of all hosts of a play
version_added: 0.1.0
description:
  - Finds C(kraken_*) variables that no role reads, values of a wrong type, templates that cannot be filled in, and
    agents that share an address, for all hosts of the play in one call, before anything is done to any of them.
  - The roles' argument specifications say what is right.
options:
  hosts:
    description: The hosts to look at; all of the play when empty. No role sets it.
    type: list
    elements: str
  one_server:
    description:
      - Whether all hosts have to belong to one server. Only a play that does nothing at the server may leave it out,
        for it looks at each host with that host's own server.
    type: bool
    default: true
  ask_hosts:
    description:
      - Whether to return, in RV(hosts_to_ask), the hosts of which only they themselves can say the address of their
        agent. It is for plays that find agents on the server without a deploy before.
    type: bool
    default: false
extends_documentation_fragment: [kraken_ci.fleet.attributes.info]
attributes:
  action:
    description: Runs on the controller, inside ansible-playbook; nothing is sent to the managed host.
    support: full
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Check the inventory
  kraken_ci.fleet.validate_inventory:
  run_once: true
"""

RETURN = r"""
hosts:
  description: How many hosts were looked at.
  returned: success
  type: int
hosts_to_ask:
  description:
    - Hosts without C(kraken_agent_address) that Ansible reaches by a name that has no address here, by this machine's
      own address, or by one that other hosts have too.
  returned: success
  type: list
  elements: str
problems:
  description: What is wrong, each with its host.
  returned: failure
  type: list
  elements: str
"""

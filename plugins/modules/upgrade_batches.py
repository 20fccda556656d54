# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_batches
short_description: Divide the hosts of a play into batches that leave each agents group enough agents
version_added: 0.1.0
description:
  - A job for a group whose agents are all disabled fails at once. So hosts whose agents share a group come into
    different batches when too many of the group would be disabled at the same time.
  - The inventory says which groups there are. Agents of a group that are disabled on the server count as out of service
    in each batch, whether they are of the play or not.
  - Hosts whose agents an upgrade that was broken off has left disabled come first. They are out of service already.
options:
  serial:
    description:
      - How many hosts a batch may have, as C(serial) of a play has it, that is a number or a percentage, or several of
        them for the first batch, the second one and so on.
    type: list
    elements: str
    default: ["25%"]
  max_unavailable:
    description:
      - How many agents of one group may be in one batch, a number or a percentage of the group that is rounded down.
      - One agent of a group always may.
    type: str
    default: "50%"
extends_documentation_fragment: [kraken_ci.fleet.server, kraken_ci.fleet.attributes.info]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Divide the hosts, beginning with a single one
  kraken_ci.fleet.upgrade_batches:
    serial: [1, 10%]
    max_unavailable: 1
  run_once: true
  register: divided

- name: Make a group of each batch
  ansible.builtin.group_by:
    key: "batch_{{ divided.number[inventory_hostname] }}"
"""

RETURN = r"""
batches:
  description: The hosts of each batch, in their order.
  returned: success
  type: list
  elements: list
number:
  description: For each host the number of its batch, from C(00001) on.
  returned: success
  type: dict
left:
  description: Hosts whose agents an upgrade has left disabled that was broken off.
  returned: success
  type: list
  elements: str
"""

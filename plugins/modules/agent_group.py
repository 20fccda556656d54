# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_group
short_description: Make, rename or delete an agents group
version_added: 0.1.0
description:
  - Manages one agents group of a Kraken server.
  - Refuses what a Kraken server accepts and then breaks on. The group C(all) is never touched, a group is never renamed
    to a name that is taken, and a name is never made again while a deleted group still holds it.
options:
  name:
    description: The name of the group.
    type: str
    required: true
  new_name:
    description: What it is to be called from now on.
    type: str
    default: ""
  state:
    description: Whether it should be there.
    type: str
    choices: [present, absent]
    default: present
  force:
    description: Delete it although it has agents; they are taken out of it first, and keep their other groups.
    type: bool
    default: false
extends_documentation_fragment: [kraken_ci.fleet.server, kraken_ci.fleet.attributes]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Make a group for hosts with graphics cards
  kraken_ci.fleet.agent_group:
    name: gpu
    server_url: http://kraken.example:6363
  run_once: true
"""

RETURN = r"""
group:
  description: The group as it is now; null when there is none, or in check mode when it would be changed.
  returned: success
  type: dict
  contains:
    id: {description: Its number., type: int, returned: always}
    name: {description: Its name., type: str, returned: always}
    agents_count: {description: How many authorized agents it has., type: int, returned: always}
"""

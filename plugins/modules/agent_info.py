# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_info
short_description: What a Kraken server knows of its agents
version_added: 0.1.0
description:
  - Returns agents of the server, those that wait to be authorized too.
options:
  agents:
    description: Only these, each by its address or its name; all when left out.
    type: list
    elements: str
  groups:
    description: Only agents that are in one of these agents groups.
    type: list
    elements: str
  authorized:
    description: Only authorized agents, or only those that wait to be authorized.
    type: bool
  silent_seconds:
    description: An agent that was not seen for longer than this is C(silent).
    type: float
    default: 60.0
extends_documentation_fragment: [kraken_ci.fleet.server, kraken_ci.fleet.attributes.info]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Which agents wait to be authorized?
  kraken_ci.fleet.agent_info:
    authorized: false
    server_url: http://kraken.example:6363
  run_once: true
  register: discovered

- name: Show where they connect from
  ansible.builtin.debug:
    msg: "{{ discovered.agents | items2dict(key_name='address', value_name='ip_address') }}"
  run_once: true
"""

RETURN = r"""
agents:
  description: The agents.
  returned: success
  type: list
  elements: dict
  contains:
    id: {description: Its number., type: int, returned: always}
    name: {description: Its name., type: str, returned: always}
    address: {description: The address that it claims., type: str, returned: always}
    ip_address: {description: Where its last message came from., type: str, returned: always}
    authorized: {description: Whether it is authorized., type: bool, returned: always}
    enabled: {description: Whether it may be given jobs., type: bool, returned: always}
    activity:
      description: What it is doing. One of C(idle), C(busy), C(draining), C(disabled), C(silent) and C(discovered).
      type: str
      returned: always
    groups: {description: The agents groups it is in., type: list, elements: str, returned: always}
    system: {description: The system it reports; null before its first report., type: str, returned: always}
    isolation: {description: What kind of host it reports; null before its first report., type: str, returned: always}
    executors: {description: The executors it reports and their versions., type: dict, returned: always}
    job_id: {description: The job it runs; null when it runs none., type: int, returned: always}
    last_seen: {description: When the server last saw it., type: str, returned: always}
    comment: {description: What somebody wrote about it., type: str, returned: always}
missing:
  description: What O(agents) names and the server does not know.
  returned: success
  type: list
  elements: str
"""

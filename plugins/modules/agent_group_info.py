# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_group_info
short_description: Agents groups of a Kraken server, their agents and the jobs that wait for them
version_added: 0.1.0
description:
  - Returns the agents groups of the server, who is in them, and which jobs wait for an agent of theirs.
  - A server fails a job at once when its group has no enabled agent. When the group has some, but none with the system
    or executor that the job asks for, or when they are disabled later, the job waits.
options:
  groups:
    description: Only these; all when left out.
    type: list
    elements: str
  waiting_jobs:
    description:
      - Look for jobs that wait.
      - The server has no list of them, so this costs a request for each branch and each run that has some.
    type: bool
    default: true
extends_documentation_fragment: [kraken_ci.fleet.server, kraken_ci.fleet.attributes.info]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Look at all agents groups
  kraken_ci.fleet.agent_group_info:
    server_url: http://kraken.example:6363
  run_once: true
  register: found

- name: Name the groups that jobs wait for
  ansible.builtin.debug:
    msg: "{{ found.groups | selectattr('waiting_jobs') | map(attribute='name') }}"
  run_once: true
"""

RETURN = r"""
groups:
  description: The groups, by name.
  returned: success
  type: list
  elements: dict
  contains:
    id: {description: Its number., type: int, returned: always}
    name: {description: Its name., type: str, returned: always}
    project: {description: The project it belongs to; null when it is for all., type: str, returned: always}
    agents_count: {description: How many authorized agents it has., type: int, returned: always}
    deployment:
      description: How Kraken makes its agents, its method and the settings of that; secrets are hidden.
      type: dict
      returned: always
    agents:
      description: Who is in it.
      returned: always
      type: list
      elements: dict
      contains:
        id: {description: The agent's number., type: int, returned: always}
        name: {description: Its name., type: str, returned: always}
        address: {description: The address that it claims., type: str, returned: always}
        authorized: {description: Whether it is authorized., type: bool, returned: always}
        enabled: {description: Whether it may be given jobs., type: bool, returned: always}
    waiting_jobs:
      description: The jobs that wait for one of its agents; empty when they were not looked for.
      returned: always
      type: list
      elements: dict
      contains:
        id: {description: The job's number., type: int, returned: always}
        name: {description: Its name., type: str, returned: always}
        run_id: {description: The run it belongs to., type: int, returned: always}
        system: {description: The system it asks for., type: str, returned: always}
        executor: {description: The executor it asks for., type: str, returned: always}
        notes: {description: Why the server could not place it., type: str, returned: always}
        created: {description: Since when it waits., type: str, returned: always}
missing:
  description: What O(groups) names and the server does not have.
  returned: success
  type: list
  elements: str
"""

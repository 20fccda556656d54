# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: agent
short_description: Authorize, group, enable or delete agents of a Kraken server
version_added: 0.1.0
description:
  - Manages agents that the server knows, one or many in one task.
  - What a task does not mention stays as it is.
  - An agent cannot be made on the server; it exists there after its first message. To register all agents of a play by
    their inventory, use M(kraken_ci.fleet.agent_registration).
options:
  agents:
    description: The agents, each by its address or its name.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present) fails for agents that the server does not know.
      - V(absent) deletes their records, slowly, since each costs the server a second of the work that also ends jobs.
        Stop the agents on their hosts first, else they come back.
    type: str
    choices: [present, absent]
    default: present
  authorized:
    description: Whether they are authorized. Anybody can announce an agent, so name only those you know.
    type: bool
  enabled:
    description: Whether they may be given jobs. A job that one of them runs goes on.
    type: bool
  groups:
    description: The agents groups they are in. The server's own group C(all) is left alone.
    type: list
    elements: str
  groups_mode:
    description: V(merge) leaves an agent in groups that O(groups) does not name; V(exact) takes it out of them.
    type: str
    choices: [merge, exact]
    default: merge
  create_groups:
    description: Make groups that the server does not have, instead of failing.
    type: bool
    default: false
  concurrency:
    description: How many requests are on their way to the server at the same time.
    type: int
    default: 8
extends_documentation_fragment: [kraken_ci.fleet.server, kraken_ci.fleet.attributes]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Let two agents in and put them into a group
  kraken_ci.fleet.agent:
    agents: [192.0.2.10, 192.0.2.11]
    authorized: true
    enabled: true
    groups: [gpu]
    server_url: http://kraken.example:6363
  run_once: true

- name: Give an agent no more jobs
  kraken_ci.fleet.agent:
    agents: [192.0.2.10]
    enabled: false
    server_url: http://kraken.example:6363
  run_once: true

- name: Delete the record of an agent that is gone
  kraken_ci.fleet.agent:
    agents: [old-builder]
    state: absent
    server_url: http://kraken.example:6363
  run_once: true
"""

RETURN = r"""
changes:
  description: What was changed on the server, or would be in check mode.
  returned: success
  type: list
  elements: str
agents:
  description:
    - The agents as they are now, or would be in check mode; without those that are deleted.
    - Each has what M(kraken_ci.fleet.agent_info) returns of it.
  returned: success
  type: list
  elements: dict
failures:
  description: Why something could not be done, by agent.
  returned: when something could not be done
  type: dict
"""

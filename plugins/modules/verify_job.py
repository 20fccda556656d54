# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_job
short_description: Prove that the agents of a play work, with real jobs
version_added: 0.1.0
description:
  - Runs a job on the agent of each host that the play has changed, and on at least one agent of each agents group, and
    reads a line of its log back from the server. No agent outside the play is asked.
  - Agents that are disabled, or run a job of somebody else, are named and not proven. That is no failure.
  - For its job an agent comes into an agents group that is made for it and deleted afterwards.
  - The jobs belong to a project of their own on the server. A proof is no change, so it is never reported as one.
  - It does not fail for agents of the play without a proof; it returns their hosts, so that a task can fail just
    those. When O(groups) names agents groups, it runs one job on each, on whichever agent, and fails.
options:
  groups:
    description: Agents groups to run one job on each, instead of the agents of the play. No role sets it.
    type: list
    elements: str
  hosts:
    description: The hosts that are meant; those of the play that have not failed when empty.
    type: list
    elements: str
  each_agent:
    description: Run a job on each agent of the hosts.
    type: bool
    default: false
  alone:
    description:
      - Nobody else's job is risked on the agents. For its job an agent is in no other agents group, and a disabled one
        is enabled. Afterwards it is as it was.
    type: bool
    default: false
  results:
    description:
      - The file that M(kraken_ci.fleet.deploy_results) has written in the process that has deployed the agents.
      - Hosts that it lacks, or that have failed there, fail with that reason. Empty when this play has deployed.
    type: path
  timeout:
    description: Seconds to wait for a job to end.
    type: int
    default: 120
extends_documentation_fragment: [kraken_ci.fleet.server, kraken_ci.fleet.attributes.info]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Run a job on the group gpu
  kraken_ci.fleet.verify_job:
    groups: [gpu]
    server_url: http://kraken.example:6363
  run_once: true
"""

RETURN = r"""
proofs:
  description: What became of each job.
  returned: when not in check mode
  type: list
  elements: dict
  contains:
    group: {description: The agents group that the job was for., type: str, returned: always}
    host: {description: The host of the agent., type: str, returned: of a play}
    label: {description: 'The host, with the name of one of several agents.', type: str, returned: of a play}
    groups: {description: The agents groups that the agent is in., type: list, elements: str, returned: of a play}
    job_id: {description: The number of the job., type: int, returned: always}
    agent: {description: The agent that ran it., type: str, returned: always}
    seconds: {description: From the start until this was known., type: float, returned: always}
    log_line: {description: The line of the job's log that was read back., type: str, returned: always}
    failure: {description: What went wrong; null for a proof., type: str, returned: always}
    hint: {description: What to do about it., type: str, returned: always}
    left_out: {description: Why nothing is known; empty otherwise., type: str, returned: always}
not_proven:
  description: Agents that were left out, with the reason, by label.
  returned: for agents of the play
  type: dict
groups_not_proven:
  description: Agents groups of which no agent could be proven, with the reason.
  returned: for agents of the play
  type: dict
trouble:
  description: With O(alone), why there may be fewer proofs than agents; empty when nothing went wrong on the server.
  returned: of a play
  type: str
unproven_hosts:
  description: With O(alone), the hosts of whose agents nothing is known because of that trouble.
  returned: of a play
  type: list
  elements: str
failed_hosts:
  description: Why there is no proof, by host.
  returned: always
  type: dict
"""

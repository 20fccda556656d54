# Apache-2.0 (see LICENSE)
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import absolute_import, annotations, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: verify_job
short_description: Prove that agents work with a real job on each agents group
version_added: 0.1.0
description:
  - Runs one job on each agents group, all in one run, and reads a line of its log back from the server.
  - Of agents that share a group, one runs the job; see O(each_agent).
  - The job belongs to a project of its own on the server. A proof is no change, so it is never reported as one.
  - When the groups are those of the play, it does not fail for groups without a proof; it returns their hosts, so that
    a task can fail just those. When O(groups) names them, it fails.
options:
  groups:
    description: The agents groups; those that the hosts of the play are in when empty.
    type: list
    elements: str
  hosts:
    description: The hosts whose groups are meant; those of the play that have not failed when empty.
    type: list
    elements: str
  each_agent:
    description:
      - Run a job on each agent of the hosts instead of one on each group.
      - For its job an agent is alone in one of the permanent groups C(kraken-fleet-verify-1) to C(-8) and in no other;
        a disabled one is enabled. Afterwards it is as it was.
    type: bool
    default: false
  timeout:
    description: Seconds to wait for a job to end.
    type: int
    default: 120
extends_documentation_fragment:
  - kraken_ci.fleet.server
  - kraken_ci.fleet.attributes.info
  - kraken_ci.fleet.attributes.controller
author:
  - kraken-fleet contributors (@kraken-ci)
"""

EXAMPLES = r"""
- name: Run a job on the group gpu
  kraken_ci.fleet.verify_job:
    groups: [gpu]
    server_url: http://kraken.example:6363
    server_user: admin
    server_password: "{{ kraken_server_password }}"
  run_once: true
"""

RETURN = r"""
proofs:
  description: What became of the job on each group.
  returned: when not in check mode
  type: list
  elements: dict
  contains:
    group: {description: The group., type: str, returned: always}
    job_id: {description: The number of the job., type: int, returned: always}
    agent: {description: The agent that ran it., type: str, returned: always}
    seconds: {description: From the start until this was known., type: float, returned: always}
    log_line: {description: The line that was read back., type: str, returned: always}
    failure: {description: What went wrong; null for a proof., type: str, returned: always}
    hint: {description: What to do about it., type: str, returned: always}
failed_hosts:
  description: Why there is no proof, by host.
  returned: always
  type: dict
"""

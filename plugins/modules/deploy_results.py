# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_results
short_description: Write what a deploy has found on its hosts into a file
version_added: 0.1.0
description:
  - C(deploy-agents.yml) with C(--tags agent) and with C(--tags registration,verify) may be two processes. The second
    one needs what the first one has found - the agents' addresses, the sha256 of their secrets, when they were started,
    and which hosts have failed or changed.
  - M(kraken_ci.fleet.agent_registration) and M(kraken_ci.fleet.verify_job) read the file.
  - It holds no secret. Only the account that runs the playbook can read it. A file that others can write is refused.
options:
  path:
    description: The file on the controller. Its directory has to be there.
    type: path
    required: true
  state:
    description: V(present) writes the file. V(absent) removes it, so that nobody takes an earlier deploy for this one.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment: [kraken_ci.fleet.attributes.info]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Write down what was found on the hosts
  kraken_ci.fleet.deploy_results:
    path: /var/lib/kraken/results.json
  run_once: true
"""

RETURN = r"""
hosts:
  description: How many hosts of the play have a result.
  returned: when O(state=present)
  type: int
"""

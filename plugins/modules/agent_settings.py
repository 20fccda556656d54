# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_settings
short_description: What the variables of the role kraken_agent become on a Windows host
version_added: 0.1.0
description:
  - Reads the variables of the role, refuses those that are set and have no meaning on Windows, and returns the
    environment variables of the agent. The role C(kraken_agent) itself uses it.
  - Runs on the controller and changes nothing.
options:
  directory:
    description: The agent's directory.
    type: str
    required: true
extends_documentation_fragment: [kraken_ci.fleet.attributes]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: See what the agent's variables are
  kraken_ci.fleet.agent_settings:
    directory: C:\kraken
  register: settings
  no_log: true
"""

RETURN = r"""
environment:
  description: The agent's variables. There may be passwords among them.
  returned: success
  type: dict
ca_bundle:
  description: The text of the file with certificate authorities that the host needs; empty when it needs none.
  returned: success
  type: str
"""

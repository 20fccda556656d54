# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: prerequisites
short_description: Make sure that a host has Python and Git
version_added: 0.1.0
description:
  - Looks for Python 3.8 or newer and for Git through the host's shell, so that it works on hosts without any Python.
  - Tells Ansible which Python to use there, so that nothing has to look for one again.
options:
  install:
    description:
      - Install what is missing with apt-get, dnf, yum or zypper.
      - When V(false), a host on which something is missing fails.
    type: bool
    default: true
  environment:
    description: The agent's variables; those that name proxies are used for what is installed.
    type: dict
    default: {}
attributes:
  action_group:
    description: Use C(group/kraken_ci.fleet.hosts) in C(module_defaults) to set options of all its modules at once.
    support: full
    membership: [kraken_ci.fleet.hosts]
extends_documentation_fragment: [kraken_ci.fleet.installation, kraken_ci.fleet.attributes]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Make sure that there are Python and Git
  kraken_ci.fleet.prerequisites:
  become: true
"""

RETURN = r"""
python:
  description: The path of a Python that is new enough; empty when there is none.
  returned: always
  type: str
python_version:
  description: Its version, or the newest one that is too old.
  returned: always
  type: str
git:
  description: The path of Git; empty when there is none.
  returned: always
  type: str
system:
  description: What the host says its operating system is.
  returned: always
  type: str
missing:
  description: What was missing; in check mode it still is.
  returned: always
  type: list
  elements: str
"""

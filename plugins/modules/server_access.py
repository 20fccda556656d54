# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server_access
short_description: Check that the server answers and the account is an administrator's
version_added: 0.1.0
description:
  - Signs in and reads what only administrators may read.
  - The playbooks do so before they touch a host, in check mode too.
extends_documentation_fragment: [kraken_ci.fleet.server, kraken_ci.fleet.attributes.info]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Check the server and the account
  kraken_ci.fleet.server_access:
    server_url: http://kraken.example:6363
    server_user: admin
    server_password: "{{ kraken_server_password }}"
  run_once: true
"""

RETURN = r"""
server:
  description: The server's URL.
  returned: success
  type: str
version:
  description: The server's version.
  returned: success
  type: str
"""

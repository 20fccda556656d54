# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules are told which Kraken server to use."""

from __future__ import annotations


class ModuleDocFragment:
    """The connection to a Kraken server."""

    DOCUMENTATION = r"""
options:
  server_url:
    description:
      - The Kraken server as the controller reaches it, a URL or C(host:port).
      - When empty, the environment variable E(KRAKEN_FLEET_SERVER) is used.
    type: str
    default: ""
  server_user:
    description:
      - The account to sign in with. It has to be an administrator to change anything.
      - When empty, E(KRAKEN_FLEET_USER) is used.
    type: str
    default: ""
  server_password:
    description:
      - Its password. Keep it in Ansible Vault.
      - When empty, the file that E(KRAKEN_FLEET_PASSWORD_FILE) names or E(KRAKEN_FLEET_PASSWORD) is used.
    type: str
    default: ""
  server_token:
    description:
      - A token of the server, instead of user and password.
      - When empty, the file that E(KRAKEN_FLEET_TOKEN_FILE) names or E(KRAKEN_FLEET_TOKEN) is used.
    type: str
    default: ""
  server_ca_bundle:
    description: A file on the controller with the certificate authorities to trust; the system's own when empty.
    type: path
    default: ""
  server_timeout:
    description: Seconds to wait for each answer of the server. No role sets it.
    type: float
    default: 10.0
attributes:
  action:
    description: Runs on the controller, inside ansible-playbook; nothing is sent to the managed host.
    support: full
  action_group:
    description: Use C(group/kraken_ci.fleet.fleet) in C(module_defaults) to set options of all its modules at once.
    support: full
    membership: [kraken_ci.fleet.fleet]
requirements:
  - kraken-fleet, in the Python that runs ansible-playbook
"""

# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Jinja filter `server_address`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Before kraken_fleet is imported: it says so when that is not installed.
import ansible_collections.kraken_ci.fleet.plugins.plugin_utils  # noqa: F401 # pylint: disable=unused-import
from ansible.errors import AnsibleFilterError

from kraken_fleet.address import ServerAddress
from kraken_fleet.errors import UsageError

DOCUMENTATION = r"""
name: server_address
short_description: Read the address of a Kraken server
version_added: 0.1.0
description:
  - Reads C(host:port) or a URL, with or without C(/), C(/api), C(/bk) or C(/bk/api), as all of this collection does.
options:
  _input:
    description: The address.
    type: str
    required: true
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Show which port must be open
  ansible.builtin.debug:
    msg: "{{ (kraken_server_url | kraken_ci.fleet.server_address).port }}"
"""

RETURN = r"""
_value:
  description:
    - V(root), the URL without any of Kraken's own paths; V(agents), the URL that agents are given; V(host) and V(port).
  type: dict
"""


def server_address(text: str) -> dict[str, Any]:
    """Read an address, see DOCUMENTATION.

    Raises:
        AnsibleFilterError: it is not an address.
    """
    try:
        address = ServerAddress.parse(text)
    except UsageError as error:
        raise AnsibleFilterError(str(error)) from error
    return {"root": address.root, "agents": address.agents, "host": address.host, "port": address.port}


class FilterModule:
    """What Ansible looks for in a file of filters."""

    def filters(self) -> dict[str, Callable[[str], dict[str, Any]]]:
        return {"server_address": server_address}

# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup `host_os`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_os
short_description: Whether a host runs Windows or Linux
version_added: 0.1.0
description:
  - Says V(windows) when Ansible reaches the host by WinRM or PSRP, or when C(ansible_shell_type) is C(powershell) or
    C(cmd); else V(linux). The host itself is not asked.
  - It is the default of C(kraken_agent_os).
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Do this on Windows only
  ansible.builtin.include_tasks: windows.yml
  when: lookup('kraken_ci.fleet.host_os') == 'windows'
"""

RETURN = r"""
_raw:
  description: One of V(windows) and V(linux).
  type: list
  elements: str
"""

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.operating_system import operating_system


class LookupModule(LookupBase):
    """Looks at the variables of the host that the task runs for."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        return [operating_system(variables or {}, self._templar)]

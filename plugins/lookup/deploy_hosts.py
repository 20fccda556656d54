# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup `deploy_hosts`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deploy_hosts
short_description: Hosts of deploy-agents.yml that stand in a play of their own
version_added: 0.1.0
description:
  - For C(hosts) of a play. An ordinary Linux host needs one task; what only some hosts need is in plays over these.
  - Looks at the hosts of the inventory group C(kraken_agents), else at all of them, as far as C(--limit) goes.
options:
  _terms:
    description:
      - V(several_tasks) - hosts that are not Linux hosts with the install method V(binaries), or may not be, and one
        more host, since Ansible ends a playbook when all hosts of a play fail.
      - V(failed) - hosts whose agents registration or proof found not to be as they should be.
    required: true
    choices: [several_tasks, failed]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Look at the hosts that failed
  hosts: "{{ query('kraken_ci.fleet.deploy_hosts', 'failed') or 'all:!all' }}"
"""

RETURN = r"""
_raw:
  description: Names of hosts; none before there is a play.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play import deploy

_AGENTS = "kraken_agents"


class LookupModule(LookupBase):
    """Is asked once when a play begins, in the process that runs the playbook."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        known = variables or {}
        hostvars = known.get("hostvars")
        if hostvars is None:
            return []  # the plays are only listed
        hosts = self._hosts(known)
        match list(terms):
            case ["several_tasks"]:
                return deploy.with_another([host for host in hosts if deploy.needs_more(hostvars.raw_get(host))], hosts)
            case ["failed"]:
                return self._failed(hosts, hostvars)
        raise AnsibleError("deploy_hosts wants one of several_tasks and failed")

    def _hosts(self, known: dict[str, Any]) -> list[str]:
        agents = set(known["groups"][_AGENTS] if _AGENTS in known["groups"] else known["ansible_play_hosts_all"])
        return [host for host in known["ansible_play_hosts_all"] if host in agents]

    def _failed(self, hosts: list[str], hostvars: Any) -> list[str]:
        for host in hosts:
            found = hostvars.raw_get(host)
            if deploy.has_results(found):
                failed = deploy.failed_hosts(found)
                return [name for name in hosts if name in failed]
        return []

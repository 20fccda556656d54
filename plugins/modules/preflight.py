#!/usr/bin/python
# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host before an agent is put on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check that a host can run a Kraken agent and reaches what it needs
version_added: 0.1.0
description:
  - Checks Python, Git, disk space, and the way to the Kraken server (DNS, TCP, HTTP, clock), to MinIO and to the
    ClickHouse proxy, all in one task. Changes nothing.
  - Log records travel over UDP, which never says whether they arrive. The host sends a record with a marker and the
    controller looks for it in ClickHouse; only when it is there the log is called reachable.
options:
  server_url:
    description: The Kraken server's URL, as the agent gets it.
    type: str
    required: true
  minio_addr:
    description: MinIO's address as C(host:port). Nothing is checked when it is empty.
    type: str
    default: ""
  clickhouse_addr:
    description: The ClickHouse proxy's address as C(host:port), UDP. Nothing is checked when it is empty.
    type: str
    default: ""
  clickhouse_native_addr:
    description:
      - ClickHouse itself, as the controller reaches it, C(host:port) of the native protocol.
      - When it is empty the record is sent but nobody looks for it, and the finding says so.
    type: str
    default: ""
  executors:
    description:
      - With O(installed=true), executors that the agent has to offer. An engine that one of them needs and that does
        not answer is a finding. Other engines are asked as well, when they are there.
    type: list
    elements: str
    choices: [local, docker, lxd]
    default: []
  installed:
    description:
      - Also tell which release of the agent is installed, and how the engines of containers answer. The playbook
        C(doctor.yml) asks for it.
    type: bool
    default: false
  directory:
    description: Where the agent will live; its file system must have room.
    type: path
    default: /opt/kraken
  least_disk_mb:
    description: Free space, in MiB, below which the disk is a finding. No role sets it.
    type: int
    default: 512
  timeout:
    description: Seconds for each connection, and for the log record to arrive. No role sets it.
    type: int
    default: 5
  ca_bundle:
    description: A file on the host with the certificate authorities to trust for https. No role sets it.
    type: path
    default: ""
  environment:
    description:
      - The agent's variables. The server is reached with the proxies and certificate authorities that they name.
    type: dict
    default: {}
  agent_ca_bundle:
    description: A file on the controller with certificate authorities to trust for https, as for the agent.
    type: str
    default: ""
  strict:
    description: Fail when any finding is bad. When false the findings are only returned.
    type: bool
    default: true
  marker:
    description: The word that the log record carries. Made anew for each run when it is empty. No role sets it.
    type: str
    default: ""
attributes:
  action_group:
    description: Use C(group/kraken_ci.fleet.hosts) in C(module_defaults) to set options of all its modules at once.
    support: full
    membership: [kraken_ci.fleet.hosts]
extends_documentation_fragment: [kraken_ci.fleet.attributes]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Check the host before the agent is put on it
  kraken_ci.fleet.preflight:
    server_url: http://kraken.example:6363
    minio_addr: kraken.example:9999
    clickhouse_addr: kraken.example:9001
    clickhouse_native_addr: kraken.example:9000
"""

RETURN = r"""
findings:
  description: One entry for each thing that was looked at.
  returned: always
  type: list
  elements: dict
  contains:
    check: {description: What was looked at., type: str, returned: always}
    ok: {description: Whether it is well; null when nobody could tell., type: bool, returned: always}
    detail: {description: What was seen., type: str, returned: always}
    remedy: {description: What to do when it is not well., type: str, returned: always}
marker:
  description: The word that the log record carried.
  returned: always
  type: str
"""

import os
import uuid
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.agent_checks import check_installed
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.applied_settings import is_for_connections
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.certificates import trusting
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.checks import run_checks

# Written by `make docs` out of DOCUMENTATION.
ARGUMENTS: dict[str, Any] = {
    "server_url": {"type": "str", "required": True},
    "minio_addr": {"type": "str", "default": ""},
    "clickhouse_addr": {"type": "str", "default": ""},
    "clickhouse_native_addr": {"type": "str", "default": ""},
    "executors": {"type": "list", "elements": "str", "choices": ["local", "docker", "lxd"], "default": []},
    "installed": {"type": "bool", "default": False},
    "directory": {"type": "path", "default": "/opt/kraken"},
    "least_disk_mb": {"type": "int", "default": 512},
    "timeout": {"type": "int", "default": 5},
    "ca_bundle": {"type": "path", "default": ""},
    "environment": {"type": "dict", "default": {}},
    "agent_ca_bundle": {"type": "str", "default": ""},
    "strict": {"type": "bool", "default": True},
    "marker": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
    )
    wanted = module.params
    # Not by the task's own environment, which Ansible writes on a command line: a proxy may have a password.
    os.environ.update({name: str(value) for name, value in wanted["environment"].items() if is_for_connections(name)})
    marker = wanted["marker"] or uuid.uuid4().hex
    with trusting(wanted["agent_ca_bundle"]):
        findings = run_checks(
            server=wanted["server_url"],
            minio_addr=wanted["minio_addr"],
            clickhouse_addr=wanted["clickhouse_addr"],
            directory=wanted["directory"],
            marker=marker,
            least_disk_mb=wanted["least_disk_mb"],
            timeout=wanted["timeout"],
            ca_bundle=wanted["ca_bundle"],
        )
        if wanted["installed"]:
            findings += check_installed(wanted["directory"], wanted["executors"], wanted["timeout"])
    module.exit_json(changed=False, findings=findings, marker=marker)


if __name__ == "__main__":
    main()

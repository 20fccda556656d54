#!/usr/bin/python
# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extra agents beside a Kraken server that runs under Docker Compose."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_agents
short_description: Run extra agents beside a Kraken server under Docker Compose
version_added: 0.1.0
description:
  - Writes an override file beside the server's compose file and starts the agents in it. The user's own file is only
    read.
  - Kraken knows an agent by its address, so each agent gets a fixed one and C(lab_net) an IPAM subnet.
  - With O(state=absent) the override file and the agents in it are removed, and nothing else.
  - Only the agents are started and stopped, except when C(lab_net) has to be made again.
  - Clashing names or addresses, a subnet that another network uses, and one that is too small are refused before
    anything is stopped.
options:
  state:
    description: V(present) runs the agents and no others of ours; V(absent) takes them all out.
    type: str
    choices: [present, absent]
    default: present
  compose_file:
    description: The compose file that the server was started from, on the managed host.
    type: path
    required: true
  env_file:
    description: Its env file. The default is C(.env) beside it, when there is one.
    type: path
  subnet:
    description: The IPAM subnet of C(lab_net). Required when O(state=present).
    type: str
    default: ""
  image:
    description:
      - The agent's image with its version. Required when O(state=present).
      - An image without a version, with C(latest), or with a version that begins with C(v) is refused.
    type: str
    default: ""
  agents:
    description: The extra agents.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: The compose service., type: str, required: true}
      address: {description: The fixed IPv4 address., type: str, required: true}
      docker_socket: {description: As O(docker_socket)., type: bool}
      environment: {description: Added to O(environment)., type: dict, default: {}}
  recreate_network:
    description:
      - Allow to take the whole project down when C(lab_net) exists with another subnet, since Docker cannot change it.
      - When it is needed and not allowed, the task fails and says so, and nothing is stopped.
    type: bool
    default: false
  looked_at:
    description: Used internally, the sha256 of the override file that the controller has planned with.
    type: str
    default: ""
  operation:
    description: Used internally between controller and host.
    type: str
    choices: [inspect, apply, remove]
    default: inspect
  override:
    description: Used internally, the override file's content.
    type: str
  services:
    description: Used internally, the services to start.
    type: list
    elements: str
    default: []
  superfluous:
    description: Used internally, the services to take out.
    type: list
    elements: str
    default: []
  stop_seconds:
    description: Used internally, how many seconds the agents that run now may take to stop.
    type: int
    default: 0
  network:
    description: Used internally, the network to recreate.
    type: str
  project:
    description: Used internally, the compose project.
    type: str
extends_documentation_fragment: [kraken_ci.fleet.container, kraken_ci.fleet.agent, kraken_ci.fleet.attributes]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Two more agents beside the server
  kraken_ci.fleet.compose_agents:
    compose_file: /srv/kraken/kraken-docker-compose-1.7.36.yaml
    env_file: /srv/kraken/kraken-1.7.36.env
    subnet: 172.20.0.0/16
    image: kraken-fleet/kkagent:0.1.0
    agents:
      - {name: agent1, address: 172.20.0.11}
      - {name: agent2, address: 172.20.0.12}

- name: No more of them
  kraken_ci.fleet.compose_agents:
    compose_file: /srv/kraken/kraken-docker-compose-1.7.36.yaml
    env_file: /srv/kraken/kraken-1.7.36.env
    state: absent
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  returned: success
  type: list
  elements: str
agents:
  description: The agents, in the form of M(kraken_ci.fleet.agent_host). The release of one is its image.
  returned: success
  type: list
  elements: dict
override_file:
  description: The file that was written or removed.
  returned: success
  type: str
network:
  description: The Docker network's real name.
  returned: when O(state=present)
  type: str
network_recreated:
  description: Whether the project was taken down to give the network its subnet.
  returned: when O(state=present)
  type: bool
"""

import os
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kraken_ci.fleet.plugins.module_utils import agent_arguments, compose_project
from ansible_collections.kraken_ci.fleet.plugins.module_utils.compose_project import ComposeError, Project
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import images, lock
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError

OVERRIDE_NAME = "kraken-fleet-agents.override.yaml"

# Written by `make docs` out of DOCUMENTATION.
ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "compose_file": {"type": "path", "required": True},
    "env_file": {"type": "path"},
    "subnet": {"type": "str", "default": ""},
    "image": {"type": "str", "default": ""},
    "agents": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "docker_socket": {"type": "bool"},
            "environment": {"type": "dict", "default": {}},
        },
    },
    "recreate_network": {"type": "bool", "default": False},
    "looked_at": {"type": "str", "default": ""},
    "operation": {"type": "str", "choices": ["inspect", "apply", "remove"], "default": "inspect"},
    "override": {"type": "str"},
    "services": {"type": "list", "elements": "str", "default": []},
    "superfluous": {"type": "list", "elements": "str", "default": []},
    "stop_seconds": {"type": "int", "default": 0},
    "network": {"type": "str"},
    "project": {"type": "str"},
    **agent_arguments.ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        # Ansible would write all arguments into the host's journal, passwords in `environment` as well.
        no_log=True,
    )
    wanted = module.params
    directory = os.path.dirname(wanted["compose_file"])
    env_file = env_file_of(wanted, directory)
    override_file = os.path.join(directory, OVERRIDE_NAME)
    project = Project(wanted["compose_file"], override_file, env_file, wanted["stop_seconds"])
    try:
        if wanted["operation"] == "inspect":
            predicted = module.check_mode or wanted["predict"]
            module.exit_json(changed=False, **inspect(wanted, project, env_file, pull=not predicted))
        with lock.held(f"compose {os.path.realpath(override_file)}", wanted["lock_timeout"]):
            if wanted["looked_at"] != compose_project.digest(override_file):
                module.exit_json(changed=False, outdated=True)
            {"apply": apply, "remove": remove}[wanted["operation"]](wanted, project)
    except (ComposeError, HostError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, outdated=False)


def inspect(wanted: Dict[str, Any], project: Project, env_file: str, *, pull: bool) -> Dict[str, Any]:
    """Return all that the controller needs to plan.

    Args:
        pull: whether to get an image that is not there, to see whose agent it has.
    """
    seen: Dict[str, Any] = {
        "override_file": project.override_file,
        "override_text": compose_project.read_text(project.override_file, optional=True),
        "looked_at": compose_project.digest(project.override_file),
    }
    if wanted["state"] == "absent":
        return seen
    images.pinned(wanted["image"])
    return {
        **seen,
        "agent": images.agent_of_image(wanted["image"], pull=pull),
        "compose_text": compose_project.read_text(wanted["compose_file"]),
        "env_text": compose_project.read_text(env_file) if env_file else "",
        "subnets": compose_project.subnets(),
        "running": project.running_services(),
    }


def apply(wanted: Dict[str, Any], project: Project) -> None:
    if wanted["network"]:
        project.refuse_other_services(wanted["project"])
    project.take_out(wanted["superfluous"])
    before = compose_project.read_text(project.override_file, optional=True)
    compose_project.write_atomically(project.override_file, wanted["override"])
    try:
        if wanted["network"]:
            project.start_anew(wanted["network"])
        else:
            project.start(wanted["services"])
    except ComposeError:
        # Else the next run finds all as wanted, and starts nothing.
        if before:
            compose_project.write_atomically(project.override_file, before)
        else:
            os.unlink(project.override_file)
        raise


def remove(wanted: Dict[str, Any], project: Project) -> None:
    project.take_out(wanted["superfluous"])
    os.unlink(project.override_file)


def env_file_of(wanted: Dict[str, Any], directory: str) -> str:
    beside = os.path.join(directory, ".env")
    return wanted["env_file"] or (beside if os.path.isfile(beside) else "")


if __name__ == "__main__":
    main()

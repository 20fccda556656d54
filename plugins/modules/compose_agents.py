#!/usr/bin/python
# Apache-2.0 (see LICENSE)
"""Extra agents beside a Kraken server that runs under Docker Compose."""

from __future__ import absolute_import, annotations, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: compose_agents
short_description: Extra agents beside a Kraken server under Docker Compose
version_added: 0.1.0
description:
  - Writes an override file beside the server's compose file and starts the agents in it. The user's own file is only
    read.
  - Kraken knows an agent by its address, so each agent gets a fixed one and C(lab_net) an IPAM subnet.
  - Clashing names or addresses, a subnet that another network uses, and one that is too small are refused before
    anything is stopped.
options:
  compose_file:
    description: The compose file that the server was started from, on the managed host.
    type: path
    required: true
  env_file:
    description: Its env file. The default is C(.env) beside it, when there is one.
    type: path
  subnet:
    description: The IPAM subnet of C(lab_net).
    type: str
    required: true
  image:
    description: The agent's image with its version.
    type: str
    required: true
  agents:
    description: The extra agents.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: The compose service., type: str, required: true}
      address: {description: The fixed IPv4 address., type: str, required: true}
      docker_socket: {description: Mount the engine's socket for the Docker executor., type: bool, default: true}
      environment: {description: Further variables., type: dict, default: {}}
  recreate_network:
    description:
      - Allow to take the whole project down when C(lab_net) exists with another subnet, since Docker cannot change it.
      - When it is needed and not allowed, the task fails and says so, and nothing is stopped.
    type: bool
    default: false
  operation:
    description: Used internally between controller and host.
    type: str
    choices: [inspect, apply]
    default: inspect
  override:
    description: Used internally, the override file's content.
    type: str
  network:
    description: Used internally, the network to recreate.
    type: str
extends_documentation_fragment:
  - kraken_ci.fleet.attributes
author:
  - kraken-fleet contributors (@kraken-ci)
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
"""

RETURN = r"""
override_file:
  description: The file that was written.
  returned: success
  type: str
network:
  description: The Docker network's real name.
  returned: success
  type: str
network_recreated:
  description: Whether the project was taken down to give the network its subnet.
  returned: success
  type: bool
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kraken_ci.fleet.plugins.module_utils import compose_project
from ansible_collections.kraken_ci.fleet.plugins.module_utils.compose_project import ComposeError

OVERRIDE_NAME = "kraken-fleet-agents.override.yaml"


def main():
    module = AnsibleModule(
        argument_spec={
            "compose_file": {"type": "path", "required": True},
            "env_file": {"type": "path"},
            "subnet": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "agents": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "address": {"type": "str", "required": True},
                    "docker_socket": {"type": "bool", "default": True},
                    "environment": {"type": "dict", "default": {}},
                },
            },
            "recreate_network": {"type": "bool", "default": False},
            "operation": {"type": "str", "choices": ["inspect", "apply"], "default": "inspect"},
            "override": {"type": "str"},
            "network": {"type": "str"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    directory = os.path.dirname(wanted["compose_file"])
    override_file = os.path.join(directory, OVERRIDE_NAME)
    try:
        if wanted["operation"] == "inspect":
            module.exit_json(changed=False, **inspect(wanted, directory, override_file))
        compose_project.write_atomically(override_file, wanted["override"])
        files = [wanted["compose_file"], override_file]
        compose_project.bring_up(files, env_file_of(wanted, directory), directory, wanted["network"])
    except ComposeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True)


def inspect(wanted, directory, override_file):
    """All that the controller needs to plan."""
    env_file = env_file_of(wanted, directory)
    files = [wanted["compose_file"]] + ([override_file] if os.path.isfile(override_file) else [])
    return {
        "compose_text": compose_project.read_text(wanted["compose_file"]),
        "env_text": compose_project.read_text(env_file) if env_file else "",
        "override_file": override_file,
        "override_text": compose_project.read_text(override_file, optional=True),
        "subnets": compose_project.subnets(),
        "running": compose_project.running_services(files, env_file, directory),
    }


def env_file_of(wanted, directory):
    beside = os.path.join(directory, ".env")
    return wanted["env_file"] or (beside if os.path.isfile(beside) else "")


if __name__ == "__main__":
    main()

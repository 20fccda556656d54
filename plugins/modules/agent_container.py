#!/usr/bin/python
# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kraken agent as a Docker container."""

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_container
short_description: A Kraken agent as a Docker container
version_added: 0.1.0
description:
  - Runs the agent as a container of the host's own Docker engine, through the C(docker) command.
  - The container is made anew only when its definition changes, which a label of it remembers.
  - The old one is stopped only after the new one was made, so that a missing image stops nothing.
options:
  state:
    description: V(present) makes and starts it; V(absent) stops and removes it.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: The container's name.
    type: str
    default: kraken-agent
  image:
    description:
      - The image with its version. Required when O(state=present).
      - An image without a version, with C(latest), or with a version that begins with C(v) is refused.
      - With C(@sha256:) and a digest it is the image of the host that has this ID, or else the one of its registry that
        has this digest; any other one is refused.
    type: str
    default: ""
  address:
    description:
      - The IP address that the agent claims.
      - When empty, the one that the host shows to the server, which is right with O(network=host).
    type: str
    default: ""
  network:
    description: The Docker network.
    type: str
    default: host
extends_documentation_fragment: [kraken_ci.fleet.container, kraken_ci.fleet.agent, kraken_ci.fleet.attributes]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Run the agent as a container
  kraken_ci.fleet.agent_container:
    image: kraken-fleet/kkagent:0.1.0
    server_url: http://kraken.example:6363
    docker_socket: true
  become: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in its order.
  returned: always
  type: list
  elements: str
agents:
  description:
    - The agent, in the form of M(kraken_ci.fleet.agent_host). Its release is the image of its container; one that is
      only predicted does not count.
  returned: always
  type: list
  elements: dict
"""

from typing import Any, Dict, List, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kraken_ci.fleet.plugins.module_utils import agent_arguments
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import (
    container,
    container_address,
    images,
    lock,
    others,
)
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import (
    Change,
    HostError,
    apply_all,
    as_result,
)
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.env_file import HIDDEN

# Written by `make docs` out of DOCUMENTATION.
ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "name": {"type": "str", "default": "kraken-agent"},
    "image": {"type": "str", "default": ""},
    "address": {"type": "str", "default": ""},
    "network": {"type": "str", "default": "host"},
    **agent_arguments.ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", "present", ["server_url", "image"])],
        # Ansible would write all arguments into the host's journal, passwords in `environment` as well.
        no_log=True,
    )
    try:
        result = bring_about(module.params, check=module.check_mode)
    except HostError as error:
        module.fail_json(msg=str(error), invocation=shown_arguments(module.params))
    module.exit_json(invocation=shown_arguments(module.params), **result)


def shown_arguments(params: Dict[str, Any]) -> Dict[str, Any]:
    """Return what Ansible shows of the arguments when it is verbose, and callbacks record.

    No value of the environment.
    """
    return {"module_args": {**params, "environment": dict.fromkeys(params["environment"], HIDDEN)}}


def bring_about(params: Dict[str, Any], *, check: bool) -> Dict[str, Any]:
    """Bring the container to its wanted state, one deploy at a time."""
    if check or params["predict"]:
        result = _brought_about(params, apply=False)
        return {**result, "changed": False, "diff": []} if params["predict"] else result
    with lock.held(f"container {params['name']}", params["lock_timeout"]):
        return _brought_about(params, apply=True)


def _brought_about(params: Dict[str, Any], *, apply: bool) -> Dict[str, Any]:
    changes, address = _absent(params) if params["state"] == "absent" else _present(params, pull=apply)
    if apply:
        apply_all(changes)
    now = container.found(params["name"])
    if apply and now and container.is_upstream(now):
        container_address.refuse_other_address(now, address)
    release = container.image_of(params["name"])
    return {**as_result(changes), "agents": [{"name": "", "address": address, "release": release}]}


def _absent(params: Dict[str, Any]) -> Tuple[List[Change], str]:
    """Plan the removal, and return the address of the agent that is removed."""
    address = container.address_of_container(params)
    return list(container.absent(params["name"], params["drain_seconds"])), address


def _present(params: Dict[str, Any], *, pull: bool) -> Tuple[List[Change], str]:
    images.pinned(params["image"])
    agent = images.agent_of_image(params["image"], pull=pull)
    wanted = container.wanted_of(params, agent)
    address = wanted.environment.get("KRAKEN_AGENT_ADDRESS", "") or container_address.address_of(params, agent)
    place = others.Place("container", wanted.name, "", address, wanted.environment.get("KRAKEN_SERVER_ADDR", ""))
    changes = list(others.stopped(others.on_host([place]), [place], params["drain_seconds"]))
    return [*changes, *container.present(wanted)], address


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Apache-2.0 (see LICENSE)
"""Brings the agents of one host to their wanted state, in one round trip."""

from __future__ import absolute_import, annotations, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: agent_host
short_description: Bring Kraken agents on a host to their wanted state
version_added: 0.1.0
description:
  - Converges everything of an agent on its host in one round trip, that is its user, directories, versioned binaries,
    C(kraken.env), unit file or process, and the state of the service.
  - Binaries come from the controller with the task (see O(bundle)), or from a URL. They are checked by their sha256
    before C(current) is switched to them in one step; a damaged file leaves the version that runs as it is.
  - The agent is started again only when its binaries, its settings, its unit or its groups have changed. It lets
    the job that it runs come to its end for up to O(drain_seconds).
  - Runs on Python 3.8 and newer with the standard library only.
options:
  state:
    description:
      - V(present) installs, configures and starts; V(absent) leaves no service, file or user behind.
    type: str
    choices: [present, absent]
    default: present
  dir:
    description: The agent's directory, with C(versions/), C(current), C(kraken.env) and C(data/).
    type: str
    default: /opt/kraken
  unit:
    description: The name of the systemd unit, without C(.service).
    type: str
    default: kraken-agent
  address:
    description:
      - The IP address that the agent introduces itself by, and sends from when it is one of the host's own.
      - When empty, the agent uses the one that the host's routes choose.
    type: str
    default: ""
  instances:
    description:
      - Several agents on this host. Each takes the module's other options unless it has its own.
      - To the server an agent is its address, so that each needs its own.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Tells the agents of the host apart.
        type: str
        required: true
      address:
        description: As O(address).
        type: str
        required: true
      dir:
        description: As O(dir); when empty, O(dir) with a hyphen and the name.
        type: str
        default: ""
      unit:
        description: As O(unit); when empty, O(unit) with a hyphen and the name.
        type: str
        default: ""
      environment:
        description: Added to O(environment).
        type: dict
        default: {}
  bundle:
    description:
      - A directory on the controller with the files C(kkagent) and C(kktool).
      - When empty, they are built from the agent that is installed beside kraken-fleet, once for each of its versions.
    type: str
    default: ""
  bundle_sha256:
    description: What the sha256 of each file must be, by the file's name. Needed with O(bundle_url).
    type: dict
    default: {}
  bundle_url:
    description:
      - Where the host itself downloads the files from, C(kkagent) and C(kktool) below this URL, instead of O(bundle).
      - A host that has the wanted release downloads nothing.
    type: str
    default: ""
  bundle_version:
    description: What the release is called. When empty, what the bundle says of itself; needed with O(bundle_url).
    type: str
    default: ""
  source:
    description:
      - V(bundle) takes O(bundle) or O(bundle_url).
      - V(server) takes what the Kraken server serves below C(/bk/install), which it does when it has an agent itself.
      - V(script) is the same on a host that has an agent. On another one the server's own C(kraken-agent-install.sh)
        installs it before, which needs bash, sudo, C(python3), and curl or wget. The script knows one directory, unit
        and user, the defaults of O(dir), O(unit) and O(user). What it leaves besides is taken away.
    type: str
    choices: [bundle, server, script]
    default: bundle
  download:
    description:
      - Unless O(source=bundle), whether the V(host) downloads the files or the V(controller) sends them along.
    type: str
    choices: [host, controller]
    default: host
  binaries:
    description: The files of the release. Filled in by the controller; leave it alone.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The file's name.
        type: str
        required: true
      sha256:
        description: What its content must have.
        type: str
        required: true
      content:
        description: The content, compressed by zlib, in base64.
        type: str
        default: ""
      url:
        description: Where the content is.
        type: str
        default: ""
  self_checking:
    description: Whether the agent is kraken-fleet's own. Filled in by the controller; leave it alone.
    type: bool
    default: false
  keep_versions:
    description: How many releases stay on the host, the current one among them.
    type: int
    default: 3
  releases:
    description:
      - Goes back to releases that are on the host still, by the names of the instances; the only agent of a host has
        the empty name. No bundle is sent then.
      - RV(agents[].release) says which release an agent has.
    type: dict
    default: {}
  predict:
    description: Only say what would be changed, in RV(changes), as check mode does; reports no change.
    type: bool
    default: false
  update:
    description:
      - V(managed) installs the wanted release on each run.
      - V(server) installs one only where there is none; the agent then follows the version of its server.
    type: str
    choices: [managed, server]
    default: managed
  tools_dirs:
    description: Directories with tools of your own.
    type: list
    elements: str
    default: []
  system_id:
    description: What the agent says its system is; when empty, it looks for itself.
    type: str
    default: ""
  python:
    description: The Python that runs the agent, a full path. When empty, the one that Ansible uses on the host.
    type: str
    default: ""
  user:
    description: The account that the agent runs as; made when it is not there. A process runs as the connecting user.
    type: str
    default: kraken
  extra_groups:
    description: Groups of the host that the account is added to, such as V(docker) or V(lxd).
    type: list
    elements: str
    default: []
  sudo:
    description: Let the account use sudo without a password. The sudoers file is checked by visudo first.
    type: bool
    default: false
  hardening:
    description: Confine the service as far as builds allow.
    type: bool
    default: true
  unit_settings:
    description: More lines for the C([Service]) section of the unit, by their names.
    type: dict
    default: {}
  service_manager:
    description:
      - V(systemd), or V(process) for a detached process with a pidfile, which does not come back after a boot.
      - V(auto) takes V(systemd) on hosts that it manages when the task runs as root.
    type: str
    choices: [auto, systemd, process]
    default: auto
  service_state:
    description: Whether the agent runs.
    type: str
    choices: [started, stopped]
    default: started
  enabled:
    description: Whether it starts with the host.
    type: bool
    default: true
  attested:
    description:
      - Make a secret for the agent, by which it shows the server that it is the one on this host; see O(fresh_nonce)
        and M(kraken_ci.fleet.agent_registration). Only the agent's account can read it; its sha256 is returned.
    type: bool
    default: false
  fresh_nonce:
    description: Make a new secret on each run. Without it, one that is there stays.
    type: bool
    default: false
  keep_data:
    description: With O(state=absent), leave the directory C(data).
    type: bool
    default: false
  keep_user:
    description: With O(state=absent), leave the account.
    type: bool
    default: false
extends_documentation_fragment:
  - kraken_ci.fleet.agent
  - kraken_ci.fleet.attributes
author:
  - kraken-fleet contributors (@kraken-ci)
"""

EXAMPLES = r"""
- name: Run an agent
  kraken_ci.fleet.agent_host:
    server_url: http://kraken.example:6363
  become: true

- name: Run two agents on one host, from two of its addresses
  kraken_ci.fleet.agent_host:
    server_url: http://kraken.example:6363
    instances:
      - name: small
        address: 192.0.2.10
      - name: big
        address: 192.0.2.11
        environment:
          MAKEFLAGS: -j16
  become: true

- name: Go back to a release that is on the host still
  kraken_ci.fleet.agent_host:
    server_url: http://kraken.example:6363
    releases:
      "": 1.7.36-0a1b2c3d
  become: true

- name: Take the agent off a host and keep what its jobs left
  kraken_ci.fleet.agent_host:
    state: absent
    keep_data: true
  become: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in its order.
  returned: always
  type: list
  elements: str
  sample: [add user kraken, write /opt/kraken/kraken.env, start kraken-agent]
agents:
  description: The agents as they are now.
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: The name of the instance., type: str, returned: always}
    dir: {description: Its directory., type: str, returned: always}
    unit: {description: Its systemd unit; empty for a process., type: str, returned: always}
    address: {description: The address that it introduces itself by; empty when unknown., type: str, returned: always}
    release: {description: The release that is current., type: str, returned: always}
    nonce_sha256: {description: The sha256 of its secret; empty when it is not attested., type: str, returned: always}
    service: {description: "How it runs: manager, state, enabled, pid.", type: dict, returned: always}
"""

import base64
import binascii
import os
import zlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import converge
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.binaries import Binary, Release
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError, apply_all, as_result
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec_of import specs_of

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "dir": {"type": "str", "default": "/opt/kraken"},
    "unit": {"type": "str", "default": "kraken-agent"},
    "address": {"type": "str", "default": ""},
    "instances": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "dir": {"type": "str", "default": ""},
            "unit": {"type": "str", "default": ""},
            "environment": {"type": "dict", "default": {}},
        },
    },
    "bundle": {"type": "str", "default": ""},
    "bundle_sha256": {"type": "dict", "default": {}},
    "bundle_url": {"type": "str", "default": ""},
    "bundle_version": {"type": "str", "default": ""},
    "source": {"type": "str", "choices": ["bundle", "server", "script"], "default": "bundle"},
    "download": {"type": "str", "choices": ["host", "controller"], "default": "host"},
    "binaries": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
            "content": {"type": "str", "default": "", "no_log": True},
            "url": {"type": "str", "default": ""},
        },
    },
    "self_checking": {"type": "bool", "default": False},
    "keep_versions": {"type": "int", "default": 3},
    "releases": {"type": "dict", "default": {}},
    "predict": {"type": "bool", "default": False},
    "update": {"type": "str", "choices": ["managed", "server"], "default": "managed"},
    "server_url": {"type": "str", "default": ""},
    "clickhouse_addr": {"type": "str", "default": ""},
    "minio_addr": {"type": "str", "default": ""},
    "tools_dirs": {"type": "list", "elements": "str", "default": []},
    "system_id": {"type": "str", "default": ""},
    "environment": {"type": "dict", "default": {}},
    "python": {"type": "str", "default": ""},
    "user": {"type": "str", "default": "kraken"},
    "extra_groups": {"type": "list", "elements": "str", "default": []},
    "sudo": {"type": "bool", "default": False},
    "hardening": {"type": "bool", "default": True},
    "unit_settings": {"type": "dict", "default": {}},
    "service_manager": {"type": "str", "choices": ["auto", "systemd", "process"], "default": "auto"},
    "service_state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
    "enabled": {"type": "bool", "default": True},
    "drain_seconds": {"type": "int", "default": 300},
    "attested": {"type": "bool", "default": False},
    "fresh_nonce": {"type": "bool", "default": False},
    "keep_data": {"type": "bool", "default": False},
    "keep_user": {"type": "bool", "default": False},
}


def main():
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", "present", ["server_url"])],
    )
    try:
        result = bring_about(module.params, check=module.check_mode)
    except HostError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.strerror or error}: {error.filename or 'on this host'}")
    module.exit_json(**result)


def bring_about(params, *, check):
    # What is downloaded here goes through the agent's own proxies. They come with the parameters and not in the task's
    # environment, which Ansible writes on a command line: a proxy's password would be seen by all users of the host.
    os.environ.update(
        {name: str(value) for name, value in params["environment"].items() if name[-6:].lower() == "_proxy"}
    )
    apply = not check and not params["predict"]
    specs = specs_of(params)
    root = os.geteuid() == 0 and specs[0].manager == "systemd"
    if params["state"] == "absent":
        changes = converge.gone(specs, root=root, keep_data=params["keep_data"], keep_user=params["keep_user"])
    else:
        release, scripted = release_of(params), converge.by_script(specs)
        if apply:
            apply_all(scripted)  # what it leaves is looked at below
        changes = converge.present(specs, release, root=root, releases=params["releases"])
    if apply:
        apply_all(changes)
    if params["state"] == "present":
        known = [change.what for change in scripted]  # in check mode they are still to be made
        changes = [*scripted, *(change for change in changes if change.what not in known)]
    result = {**as_result(changes), "agents": [converge.state(spec) for spec in specs]}
    return {**result, "changed": False, "diff": []} if params["predict"] else result


def release_of(params):
    binaries = [
        Binary(one["name"], one["sha256"], _decoded(one) if one["content"] else None, one["url"])
        for one in params["binaries"]
    ]
    return Release(params["bundle_version"], binaries, params["self_checking"]) if binaries else None


def _decoded(binary):
    try:
        return zlib.decompress(base64.b64decode(binary["content"], validate=True))
    except (binascii.Error, zlib.error) as error:
        raise HostError(f"{binary['name']} arrived damaged: {error}") from error


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the agents of one host to their wanted state, in one round trip."""

from __future__ import annotations

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
  - Looks for Python and Git first, through the host's shell and in the same round trip, and installs what is missing.
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
      - The IP address that the agent claims, and sends from when it is one of the host's own.
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
  bundle_allowed_signers:
    description:
      - A file on the controller with the keys that may sign agents, as ALLOWED SIGNERS in ssh-keygen(1) describes it.
      - When given, nothing is installed that has no signature beside it (C(kkagent.sig), C(kktool.sig)) by one of them.
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
  update_sha256:
    description:
      - With O(update=server), the SHA-256 sums of the only files that the agent may become.
      - Needed when the server is not reached over https, for anybody on the way could send other files.
    type: list
    elements: str
    default: []
  update_older:
    description: With O(update=server), let the agent become an older version too.
    type: bool
    default: false
  python:
    description: The Python that runs the agent, a full path. When empty, the one that Ansible uses on the host.
    type: str
    default: ""
  user:
    description:
      - The account that the agent and all jobs run as; made when it is not there.
      - When the task does not run as root, the agent is a process of the connecting user instead.
    type: str
    default: kraken
  allow_root:
    description: Let O(user) be root. Whoever can start a job is then root on the host.
    type: bool
    default: false
  extra_groups:
    description:
      - Groups of the host that the account is added to, such as V(docker) or V(lxd). Whoever is in one of these two can
        become root on the host.
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
  install_prerequisites:
    description: Install Python or Git when the host lacks it; when false such a host fails and says what to do.
    type: bool
    default: true
  preflight:
    description:
      - Before anything else, check what M(kraken_ci.fleet.preflight) does, in the same round trip. When something is
        bad the host fails and is left as it is. Not done when O(releases) goes back, nor with O(state=absent).
      - A log record cannot be looked for before the round trip is over, so that a lost one fails the host at the end.
        In check mode none is sent.
    type: bool
    default: false
  clickhouse_native_addr:
    description: For O(preflight), ClickHouse as the controller reaches it, C(host:port) of the native protocol.
    type: str
    default: ""
  keep_data:
    description: With O(state=absent), leave the directory C(data).
    type: bool
    default: false
  keep_user:
    description: With O(state=absent), leave the account.
    type: bool
    default: false
attributes:
  action_group:
    description: Use C(group/kraken_ci.fleet.agents) in C(module_defaults) to set options of all its modules at once.
    support: full
    membership: [kraken_ci.fleet.agents, kraken_ci.fleet.hosts, kraken_ci.fleet.release]
extends_documentation_fragment: [kraken_ci.fleet.agent, kraken_ci.fleet.installation, kraken_ci.fleet.attributes]
author: [kraken-fleet contributors (@kraken-ci)]
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
findings:
  description: What O(preflight) saw, as M(kraken_ci.fleet.preflight) returns it.
  returned: with O(preflight)
  type: list
  elements: dict
missing:
  description: What of Python and Git was missing; in check mode it still is.
  returned: always
  type: list
  elements: str
agents:
  description: The agents as they are now; empty in check mode when there is no Python yet to look at them.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The name of the instance., type: str, returned: always}
    dir: {description: Its directory., type: str, returned: always}
    unit: {description: Its systemd unit; empty for a process., type: str, returned: always}
    address: {description: The address that it claims; empty when unknown., type: str, returned: always}
    release: {description: The release that is current., type: str, returned: always}
    nonce_sha256: {description: The sha256 of its secret; empty when it is not attested., type: str, returned: always}
    service: {description: "How it runs: manager, state, enabled, pid.", type: dict, returned: always}
"""

# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent is told, however it runs on its host."""

from __future__ import annotations


class ModuleDocFragment:
    """The agent's own settings."""

    DOCUMENTATION = r"""
options:
  server_url:
    description: The Kraken server as the agent reaches it, a URL or C(host:port). Required when O(state=present).
    type: str
    default: ""
  clickhouse_addr:
    description: The log proxy as C(host:port); when empty, the server says.
    type: str
    default: ""
  minio_addr:
    description: The object store as C(host:port); when empty, the server says.
    type: str
    default: ""
  environment:
    description:
      - More variables for the agent, which win over what the other options make.
      - Their values are hidden in diffs.
      - Proxies (C(http_proxy), C(https_proxy), C(no_proxy)) are used for what the host downloads, too.
    type: dict
    default: {}
  drain_seconds:
    description: How long a job may go on when the agent is stopped or started again.
    type: int
    default: 300
  one_job:
    description: After each job the agent ends, and a fresh one is started that finds nothing of it.
    type: bool
    default: false
  min_free:
    description:
      - With less than this free on its disk the agent takes no job. Written like V(512M), V(10G) or V(5%).
    type: str
    default: 512M
  keep_jobs:
    description: The directories of how many jobs the agent keeps.
    type: int
    default: 10
  keep_jobs_days:
    description: For how many days it keeps them; V(0) for any time.
    type: int
    default: 30
  keep_images:
    description: How many of the images that it has pulled for jobs the agent keeps; never others.
    type: int
    default: 20
  keep_images_days:
    description: For how many days after their last job it keeps them; V(0) for any time.
    type: int
    default: 30
  tools_dirs:
    description: Directories of the host with tools of your own.
    type: list
    elements: str
    default: []
  system_id:
    description: What the agent says its system is; when empty, it looks for itself.
    type: str
    default: ""
  docker_socket_in_jobs:
    description:
      - Mount the Docker engine's socket into the containers of jobs, for builds that use Docker themselves.
      - Whoever can start a job is then root on the host.
    type: bool
    default: false
  ca_bundle:
    description:
      - A file on the controller with certificate authorities in PEM form. It is brought to the host, and the agent
        trusts them (E(SSL_CERT_FILE)), as do its downloads and the preflight.
    type: str
    default: ""
  role_settings:
    description:
      - Take what is not given here from the variables of the role C(kraken_agent), and refuse those of them that are
        set and cannot be honoured. The role itself uses this.
    type: bool
    default: false
attributes:
  action_group:
    description: Use C(group/kraken_ci.fleet.agents) in C(module_defaults) to set options of all its modules at once.
    support: full
    membership: [kraken_ci.fleet.agents, kraken_ci.fleet.hosts]
"""

# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_addresses
short_description: Find out where ClickHouse and MinIO are for agents
version_added: 0.1.0
description:
  - A Kraken server tells its agents where to send logs and artifacts. When it runs under Docker Compose, it may name
    containers, which hosts elsewhere cannot reach; they need the published ports.
  - Asks three sources, the most trusted first. The containers that run now (O(docker_url)), the compose file they
    were started from (O(compose_file)), and the server's own settings (O(server_url)). Those that are not named are not
    asked.
options:
  docker_url:
    description:
      - The Docker engine that the containers run on, such as C(ssh://root@kraken.example) or C(tcp://host:port).
      - V(local) is the engine of the controller.
    type: str
    default: ""
  compose_file:
    description: The compose file, on the controller.
    type: path
    default: ""
  env_file:
    description: Where the variables of the compose file are set; the file C(.env) beside it when empty.
    type: path
    default: ""
  project:
    description: Only containers of this compose project; all of the engine when empty.
    type: str
    default: ""
  docker_host:
    description:
      - How agents reach the host of the containers, a name or an IP address.
      - When empty, the host in O(docker_url), or else in O(server_url).
    type: str
    default: ""
requirements:
  - docker, for O(docker_url); paramiko too when it is reached over SSH
extends_documentation_fragment: [kraken_ci.fleet.server, kraken_ci.fleet.attributes.info]
author: [kraken-fleet contributors (@kraken-ci)]
"""

EXAMPLES = r"""
- name: Where are ClickHouse and MinIO?
  kraken_ci.fleet.service_addresses:
    docker_url: ssh://root@kraken.example
    docker_host: kraken.example
    server_url: http://kraken.example:6363
  run_once: true
  register: services

- name: Use them for the agents
  ansible.builtin.set_fact:
    kraken_clickhouse_addr: "{{ services.clickhouse.address }}"
    kraken_minio_addr: "{{ services.minio.address }}"
  when: services.clickhouse and services.minio
"""

RETURN = r"""
clickhouse:
  description: Where log records go, over UDP; null when nobody could say.
  returned: success
  type: dict
  contains: &service
    address: {description: "C(host:port), as C(kraken.env) wants it.", type: str, returned: always}
    source:
      description: Who was believed. C(containers), C(compose file) or C(server settings).
      type: str
      returned: always
    reason: {description: "Why, and who was overruled.", type: str, returned: always}
minio:
  description: Where artifacts and caches go; null when nobody could say.
  returned: success
  type: dict
  contains: *service
"""

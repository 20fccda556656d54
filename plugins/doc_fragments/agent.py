# Apache-2.0 (see LICENSE)
"""What an agent is told, however it runs on its host."""

from __future__ import absolute_import, annotations, division, print_function

__metaclass__ = type


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
      - More variables for the agent. Their values are hidden in diffs.
      - Proxies (C(http_proxy), C(https_proxy), C(no_proxy)) are used for what the host downloads, too.
    type: dict
    default: {}
  drain_seconds:
    description: How long a job may go on when the agent is stopped or started again.
    type: int
    default: 300
"""

"""What every module takes that runs an agent in a container: the options of two documentation fragments."""

from __future__ import annotations

from typing import Any

# Written by `make docs` out of DOCUMENTATION.
ARGUMENTS: dict[str, Any] = {
    "docker_socket": {"type": "bool", "default": False},
    "restart_policy": {
        "type": "str",
        "choices": ["no", "on-failure", "always", "unless-stopped"],
        "default": "unless-stopped",
    },
    "predict": {"type": "bool", "default": False},
    "lock_timeout": {"type": "int", "default": 120},
    "server_url": {"type": "str", "default": ""},
    "clickhouse_addr": {"type": "str", "default": ""},
    "minio_addr": {"type": "str", "default": ""},
    "environment": {"type": "dict", "default": {}},
    "drain_seconds": {"type": "int", "default": 300},
    "one_job": {"type": "bool", "default": False},
    "min_free": {"type": "str", "default": "512M"},
    "keep_jobs": {"type": "int", "default": 10},
    "keep_jobs_days": {"type": "int", "default": 30},
    "keep_images": {"type": "int", "default": 20},
    "keep_images_days": {"type": "int", "default": 30},
    "tools_dirs": {"type": "list", "elements": "str", "default": []},
    "system_id": {"type": "str", "default": ""},
    "docker_socket_in_jobs": {"type": "bool", "default": False},
    "ca_bundle": {"type": "str", "default": ""},
    "role_settings": {"type": "bool", "default": False},
}

"""Whole records as a Kraken server sends them; time stamps become the word that says what they are."""

from __future__ import annotations

import re
from typing import Any

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
ALL = {"id": 1, "name": "all"}

TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}
WRONG_TOKEN = (
    "The server could not verify that you are authorized to access the URL requested. You either supplied the wrong "
    "credentials (e.g. a bad password), or your browser doesn't understand how to supply the credentials required."
)
UNKNOWN_URL = (
    "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try "
    "again."
)
WRONG_METHOD = "The method is not allowed for the requested URL."
NO_TOKEN = "No authorization token provided"


def problem(status: int, detail: str) -> dict[str, Any]:
    """The body of every refusal."""
    return {"detail": detail, "status": status, "title": TITLES[status], "type": "about:blank"}


def timeless(value: Any) -> Any:
    """The same value with every time stamp replaced by `<time>`."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items()}
    if isinstance(value, list):
        return [timeless(each) for each in value]
    return "<time>" if isinstance(value, str) and TIME.match(value) else value


def agent_record(agent_id: int, address: str, peer: str, **differing: Any) -> dict[str, Any]:
    """An agent that has announced itself and nothing more."""
    return {
        "address": address,
        "authorized": False,
        "comment": None,
        "created": "<time>",
        "deleted": None,
        "disabled": False,
        "extra_attrs": None,
        "groups": [],
        "host_info": None,
        "id": agent_id,
        "ip_address": peer,
        "job": None,
        "last_seen": "<time>",
        "name": address,
        "state": 0,
        "status_line": None,
        "user_attrs": None,
        **differing,
    }


def group_record(group_id: int, name: str, **differing: Any) -> dict[str, Any]:
    """A new agents group."""
    vm = {"default_image": "", "destruction_after_jobs": 1, "destruction_after_time": 30, "instances_limit": 5}
    return {
        "agents_count": 0,
        "created": "<time>",
        "deleted": None,
        "deployment": {
            "aws": {**vm, "disk_size": 0, "instance_type": "", "region": ""},
            "aws_ecs_fargate": {
                "cluster": "",
                "instances_limit": 5,
                "region": "",
                "security_groups": "",
                "subnets": "",
            },
            "azure_vm": {**vm, "location": "", "vm_size": ""},
            "kubernetes": {"instances_limit": 5},
            "method": 0,
        },
        "id": group_id,
        "name": name,
        "project_id": None,
        "project_name": None,
        **differing,
    }

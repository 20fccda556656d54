"""Questions to the host's Docker engine, or its LXD, on a socket: their commands take many times as long."""

from __future__ import annotations

import json
import os
import socket
from typing import Any, Dict, List
from urllib.parse import quote

SOCKET = "/var/run/docker.sock"
_MOST_BYTES = 16 * 1024 * 1024


def labelled(label: str, timeout: float) -> List[Dict[str, Any]]:
    """Describe the running containers with a label, as `docker inspect` does.

    Args:
        timeout: seconds, for each step.

    Raises:
        OSError: nothing answers there, or the environment names another engine.
        ValueError: what answers is not like Docker's engine.
    """
    if os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT"):
        raise OSError("The environment names another engine")
    chosen = quote(json.dumps({"label": [label]}))
    listed = get(f"/containers/json?filters={chosen}", timeout)
    return [get(f"/containers/{quote(str(one['Id']))}/json", timeout) for one in listed]


def get(path: str, timeout: float, place: str = "") -> Any:
    """Return what an engine answers, read from JSON.

    Args:
        timeout: seconds, for each step.
        place: its socket; Docker's when it is empty.

    Raises:
        OSError: nothing answers there, or this account may not ask.
        ValueError: what answers is not like an engine.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(place or SOCKET)
        # With this version of HTTP the answer comes in one piece and ends with the connection.
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode("ascii"))
        head, _end, body = _all(connection).partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] != [b"200"]:
        raise ValueError("The engine answers: " + head.partition(b"\r\n")[0].decode("ascii", "replace"))
    return json.loads(body)


def _all(connection: socket.socket) -> bytes:
    found = b""
    while len(found) < _MOST_BYTES:
        more = connection.recv(65536)
        if not more:
            break
        found += more
    return found

"""The few calls of the LXD API that every step needs, over the daemon's own socket.

Importing `pylxd` costs a third of a second of CPU, so it only makes and removes containers (see `client`).
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import Any, Mapping, Optional

from kraken_agent.executors.base import ExecutorError

# Source: pylxd's Client. LXD_DIR is LXD's own variable.
_PLACES = ("/var/lib/lxd/unix.socket", "/var/snap/lxd/common/lxd/unix.socket")
_TIMEOUT_SECONDS = 30.0


def socket_path() -> str:
    """Return where the daemon listens, or would."""
    own = os.environ.get("LXD_DIR")
    places = (os.path.join(own, "unix.socket"),) if own else _PLACES
    return next((each for each in places if os.path.exists(each)), places[0])


def ask(method: str, path: str, body: Optional[Mapping[str, Any]] = None, *, timeout: float = _TIMEOUT_SECONDS) -> Any:
    """Return what the daemon answers.

    Args:
        method: of HTTP.
        path: such as `/1.0`.
        body: for a method that takes one.
        timeout: seconds.

    Returns:
        The answer's `metadata`; of an operation in the background, the operation.

    Raises:
        ExecutorError: the daemon is not there, does not let this user in, or refuses.
    """
    connection = http.client.HTTPConnection("lxd", timeout=timeout)
    try:
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(timeout)
        connection.sock.connect(socket_path())
        connection.request(method, path, None if body is None else json.dumps(body))
        found = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ExecutorError(
            f"the LXD daemon does not answer, or does not let this user in, who must be in the group lxd: {error}"
        ) from error
    finally:
        connection.close()
    if found.get("type") == "error":
        raise ExecutorError(str(found.get("error")))
    return found["metadata"]


def finish(operation: Mapping[str, Any], seconds: int) -> Mapping[str, Any]:
    """Wait until what the daemon does in the background has come to its end, and return it as it is then.

    Args:
        operation: what `ask` has returned.
        seconds: how long it may take.

    Raises:
        ExecutorError: it has failed, takes longer, or the daemon does not answer.
    """
    place = f"/1.0/operations/{operation['id']}/wait?timeout={seconds}"
    done: Mapping[str, Any] = ask("GET", place, timeout=2.0 * seconds)
    if done["status"] != "Success":
        raise ExecutorError(str(done.get("err") or f"{done.get('description')}: {done['status']}"))
    return done

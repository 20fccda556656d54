"""The executor `lxd`: a job's steps run in a container of the image that the job's system names."""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import json
import os
import socket
from typing import Any, Dict, Mapping, Optional, Sequence

from kraken_agent.executors.base import ExecutorError
from kraken_agent.executors.container import ContainerExecutor, OnBytes, run_as_root
from kraken_agent.executors.lxd_client import LxdClient
from kraken_agent.executors.stopping import survive_broken_pipes
from kraken_agent.tools.output import say

_SOCKETS = ("/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket")
_DETECT_SECONDS = 2.0


class LxdBox:
    """One running container.

    Args:
        client: the daemon.
        name: the container's.
    """

    def __init__(self, client: LxdClient, name: str) -> None:
        self._client = client
        self._name = name
        self._uids: Dict[str, int] = {"": 0, "root": 0}

    def execute(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        user: str,
        stdin: bytes,
        on_stdout: OnBytes,
        on_stderr: OnBytes,
    ) -> int:
        """Run a program to its end; returns its exit code."""
        return self._client.run(
            self._name,
            argv,
            env=env,
            cwd=cwd,
            uid=self._uid(user),
            stdin=stdin,
            on_stdout=on_stdout,
            on_stderr=on_stderr,
        )

    def unpack(self, archive: bytes) -> None:
        """Unpack a tar archive at the root."""
        run_as_root(self, ["tar", "-x", "-f", "-", "-C", "/"], archive)

    def _uid(self, user: str) -> int:
        """The number of a user, which is all that the daemon takes."""
        if user.isdigit():
            return int(user)
        if user not in self._uids:
            try:
                self._uids[user] = int(run_as_root(self, ["id", "-u", user]))
            except ExecutorError as error:
                raise ExecutorError(f"the step wants user {user}, whom the image does not know: {error}") from error
        return self._uids[user]


class LxdExecutor(ContainerExecutor):
    """Steps run in a container; the job's directory in it has the same path as on the host, but is not shared."""

    name = "lxd"

    @classmethod
    def detect(cls) -> Dict[str, str]:
        """The daemon's version; nothing, and the reason in the log, when LXD jobs cannot run here."""
        if importlib.util.find_spec("pylxd") is None:
            say("LXD jobs are not offered: the Python package pylxd is not installed")
            return {}
        try:
            return {"lxd": _version()}
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            say(f"LXD jobs are not offered: the daemon does not answer, or does not trust this user: {error!r}")
            return {}

    @classmethod
    def sweep(cls, address: str) -> None:
        """Remove the containers that a killed agent left."""
        survive_broken_pipes()
        client = LxdClient()
        for name in client.names_of(address):
            client.remove(name)
            say(f"container {name} of an earlier job is removed")

    def prepare(self) -> Optional[Dict[str, Any]]:
        """Get the image, start the container."""
        survive_broken_pipes()
        client, name = LxdClient(), self._container_name()
        client.make(name, str(self.place.job["system"]), self.place.address, say)
        run_as_root(LxdBox(client, name), ["mkdir", "-p", self.place.directory])
        return {"container": name}

    def box(self) -> LxdBox:
        """The job's container."""
        return LxdBox(LxdClient(), self._container_name())

    def cleanup(self) -> None:
        """Remove the job's container."""
        survive_broken_pipes()
        LxdClient().remove(self._container_name())

    def _container_name(self) -> str:
        """A name that tells agents apart, since one daemon may serve several."""
        return f"kraken-job-{self.place.id}-{hashlib.sha256(self.place.address.encode()).hexdigest()[:8]}"


def _version() -> str:
    """Ask the daemon, without importing pylxd."""
    path = next((path for path in _SOCKETS if os.path.exists(path)), _SOCKETS[-1])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_DETECT_SECONDS)
        connection.connect(path)
        connection.sendall(b"GET /1.0 HTTP/1.1\r\nHost: lxd\r\nConnection: close\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return str(json.loads(answer.read())["metadata"]["environment"]["server_version"])

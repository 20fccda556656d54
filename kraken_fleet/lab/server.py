"""The lab's own Kraken server: the embedded one, in a process of its own that outlives the command."""

from __future__ import annotations

import json
import os
import sys
import time

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.errors import LabError
from kraken_fleet.lab import processes
from kraken_fleet.lab.state import ADMIN, LabPaths
from kraken_fleet.processes import ProcessRef

_START_SECONDS = 60.0  # on a busy machine; one that has ended is told at once
_POLL = 0.05
_LOG_LINES = 5


def start_server(paths: LabPaths, address: str, port: int = 0) -> tuple[ProcessRef, str]:
    """Start the server and wait until it listens; returns its process and its URL.

    Args:
        paths: of the lab; the password has been written.
        address: where it listens.
        port: 0 takes a free one.

    Raises:
        LabError: it did not come up; the message says what it said itself.
    """
    paths.server.mkdir(exist_ok=True, mode=0o700)
    ready, log = paths.server / "ready.json", paths.server / "log"
    ready.unlink(missing_ok=True)
    environ = {**os.environ, processes.MARK: str(paths.directory)}
    command = [sys.executable, "-m", "kraken_fleet.cli.main", "serve", "--host", address, "--port", str(port)]
    command += ["--data-dir", str(paths.server), "--admin-password-file", str(paths.password)]
    process = processes.spawn([*command, "--ready-file", str(ready)], log=log, environ=environ)
    deadline = time.monotonic() + _START_SECONDS
    while not ready.exists():
        if not process.alive or time.monotonic() > deadline:
            processes.stop([process])
            said = " ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:])
            raise LabError(f"The embedded server did not start: {said}", where=str(log))
        time.sleep(_POLL)
    return process, str(json.loads(ready.read_text(encoding="utf-8"))["url"])


def client_for(paths: LabPaths, url: str) -> KrakenClient:
    """Return a client that is signed in to the lab's server as its administrator."""
    password = paths.password.read_text(encoding="utf-8").strip()
    return KrakenClient(url, PasswordCredentials(ADMIN, password))

"""A real embedded server for tests: in a thread of this process, on free loopback ports.

    with running(tmp_path) as server:
        client = KrakenClient(server.url, PasswordCredentials("admin", server.password))

Tests of whole processes start `kraken-fleet serve` instead.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kraken_fleet.server.app import Mount
from kraken_fleet.server.run import Ready, prepared
from kraken_fleet.server.settings import ServerSettings

# Tests share the machine with whatever else runs there.
_PATIENCE_SECONDS = 100.0


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Where it is and how to get in.

    Args:
        url: `http://127.0.0.1:PORT`.
        log_addr: `127.0.0.1:PORT` of the log sink.
        user, password: an administrator; the password is empty when the data directory was not new.
        settings: with the real ports.
    """

    url: str
    log_addr: str
    password: str = field(repr=False)
    settings: ServerSettings
    user: str = "admin"


@contextmanager
def running(
    data_dir: Path | ServerSettings, *, mounts: Sequence[Mount] = (), **changes: Any
) -> Iterator[RunningServer]:
    """Start a server, wait until it answers, and stop it at the end.

    Args:
        data_dir: where it keeps its data, or whole settings. Ports default to free ones.
        mounts: see create_app.
        changes: further ServerSettings, for example `agent_timeout=0.5, watchdog_interval=0.1`.
    """
    settings = data_dir if isinstance(data_dir, ServerSettings) else ServerSettings(data_dir, port=0, **changes)
    passwords = [""]
    with prepared(settings, mounts=mounts, on_first_password=passwords.append) as ready:
        thread = threading.Thread(target=ready.run, name="embedded-server", daemon=True)
        thread.start()
        try:
            _wait(ready, thread)
            yield RunningServer(ready.url, ready.log_addr, passwords[-1], ready.settings)
        finally:
            ready.server.should_exit = True
            thread.join(_PATIENCE_SECONDS)


def _wait(ready: Ready, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not ready.server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("The embedded server did not start")
        time.sleep(0.01)

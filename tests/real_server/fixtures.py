"""The pytest fixture `real_server`: an unmodified Kraken server to talk to.

Taken in this order: the one at KRAKEN_REAL_SERVER_URL (with KRAKEN_REAL_SERVER_USER and KRAKEN_REAL_SERVER_PASSWORD,
admin/admin when not given), the default instance when it runs, one brought up for this test run and taken down after.
Whatever ran before is left running, and with its data: tests use names and addresses of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from real_server.down import status
from real_server.plan import default_directory, load

PROGRAM = Path(__file__).parent


@dataclass(frozen=True)
class RealServer:
    """Where the server is and who may administer it."""

    url: str
    user: str = "admin"
    password: str = field(default="admin", repr=False)
    clickhouse: str = ""  # native protocol, as this machine reaches it


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """See the module."""
    given = _given() or _running()
    if given:
        yield given
        return
    directory = Path("/var/tmp") / tmp_path_factory.mktemp("real-server").name if os.geteuid() == 0 else None
    chosen = ["--dir", str(directory)] if directory else []
    try:
        up = _run(*chosen, "up", "--offset", "auto")
        yield RealServer(up["url"], clickhouse=up["clickhouse_native"])
    finally:
        subprocess.run([sys.executable, str(PROGRAM), *chosen, "down", "--purge"], check=True)


def _given() -> RealServer | None:
    url = os.environ.get("KRAKEN_REAL_SERVER_URL")
    if not url:
        return None
    given = {name: os.environ.get(f"KRAKEN_REAL_SERVER_{name.upper()}") for name in ("user", "password", "clickhouse")}
    return RealServer(url, **{name: value for name, value in given.items() if value is not None})


def _running() -> RealServer | None:
    instance = load(default_directory())
    if instance is None or not all(status(instance).values()):
        return None
    return RealServer(instance.url, clickhouse=f"{instance.private}:9000")


def _run(*arguments: str) -> dict[str, str]:
    done = subprocess.run([sys.executable, str(PROGRAM), *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))

"""The pytest fixture `real_server`: an unmodified Kraken server to talk to, and the hooks that it needs.

Taken in this order: the one at KRAKEN_REAL_SERVER_URL (with KRAKEN_REAL_SERVER_USER and KRAKEN_REAL_SERVER_PASSWORD,
admin/admin when not given), the default instance when it runs, one brought up for this test run and taken down after.
Whatever ran before is left running, and with its data: tests use names and addresses of their own, also because all
processes of a test run share the server.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.real_server.down import status
from tests.real_server.plan import default_directory, load

PROGRAM = Path(__file__).parent
# Where this test run's own server lives, if it comes to that; the same in all of the run's processes.
_DIRECTORY = pytest.StashKey[Path]()
_INPUT = "real_server_directory"


@dataclass(frozen=True)
class RealServer:
    """Where the server is and who may administer it."""

    url: str
    user: str = "admin"
    password: str = field(default="admin", repr=False)
    clickhouse: str = ""  # native protocol, as this machine reaches it


@pytest.fixture(scope="session")
def real_server(pytestconfig: pytest.Config) -> RealServer:
    """See the module."""
    given = _given() or _running()
    if given:
        return given
    directory = pytestconfig.stash[_DIRECTORY]
    with _lock(directory).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        up = _run("--dir", str(directory), "up", "--offset", "auto")
    return RealServer(up["url"], clickhouse=up["clickhouse_native"])


def pytest_configure(config: pytest.Config) -> None:
    """Choose the directory, or in a process of pytest-xdist take the one that was chosen."""
    chosen = getattr(config, "workerinput", {}).get(_INPUT)
    # Not under a directory of one user: run by root, PostgreSQL runs as `postgres`.
    config.stash[_DIRECTORY] = Path(chosen or f"/var/tmp/kraken-fleet-tests-{os.getpid()}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist which directory was chosen."""
    node.workerinput[_INPUT] = str(node.config.stash[_DIRECTORY])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take down the server that was brought up, when the last process has done its tests."""
    directory = session.config.stash[_DIRECTORY]
    if hasattr(session.config, "workerinput") or not _lock(directory).exists():
        return
    subprocess.run([sys.executable, str(PROGRAM), "--dir", str(directory), "down", "--purge"], check=True)
    _lock(directory).unlink()


def _lock(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")


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

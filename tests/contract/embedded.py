"""The embedded server for the contract: its own process, a fresh database, an administrator and one who is none."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kraken_fleet.server.core import Core
from kraken_fleet.server.settings import ServerSettings
from kraken_fleet.server.store.passwords import hash_password
from kraken_fleet.server.store.tables import User

START_SECONDS = 100.0
PLAIN_USER = "demo"


@dataclass(frozen=True)
class Embedded:
    """A running embedded server."""

    url: str
    password: str = field(repr=False)
    plain_user: str
    plain_password: str = field(repr=False)

    @classmethod
    @contextmanager
    def started(cls, directory: Path) -> Iterator[Embedded]:
        """Run one on free ports until the end of the block."""
        password, plain_password = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        password_file = directory / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password + "\n")
        _add_plain_user(directory / "data", password_file, plain_password)
        process = _start(directory, password_file)
        try:
            yield cls(_url(directory, process), password, PLAIN_USER, plain_password)
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _add_plain_user(data: Path, password_file: Path, password: str) -> None:
    """The embedded server has no demo user, and accounts cannot be made through its API."""
    core = Core.open(ServerSettings(data, admin_password_file=password_file), lambda _: None)
    with core.db.write() as session:
        session.add(User(name=PLAIN_USER, password=hash_password(password)))
    core.close()


def _start(directory: Path, password_file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "kraken_fleet.cli.main", "serve", "--host", "127.0.0.1", "--port", "0"]
    command += ["--data-dir", str(directory / "data"), "--admin-password-file", str(password_file)]
    command += ["--ready-file", str(directory / "ready.json")]
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(root / "agent"), os.environ.get("PYTHONPATH", "")])
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": path}
        )


def _url(directory: Path, process: subprocess.Popen[bytes]) -> str:
    ready, deadline = directory / "ready.json", time.monotonic() + START_SECONDS
    while not ready.exists():
        said = (directory / "log").read_text(errors="replace")
        assert process.poll() is None, f"the embedded server ended: {said}"
        assert time.monotonic() < deadline, f"the embedded server is not ready: {said}"
        time.sleep(0.05)
    return str(json.loads(ready.read_text())["url"])

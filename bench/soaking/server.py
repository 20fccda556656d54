"""The embedded server as a process that is killed and started again, and what it costs."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import requests

from kraken_fleet.server.store.database import DATABASE

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "soak"
# Agents that are known to the server come first, and all of them are waiting for it.
_START_SECONDS = 180.0
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Cost:
    """What a process holds at a moment: resident megabytes, open descriptors, threads."""

    at: float
    pid: int
    megabytes: float
    descriptors: int
    threads: int


def cost_of(pid: int) -> Cost:
    """What a process holds now."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    resident = int(status["VmRSS"].split()[0]) * 1.024e-3
    open_files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Cost(time.monotonic(), pid, resident, open_files, int(status["Threads"]))


class ServerProcess:
    """One server on one port and in one data directory, however often it is started.

    Args:
        folder: gets the data directory, `data`, and the server's log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self.longest_start = 0.0
        self.password = folder / "password"
        self.password.touch(mode=0o600)
        self.password.write_text(PASSWORD)

    @property
    def pid(self) -> int:
        """The number of its process."""
        if self._process is None:
            raise RuntimeError("The server was never started")
        return self._process.pid

    @property
    def is_up(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: it has ended, or does not answer.
        """
        command = [sys.executable, "-m", "kraken_fleet.cli.main", "serve", "--port", str(self.port)]
        command += ["--data-dir", str(self.data), "--admin-password-file", str(self.password)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        began = time.monotonic()
        while not self._answers():
            if not self.is_up or time.monotonic() > deadline:
                raise RuntimeError(f"The server did not start:\n{(self.folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.05)
        self.longest_start = max(self.longest_start, time.monotonic() - began)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal."""
        if self._process and self.is_up:
            self._process.send_signal(number)
            self._process.wait(30)

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Ask the database, which may be in use."""
        with sqlite3.connect(f"file:{self.data / DATABASE}?mode=ro", uri=True) as database:
            return list(database.execute(query, values))

    def _answers(self) -> bool:
        try:
            requests.get(f"http://127.0.0.1:{self.port}/version", timeout=_ANSWER_SECONDS)
        except requests.RequestException:
            return False
        return True

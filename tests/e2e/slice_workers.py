"""A Dask scheduler and workers of kraken-fleet on loopback, over TLS, and deploys on them that can be looked at."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.certificates import Authority
from tests.e2e.loopback_fleet import Fleet
from tests.waiting import eventually

# What a worker's environment may hold, and nobody else may see.
WORKERS_SECRET = "known-to-the-worker-alone"
# Seconds of silence after which a worker has lost its slice.
TTL = 10
_LISTENS = re.compile(r"Scheduler at:\s+(tls://\S+)")


@dataclass
class Workers:
    """The machines: each has a directory and an environment of its own.

    Args:
        fleet: what is deployed.
    """

    fleet: Fleet
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    address: str = ""

    def __post_init__(self) -> None:
        self.directory = self.fleet.directory / "machines"
        self.directory.mkdir()
        self.authority = Authority(self.directory)

    def start_scheduler(self) -> None:
        """Start the scheduler, on a free port."""
        certificate, key = self.authority.sign("scheduler")
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
        command += [
            "--protocol",
            "tls",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--dashboard-address",
            "127.0.0.1:0",
        ]
        command += [
            "--tls-ca-file",
            str(self.authority.certificate),
            "--tls-cert",
            str(certificate),
            "--tls-key",
            str(key),
        ]
        log = self._start("scheduler", command, DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL=f"{TTL}s")
        found = eventually(lambda: _LISTENS.search(log.read_text()))
        assert found
        self.address = found[1]

    def start(self, name: str) -> None:
        """Start a worker in a process group of its own, and wait until it knows the scheduler."""
        command = [sys.executable, "-m", "kraken_fleet.cli.main", "worker", "--scheduler", self.address]
        log = self._start(name, [*command, "--name", name, *self._tls(name)], WORKERS_TOKEN=WORKERS_SECRET)
        eventually(log.read_text, lambda text: "Registered to" in text)

    def kill(self, name: str, *, group: bool) -> None:
        """Kill a worker, and all of its process group if wanted."""
        process = self.running.pop(name)
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()

    def deploy(self, *options: str, command: str = "deploy") -> Deploying:
        """Begin a deploy in slices of six hosts, or another command that works in slices."""
        _command, settings = self.fleet.prepared("deploy-agents.yml")
        settings |= {"KRAKEN_FLEET_STATE_DIR": str(self.directory / "me"), "ANSIBLE_FORKS": "6"}
        line = [sys.executable, "-m", "kraken_fleet.cli.main", command, "--json"]
        line += ["-i", str(self.fleet.directory / "inventory"), "--slices", "6", "--workers", self.address]
        if not (self.directory / "me.pem").exists():
            self.authority.sign("me")
        process = subprocess.Popen(
            [*line, *self._files("me"), *options],
            env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        return Deploying(process)

    def stop(self) -> None:
        """End everything that still runs."""
        for process in self.running.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def files_with(self, text: str) -> list[str]:
        """Name the files of the machines, as they are now, that hold a text."""
        found = []
        for folder, _folders, names in os.walk(self.directory):
            for path in (Path(folder, name) for name in names):
                try:
                    if path.is_file() and text.encode() in path.read_bytes():
                        found.append(str(path))
                except OSError:  # a slice has ended, and its directory is gone
                    continue
        return found

    def _start(self, name: str, command: list[str], **environment: str) -> Path:
        home, log = self.directory / name, self.directory / f"{name}.log"
        home.mkdir(exist_ok=True)
        _command, settings = self.fleet.prepared("deploy-agents.yml")
        settings |= {"KRAKEN_FLEET_STATE_DIR": str(home), **environment}
        with log.open("wb") as output:
            self.running[name] = subprocess.Popen(
                command, env=settings, cwd=home, stdout=output, stderr=output, start_new_session=True
            )
        return log

    def _tls(self, name: str) -> list[str]:
        self.authority.sign(name)
        return self._files(name)

    def _files(self, name: str) -> list[str]:
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        return [
            "--tls-ca",
            str(self.authority.certificate),
            "--tls-certificate",
            str(certificate),
            "--tls-key",
            str(key),
        ]


@dataclass
class Deploying:
    """A deploy that runs."""

    process: subprocess.Popen[str]
    told: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""

    def until(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Read what it tells up to an event."""
        for line in self.process.stdout or ():
            self.text += line
            if line.startswith('{"event"'):
                self.told.append(json.loads(line))
                if wanted(self.told[-1]):
                    return self.told[-1]
        raise AssertionError(f"It ended before that: {self.text[-5000:]}")

    def host_of_slice_on(self, worker: str = "") -> dict[str, Any]:
        """Wait until a worker, or any, works on a host, if none does; return the slice that it has."""

        def is_begun(one: dict[str, Any]) -> bool:
            return one["event"] == "HostStarted" and worker in ("", self.worker(one["slice"]))

        over = {one["slice"] for one in self.told if one["event"] == "SliceEnded"}
        begun = [one for one in self.told if is_begun(one) and one["slice"] not in over]
        host = begun[-1] if begun else self.until(is_begun)
        return {"slice": host["slice"], "worker": self.worker(host["slice"])}

    def worker(self, number: int) -> str:
        """Who has a slice now."""
        begun = [one["worker"] for one in self.told if one["event"] == "SliceStarted" and one["slice"] == number]
        return str(begun[-1]) if begun else ""

    def end(self) -> dict[str, Any]:
        """Wait for the last event."""
        ended = self.until(lambda one: one["event"] == "Ended")
        assert self.process.wait() == ended["code"], self.text
        return ended

    @property
    def states(self) -> set[str]:
        """What became of the hosts, in the words of their tasks."""
        return {str(one["state"]) for one in self.told if one["event"] == "HostDone"}

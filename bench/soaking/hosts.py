"""Hosts with real agents, deployed by the real playbook: killed, given a full disk, another time and a new release."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.soaking.server import PASSWORD, Cost, cost_of
from kraken_fleet.lab import processes
from tests.contract.embedded import Embedded
from tests.e2e.loopback_fleet import Fleet, Played, alive

GROUP = "soak-real"
_FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where glibc has it
_DISK_MEGABYTES, _NEEDED_MEGABYTES = 24, 8
# kraken_agent_keep_jobs, and one that runs or is just over.
_KEPT_JOBS = 11


@dataclass(frozen=True)
class Killed:
    """An agent that was killed: how it was started."""

    name: str
    command: list[str]
    environment: dict[str, str]
    directory: Path


class Hosts:
    """So many hosts on loopback.

    Args:
        folder: gets their directories.
        url: of the server, through the network that can be cut.
        small: how many of them have a small disk of their own, where this account may mount one.
    """

    def __init__(self, folder: Path, url: str, number: int, small: int) -> None:
        self.addresses = {f"host-{count}": f"127.100.0.{count + 10}" for count in range(number)}
        self.folder = folder
        self._fleet = Fleet.of(folder, Embedded(url, PASSWORD, "", ""), self.addresses)
        self._fleet.variables["kraken_agent_groups"] = [GROUP]
        self._fleet.variables["kraken_agent_min_free"] = "1M"
        self.with_small_disk = [name for name in list(self.addresses)[:small] if self._mount(name)]
        self.with_own_clock = list(self.addresses)[-small:] if _FAKETIME else []
        for name in self.with_own_clock:
            self._clock(name).write_text("+0\n")
            self._fleet.host(name)["kraken_agent_environment"] = {
                "LD_PRELOAD": str(_FAKETIME[0]),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock(name)),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        self._deploys = 0
        self.changing = asyncio.Lock()
        self.deploys: list[tuple[str, int]] = []
        self._children: list[subprocess.Popen[bytes]] = []
        self._seen: set[int] = set()

    async def deploy(self, *arguments: str) -> Played:
        """Run the deploy playbook, as it is."""
        return await self._play("deploy-agents.yml", "-e", "kraken_verify_enabled=false", *arguments)

    async def change_and_deploy(self) -> Played:
        """Run it with a variable that is new, which restarts all agents."""
        self._deploys += 1
        for name in self.addresses:
            if name not in self.with_own_clock:
                self._fleet.host(name)["kraken_agent_environment"] = {"DEPLOY": str(self._deploys)}
        return await self.deploy()

    async def upgrade(self) -> Played:
        """Roll out a new release, a few hosts at a time; each has to run a job."""
        self._deploys += 1
        self._fleet.variables["kraken_agent_bundle_version"] = f"2.{self._deploys}"
        return await self._play("upgrade-agents.yml", "-e", "kraken_upgrade_drain_timeout=60")

    def pid(self, name: str) -> int | None:
        """The process of a host's agent; None when it does not run."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            number = self._fleet.pid(name)
            self._seen.add(number)
            return number if alive(number) else None
        return None

    def kill(self, name: str) -> Killed | None:
        """Kill an agent with all that it has started, as the service manager does; None when it does not run."""
        pid = self.pid(name)
        if pid is None:
            return None
        place = Path("/proc", str(pid))
        entries = (entry.split("=", 1) for entry in _words(place / "environ") if "=" in entry)
        found = Killed(name, _words(place / "cmdline"), dict(entries), (place / "cwd").resolve())
        # Seen before: a playbook that runs may start another agent at once.
        started = processes.running_in(self._fleet.home(name))
        os.kill(pid, signal.SIGKILL)
        processes.stop(started)
        return found

    def start(self, killed: Killed) -> None:
        """Start it again, unless a deploy has done so."""
        if self.pid(killed.name) is not None:
            return
        with (self._fleet.home(killed.name) / "agent.log").open("ab") as log:
            agent = subprocess.Popen(
                killed.command,
                env=killed.environment,
                cwd=killed.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        began = Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()[19]
        (self._fleet.home(killed.name) / "agent.pid").write_text(f"{agent.pid} {began}\n")
        self._children.append(agent)

    def fill(self, name: str) -> Path:
        """Fill a small disk; gives the file that does it."""
        file = self.data(name) / "filling"
        with contextlib.suppress(OSError), file.open("wb", buffering=0) as filling:
            while True:
                filling.write(bytes(65536))
        return file

    def step_clock(self, name: str, seconds: int) -> None:
        """Step the clock of a host with a clock of its own to so much from the right time."""
        self._clock(name).write_text(f"{seconds:+d}\n")

    def costs(self) -> dict[str, Cost]:
        """What each agent that runs holds now."""
        found = {}
        for name in self.addresses:
            with contextlib.suppress(OSError, KeyError):
                if pid := self.pid(name):
                    found[name] = cost_of(pid)
        return found

    def left(self) -> list[str]:
        """What should not be there when no job runs: reports, processes of jobs, more job directories than are kept."""
        found = []
        for name in self.addresses:
            home = self._fleet.home(name)
            found += [str(report) for report in self.data(name).glob("spool/*.json")]
            others = {one.pid for one in processes.running_in(home)} - {self.pid(name)}
            found += [f"{name}: process {pid}" for pid in sorted(others)]
            count = len(list(self.data(name).glob("jobs/*")))
            found += [f"{name}: {count} job directories"] if count > _KEPT_JOBS else []
        return found

    def data(self, name: str) -> Path:
        """The data directory of a host's agent."""
        return self._fleet.home(name) / "data"

    def stop(self) -> None:
        """End all agents, and give the disks back."""
        processes.stop(processes.running_in(self.folder / "hosts"))
        for child in self._children:
            child.wait(20)
        for number in self._seen:
            # faketime removes these itself when its program ends, but not when that is killed.
            for name in (f"faketime_shm_{number}", f"sem.faketime_sem_{number}"):
                (_SHARED_MEMORY / name).unlink(missing_ok=True)
        for name in self.with_small_disk:
            subprocess.run(["umount", "--lazy", str(self.data(name))], check=False)

    async def _play(self, playbook: str, *arguments: str) -> Played:
        async with self.changing:
            played = await asyncio.to_thread(self._fleet.play, playbook, *arguments, ANSIBLE_FORKS="4")
        self.deploys.append((playbook, played.code))
        return played

    def _mount(self, name: str) -> bool:
        self.data(name).mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MEGABYTES}M,mode=0700", "tmpfs", str(self.data(name))]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return False
        self._fleet.host(name)["kraken_agent_min_free"] = f"{_NEEDED_MEGABYTES}M"
        return True

    def _clock(self, name: str) -> Path:
        return self.folder / f"{name}.clock"


def _words(file: Path) -> list[str]:
    return file.read_text().split("\0")[:-1]

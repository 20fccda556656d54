"""Server, network, agents and hosts of a run, and what each fault does to them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.soaking.faults import Fault, Kind
from bench.soaking.hosts import Hosts
from bench.soaking.ledger import Ledger
from bench.soaking.network import Cut, Network
from bench.soaking.server import PASSWORD, ServerProcess
from bench.soaking.simulated_agent import SimulatedAgent
from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.model import JobState

SIMULATED = "soak-simulated"
_FIRST = int(ipaddress.ip_address("127.101.0.10"))
_DISK_MEGABYTES = 256


class World:
    """All of it.

    Args:
        folder: of the run.
        simulated: how many simulated agents.
        real: how many hosts with real agents.
        poll: seconds between two questions of a simulated agent.
    """

    def __init__(self, folder: Path, simulated: int, real: int, poll: float) -> None:
        self.folder = folder
        self.server = ServerProcess(folder)
        self.server_disk = self._mount(self.server.data)
        self.network = Network(self.server.port)
        self.ledger = Ledger(folder / "ledger")
        self.ledger.path.touch()
        self._simulated, self._real, self._poll = simulated, real, poll
        self.agents: list[SimulatedAgent] = []
        self._restarting = asyncio.Lock()
        self._last_full = 0.0

    async def start(self) -> None:
        """Start everything, and deploy."""
        await asyncio.to_thread(self.server.start)
        self.files_before = {path.name for path in self.server.data.iterdir()}
        await self.network.start()
        url = f"http://127.0.0.1:{self.network.port}"
        self.hosts = Hosts(self.folder / "fleet", url, self._real, max(1, self._real // 4))
        addresses = [str(ipaddress.ip_address(_FIRST + number)) for number in range(self._simulated)]
        self.agents = [SimulatedAgent(one, self.network.port, self.ledger, self._poll) for one in addresses]
        await asyncio.gather(*(agent.announce() for agent in self.agents))
        await asyncio.to_thread(self._let_in, set(addresses))
        deployed = await self.hosts.deploy()
        if deployed.code:
            raise RuntimeError(f"The first deploy failed:\n{deployed.text[-3000:]}")
        for agent in self.agents:
            agent.start()

    async def stop(self) -> None:
        """End all of it."""
        await asyncio.gather(*(agent.kill() for agent in self.agents))
        if hasattr(self, "hosts"):
            await asyncio.to_thread(self.hosts.stop)
        self.server.kill(signal.SIGTERM)
        await self.network.stop()

    def release(self) -> None:
        """Give the server's disk back, when its database has been read."""
        if self.server_disk:
            subprocess.run(["umount", "--lazy", str(self.server.data)], check=False)

    def unfinished(self) -> int:
        """How many jobs are not over."""
        return len(self.server.rows("select id from jobs where state != ?", JobState.COMPLETED.value))

    def client(self) -> KrakenClient:
        """Somebody who administers the server."""
        return KrakenClient(f"http://127.0.0.1:{self.server.port}", PasswordCredentials("admin", PASSWORD))

    def kinds(self) -> list[Kind]:
        """The faults that this machine can have."""
        missing = {
            Kind.SERVER_DISK: not self.server_disk,
            Kind.DISK: not self.hosts.with_small_disk,
            Kind.CLOCK: not self.hosts.with_own_clock,
        }
        return [kind for kind in Kind if not missing.get(kind)]

    async def suffer(self, fault: Fault) -> None:
        """Have one fault from its beginning to its end."""
        does: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            Kind.SERVER_KILLED: self._server_away,
            Kind.SERVER_ENDED: self._server_away,
            Kind.SERVER_DISK: self._server_disk_full,
            Kind.AGENT_KILLED: self._agent_killed,
            Kind.SIMULATED_KILLED: self._simulated_killed,
            Kind.NETWORK: self._network_cut,
            Kind.DISK: self._disk_full,
            Kind.CLOCK: self._clock_stepped,
        }
        await does[fault.kind](fault)

    async def _server_away(self, fault: Fault) -> None:
        async with self._restarting:
            number = signal.SIGKILL if fault.kind is Kind.SERVER_KILLED else signal.SIGTERM
            await asyncio.to_thread(self.server.kill, number)
            await asyncio.sleep(fault.seconds / 3)
            while not self.server.is_up:
                began = time.monotonic()
                try:
                    await asyncio.to_thread(self.server.start)
                except RuntimeError:
                    if not self._filling.exists() and self._last_full < began:
                        raise
                    await asyncio.sleep(0.5)  # its disk was full, or still is

    @property
    def _filling(self) -> Path:
        return self.server.data / "filling"

    async def _server_disk_full(self, fault: Fault) -> None:
        await asyncio.to_thread(_fill, self._filling)
        await asyncio.sleep(fault.seconds)
        self._last_full = time.monotonic()
        self._filling.unlink(missing_ok=True)

    async def _agent_killed(self, fault: Fault) -> None:
        name = fault.choice.choice(list(self.hosts.addresses))
        going_on = self.ledger.going_on(name)
        killed = await asyncio.to_thread(self.hosts.kill, name)
        self.ledger.killed |= going_on | self.ledger.going_on(name)
        await asyncio.sleep(fault.seconds / 3)
        if killed:
            async with self.hosts.changing:
                self.hosts.start(killed)

    async def _simulated_killed(self, fault: Fault) -> None:
        chosen = fault.choice.sample(self.agents, max(1, len(self.agents) // 20))
        await asyncio.gather(*(agent.kill() for agent in chosen))
        await asyncio.sleep(fault.seconds)
        for agent in chosen:
            agent.start()

    async def _network_cut(self, fault: Fault) -> None:
        everybody = [*self.hosts.addresses.values(), *(agent.address for agent in self.agents)]
        chosen = fault.choice.sample(everybody, max(1, len(everybody) // fault.choice.choice((1, 5, 20))))
        cut = fault.choice.choice(list(Cut))
        self.network.cuts.update(dict.fromkeys(chosen, cut))
        await asyncio.sleep(fault.seconds)
        for address in chosen:
            self.network.cuts.pop(address, None)

    async def _disk_full(self, fault: Fault) -> None:
        name = fault.choice.choice(self.hosts.with_small_disk)
        file = await asyncio.to_thread(self.hosts.fill, name)
        await asyncio.sleep(fault.seconds)
        file.unlink(missing_ok=True)

    async def _clock_stepped(self, fault: Fault) -> None:
        name = fault.choice.choice(self.hosts.with_own_clock)
        self.hosts.step_clock(name, fault.choice.choice((-86400, -3600, -5, 5, 3600, 86400)))
        await asyncio.sleep(fault.seconds)

    def _let_in(self, addresses: set[str]) -> None:
        with self.client() as client:
            waiting = [agent.id for agent in client.agents(unauthorized=True) if agent.address in addresses]
            client.set_authorized(waiting)
            group = client.create_group(SIMULATED)
            every = next(one.id for one in client.groups() if one.name == "all")
            for number in waiting:
                client.set_agent_groups(number, [every, group.id])

    def _mount(self, directory: Path) -> bool:
        directory.mkdir(mode=0o700)
        options = f"size={_DISK_MEGABYTES}M,mode=0700"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _fill(file: Path) -> None:
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filling:
        while True:
            filling.write(bytes(1024 * 1024))

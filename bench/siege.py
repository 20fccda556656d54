"""Load one embedded server with unknown clients while authorized agents poll it: how long do these wait?

    python bench/siege.py                  10,000 held connections, 100,000 datagrams a minute, 20,000 unknown agents
    python bench/siege.py --seconds 10 --connections 2000 --json

The server is a process of its own with a fresh data directory and its default limits. The unknown clients are another
process and connect from many addresses of 127.0.0.0/8, the agents from one each. Exit code 1 when a poll failed, or
when one in a hundred took more than 100 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import socket
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.synchronize import Event
from pathlib import Path

import requests

from kraken_fleet.server import Ready, ServerSettings, serve

_PASSWORD = "siege"
_TARGET_MS = 100.0
_CONNTRACK = Path("/proc/sys/net/netfilter")
_RECORD = {"@timestamp": "2026-01-01T00:00:00Z", "message": "x" * 200, "service": "agent", "tool": "shell", "job": 1}


def _open_many_files() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def run_server(directory: str, ready: multiprocessing.Queue[tuple[int, int]]) -> None:
    """The process of the server; tells its two ports."""
    _open_many_files()
    password = Path(directory, "password")
    password.touch(mode=0o600)
    password.write_text(_PASSWORD)

    def announce(found: Ready) -> None:
        ready.put((found.settings.port, found.settings.log_port))

    serve(ServerSettings(Path(directory, "data"), port=0, admin_password_file=password), on_ready=announce)


async def exchange(port: int, body: object, source: str) -> int:
    """One message of an agent on a connection of its own; gives the status."""
    data = json.dumps(body).encode()
    head = "POST /backend HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        answer = await reader.read(-1)
    finally:
        writer.close()
    return int(answer.split()[1])


class _Held(asyncio.Protocol):
    """A connection that says nothing; it notices when the server ends it."""

    ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended = True


class Besiegers:
    """Three kinds of unknown clients, at the rate that was asked for, until `over`."""

    def __init__(self, arguments: argparse.Namespace, port: int, log_port: int, over: Event) -> None:
        self.arguments, self.port, self.log_port, self.over = arguments, port, log_port, over
        self.counts: Counter[str] = Counter()

    async def attack(self) -> None:
        await asyncio.gather(self.hold_connections(), self.send_datagrams(), self.announce())

    async def hold_connections(self) -> None:
        """Keep so many connections open and say nothing; those that the server ends are opened again."""
        lanes = 50
        await asyncio.gather(*(self._hold(lane, self.arguments.connections // lanes) for lane in range(lanes)))

    async def _hold(self, lane: int, number: int) -> None:
        loop = asyncio.get_running_loop()
        held: list[_Held] = []
        while not self.over.is_set():
            held = [one for one in held if not one.ended]
            for _ in range(min(number - len(held), 5)):
                try:
                    source = (f"127.9.{lane}.1", 0)
                    _, one = await loop.create_connection(_Held, "127.0.0.1", self.port, local_addr=source)
                    held.append(one)
                    self.counts["connections opened"] += 1
                except OSError:
                    self.counts["connections refused"] += 1
            self.counts[f"held {lane}"] = len(held)
            await asyncio.sleep(0.05)
        for one in held:
            one.transport.close()

    async def send_datagrams(self) -> None:
        datagram = json.dumps(_RECORD).encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            begin = time.perf_counter()
            while not self.over.is_set():
                due = int((time.perf_counter() - begin) * self.arguments.datagrams / 60)
                for _ in range(due - self.counts["datagrams"]):
                    sender.sendto(datagram, ("127.0.0.1", self.log_port))
                    self.counts["datagrams"] += 1
                await asyncio.sleep(0.02)

    async def announce(self) -> None:
        """So many unknown agents over the whole time, from a hundred addresses."""
        begin = time.perf_counter()
        while not self.over.is_set():
            part = min(1.0, (time.perf_counter() - begin) / self.arguments.seconds)
            due = int(self.arguments.unknown * part) - self.counts["unknown agents"]
            for start in range(0, due, 20):
                if self.over.is_set():
                    break
                await asyncio.gather(*(self._introduce() for _ in range(min(20, due - start))))
            await asyncio.sleep(0.02)

    async def _introduce(self) -> None:
        number = self.counts["unknown agents"]
        self.counts["unknown agents"] += 1
        message = {"address": f"unknown-{number}", "msg": "get-job"}
        try:
            status = await exchange(self.port, message, f"127.8.{number % 100}.1")
            self.counts[f"unknown agents answered {status}"] += 1
        except (OSError, IndexError, ValueError):
            self.counts["unknown agents not answered"] += 1


def run_besiegers(
    arguments: argparse.Namespace, ports: tuple[int, int], over: Event, told: multiprocessing.Queue[dict[str, int]]
) -> None:
    """The process of the unknown clients."""
    _open_many_files()
    besiegers = Besiegers(arguments, *ports, over)
    asyncio.run(besiegers.attack())
    held = sum(count for name, count in besiegers.counts.items() if name.startswith("held "))
    figures = {name: count for name, count in besiegers.counts.items() if not name.startswith("held ")}
    told.put(figures | {"connections held at the end": held})


async def poll(port: int, number: int, seconds: float) -> tuple[list[float], list[str], list[float]]:
    """So many authorized agents poll, each every five seconds.

    Returns how long each poll took, what failed, and by how much this process itself woke up too late: so long the
    machine made everybody wait.
    """
    took: list[float] = []
    late: list[float] = []
    failed: list[str] = []
    end = time.perf_counter() + seconds

    async def agent(index: int) -> None:
        await asyncio.sleep(5 * index / number)
        while time.perf_counter() < end:
            begin = time.perf_counter()
            try:
                status = await exchange(port, {"address": f"127.7.0.{index}", "msg": "get-job"}, f"127.7.0.{index}")
                if status != 200:
                    failed.append(str(status))
            except (OSError, IndexError, ValueError) as error:
                failed.append(repr(error))
            took.append(time.perf_counter() - begin)
            await asyncio.sleep(5)

    async def wake() -> None:
        while time.perf_counter() < end:
            begin = time.perf_counter()
            await asyncio.sleep(0.02)
            late.append(time.perf_counter() - begin - 0.02)

    await asyncio.gather(wake(), *(agent(index + 1) for index in range(number)))
    return took, failed, late


def percentile(values: list[float], part: float) -> float:
    """In milliseconds."""
    ordered = sorted(values)
    return round(1000 * ordered[max(int(len(ordered) * part) - 1, 0)], 1)


def enrol(port: int, number: int) -> None:
    """Announce the agents, each from its own address, and authorize them."""

    async def announce() -> None:
        for index in range(1, number + 1):
            await exchange(port, {"address": f"127.7.0.{index}", "msg": "get-job"}, f"127.7.0.{index}")

    asyncio.run(announce())
    url = f"http://127.0.0.1:{port}/api"
    login = requests.post(f"{url}/sessions", json={"user": "admin", "password": _PASSWORD}, timeout=30).json()
    changes = [{"id": index, "authorized": True} for index in range(1, number + 1)]
    headers = {"Authorization": f"Bearer {login['token']}"}
    requests.patch(f"{url}/agents", json=changes, headers=headers, timeout=30).raise_for_status()


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    context = multiprocessing.get_context("spawn")
    ready, told, over = context.Queue(), context.Queue(), context.Event()
    with tempfile.TemporaryDirectory() as directory:
        server = context.Process(target=run_server, args=(directory, ready))
        server.start()
        besiegers = None
        try:
            ports = ready.get(timeout=60)
            enrol(ports[0], arguments.agents)
            besiegers = context.Process(target=run_besiegers, args=(arguments, ports, over, told))
            besiegers.start()
            took, failed, late = asyncio.run(poll(ports[0], arguments.agents, arguments.seconds))
            over.set()
            unknown_clients = told.get(timeout=60)
        finally:
            over.set()
            for process in filter(None, (besiegers, server)):
                process.terminate()
                process.join(20)
    return {
        "polls of authorized agents": len(took),
        "polls that failed": len(failed),
        "median_ms": percentile(took, 0.5),
        "p99_ms": percentile(took, 0.99),
        "max_ms": percentile(took, 1),
        "bench's own delay, p99_ms": percentile(late, 0.99),
        "load average": round(os.getloadavg()[0], 1),
        "tracked connections": tracked(),
        **unknown_clients,
        "first failures": failed[:5],
    }


def tracked() -> str:
    """Say how full the kernel's table of tracked connections is: when it is full, new ones are dropped unseen."""
    try:
        count, most = (int((_CONNTRACK / f"nf_conntrack_{name}").read_text()) for name in ("count", "max"))
    except OSError:
        return "none are tracked"
    return f"{count} of at most {most}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Unknown clients against one embedded server on loopback.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    parser.add_argument("--agents", type=int, default=100, help="authorized agents that poll (default 100)")
    parser.add_argument("--connections", type=int, default=10_000, help="silent connections (default 10000)")
    parser.add_argument("--datagrams", type=int, default=100_000, help="a minute (default 100000)")
    parser.add_argument("--unknown", type=int, default=20_000, help="agents that nobody knows (default 20000)")
    parser.add_argument("--json", action="store_true", help="print figures for programs")
    arguments = parser.parse_args()
    figures = measure(arguments)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:34} {value}")
    p99 = figures["p99_ms"]
    return 1 if figures["polls that failed"] or not isinstance(p99, float) or p99 > _TARGET_MS else 0


if __name__ == "__main__":
    sys.exit(main())

"""How many agents one embedded server bears: a thousand simulated ones poll it, on loopback, for a bounded time.

    python bench/swarm.py                      1,000 agents, every 5 s as real ones do, for 30 s; then flat out
    python bench/swarm.py --agents 200 --seconds 10 --json

The server is a process of its own with a fresh data directory. As with real agents, every poll is a new connection.
Exit code 1 when a single poll failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_SERVER = """
import sys
from pathlib import Path
from kraken_fleet.listen import Limits
from kraken_fleet.server import ServerSettings, serve
limits = Limits(unknown_agents=int(sys.argv[3]))
settings = ServerSettings(Path(sys.argv[1]), port=0, admin_password_file=Path(sys.argv[2]), limits=limits)
serve(settings, on_ready=lambda ready: print(ready.settings.port, flush=True))
"""
_PASSWORD = "swarm"


@dataclass
class Tally:
    """What the polls came to: seconds each took, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def figures(self, wall: float) -> dict[str, float | int]:
        ordered = sorted(self.seconds) or [0.0]
        return {
            "polls": len(self.seconds),
            "errors": len(self.errors),
            "polls_per_second": round(len(self.seconds) / wall, 1),
            "median_ms": round(statistics.median(ordered) * 1000, 2),
            "p99_ms": round(ordered[int(len(ordered) * 0.99) - 1] * 1000, 2),
            "max_ms": round(ordered[-1] * 1000, 2),
        }


@contextmanager
def server(waiting: int = 5_000) -> Iterator[tuple[int, int]]:
    """A fresh server in a process of its own; gives its port and process id.

    Args:
        waiting: how many agents may wait to be authorized.
    """
    with tempfile.TemporaryDirectory() as directory:
        password = Path(directory, "password")
        password.touch(mode=0o600)
        password.write_text(_PASSWORD)
        command = [sys.executable, "-c", _SERVER, str(Path(directory, "data")), str(password), str(waiting)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield int(line), process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


async def call(port: int, method: str, path: str, body: object, token: str = "") -> tuple[int, bytes]:
    """One request on a connection of its own."""
    data = json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
    head += f"Content-Length: {len(data)}\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head.encode() + b"\r\n" + data)
        answer = await reader.read(-1)
    finally:
        writer.close()
    status, _, rest = answer.partition(b"\r\n")
    return int(status.split()[1]), rest.partition(b"\r\n\r\n")[2]


async def poll(port: int, address: str, tally: Tally) -> None:
    """One poll of an idle agent; anything but "no job" is an error."""
    begin = time.perf_counter()
    try:
        status, body = await call(port, "POST", "/backend", {"address": address, "msg": "get-job"})
        if status != 200 or json.loads(body)["job"] != {}:
            tally.errors.append(f"{status} {body[:100]!r}")
        tally.seconds.append(time.perf_counter() - begin)
    except (OSError, ValueError, KeyError, IndexError) as error:
        tally.errors.append(repr(error))


async def enrol(port: int, addresses: list[str]) -> None:
    """Announces all agents and authorizes them in one request."""
    gate = asyncio.Semaphore(50)

    async def announce(address: str) -> None:
        async with gate:
            await call(port, "POST", "/backend", {"address": address, "msg": "get-job"})

    await asyncio.gather(*map(announce, addresses))
    credentials = {"user": "admin", "password": _PASSWORD}
    token = json.loads((await call(port, "POST", "/api/sessions", credentials))[1])["token"]
    changes = [{"id": number, "authorized": True} for number in range(1, len(addresses) + 1)]
    status, body = await call(port, "PATCH", "/api/agents", changes, token)
    if status != 200:
        raise SystemExit(f"authorizing failed: {status} {body!r}")


async def steady(port: int, addresses: list[str], seconds: float, interval: float) -> tuple[Tally, float]:
    """Every agent polls at its interval, evenly spread."""
    tally = Tally()
    begin = time.perf_counter()

    async def agent(number: int, address: str) -> None:
        due = begin + interval * number / len(addresses)
        while due < begin + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await poll(port, address, tally)
            due += interval

    await asyncio.gather(*(agent(number, address) for number, address in enumerate(addresses)))
    return tally, time.perf_counter() - begin


async def flat_out(port: int, addresses: list[str], seconds: float, lanes: int = 32) -> tuple[Tally, float]:
    """As many polls as go through with so many at a time."""
    tally = Tally()
    begin = time.perf_counter()

    async def lane(offset: int) -> None:
        number = offset
        while time.perf_counter() < begin + seconds:
            await poll(port, addresses[number % len(addresses)], tally)
            number += lanes

    await asyncio.gather(*map(lane, range(lanes)))
    return tally, time.perf_counter() - begin


def process_cost(pid: int) -> tuple[float, float]:
    """A process's CPU seconds so far and its resident megabytes now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return (int(fields[11]) + int(fields[12])) / ticks, resident


async def measure(arguments: argparse.Namespace) -> dict[str, object]:
    addresses = [
        f"127.{1 + number // 65536}.{number // 256 % 256}.{number % 256}" for number in range(arguments.agents)
    ]
    with server() as (port, pid):
        begin = time.perf_counter()
        await enrol(port, addresses)
        enrolled = time.perf_counter() - begin
        cpu = process_cost(pid)[0]
        calm, calm_wall = await steady(port, addresses, arguments.seconds, arguments.interval)
        cpu = process_cost(pid)[0] - cpu
        before = process_cost(pid)[0]
        storm, storm_wall = await flat_out(port, addresses, arguments.burst)
        # What this machine could bear if the bench itself, and everything else on it, cost nothing.
        capacity = len(storm.seconds) / max(process_cost(pid)[0] - before, 0.01)
        return {
            "agents": arguments.agents,
            "announce_and_authorize_seconds": round(enrolled, 2),
            "steady": calm.figures(calm_wall) | {"server_cpu_percent": round(100 * cpu / calm_wall, 1)},
            "flat_out": storm.figures(storm_wall) | {"polls_per_server_cpu_second": round(capacity)},
            "server_resident_mb": round(process_cost(pid)[1], 1),
            "first_errors": (calm.errors + storm.errors)[:5],
        }


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulated agents against one embedded server on loopback.")
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0, help="of steady polling (default 30)")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between an agent's polls (default 5)")
    parser.add_argument("--burst", type=float, default=5.0, help="seconds of polling as fast as it goes (default 5)")
    parser.add_argument("--json", action="store_true", help="print figures for programs")
    arguments = parser.parse_args()
    figures = asyncio.run(measure(arguments))
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value}")
    return 1 if figures["first_errors"] else 0


if __name__ == "__main__":
    sys.exit(main())

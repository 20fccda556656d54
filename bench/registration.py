"""Letting agents in and grouping them: calls and seconds, first run and no-op, beside a client that goes one by one.

    python bench/registration.py                            # embedded server, 10, 100, 1000 and 10000 agents
    python bench/registration.py --sizes 100 --server http://127.0.0.1:6363 --password-file FILE

Agents are announced through `/backend`, each as an address of its own in 127.64.0.0/10. Against a server of yours they
stay there as records: use one that you can throw away.
"""

from __future__ import annotations

import argparse
import functools
import http.client
import ipaddress
import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from kraken_fleet.api import Credentials, KrakenClient, PasswordCredentials, find_credentials, of_files
from kraken_fleet.model import Agent, DesiredAgent, DesiredFleet
from kraken_fleet.reconcile import GroupMemory, Memories, observe, reconcile
from kraken_fleet.server import ServerSettings, serve

_FIRST = int(ipaddress.ip_address("127.64.0.1"))


@dataclass
class Measured:
    agents: int
    way: str
    run: str
    calls: int
    seconds: float


class Counted:
    """Counts every request that any client of this process sends, sign-in included."""

    def __init__(self) -> None:
        self.calls = 0
        sent = requests.Session.send

        def send(session: requests.Session, request: requests.PreparedRequest, **how: Any) -> requests.Response:
            self.calls += 1
            return sent(session, request, **how)

        requests.Session.send = send  # type: ignore[method-assign,assignment] # one process, one measurement

    def measure(self, work: Callable[[], object]) -> tuple[int, float]:
        before, started = self.calls, time.perf_counter()
        work()
        return self.calls - before, time.perf_counter() - started


def fleet_of(first: int, number: int) -> DesiredFleet:
    """`number` hosts from the `first`th address on, each in one of two groups, which are new as well."""
    addresses = (str(ipaddress.ip_address(_FIRST + first + index)) for index in range(number))
    groups = [f"bench-{first}-{half}" for half in ("even", "odd")]
    agents = (
        DesiredAgent(f"host{index}", address, frozenset({groups[index % 2]})) for index, address in enumerate(addresses)
    )
    return DesiredFleet(tuple(agents), complete=False)


def announce(url: str, fleet: DesiredFleet) -> None:
    """Every agent speaks once, on a few connections that are kept open."""

    def speak(agents: tuple[DesiredAgent, ...]) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        for agent in agents:
            body = json.dumps({"address": agent.address, "msg": "get-job"})
            connection.request("POST", "/backend", body, {"Content-Type": "application/json"})
            connection.getresponse().read()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(speak, (fleet.agents[start::4] for start in range(4))))


def in_bulk(client: KrakenClient, fleet: DesiredFleet, memory: GroupMemory) -> None:
    for _event in reconcile(client, fleet, memories=Memories(memory)):
        pass


def one_by_one(client: KrakenClient, fleet: DesiredFleet, _memory: GroupMemory) -> None:
    """The lists once, then for each host its agent, and a request for each thing that is wrong with it."""
    found = {agent.address: agent.id for agent in (*client.agents(unauthorized=True), *client.agents())}
    ids = {group.name: group.id for group in client.groups()}
    for wanted in fleet.agents:
        for name in wanted.groups - ids.keys():
            ids[name] = client.create_group(name).id
        _correct(client, client.agent(found[wanted.address]), wanted, ids)


WAYS = {"bulk": in_bulk, "one by one": one_by_one}


def _correct(client: KrakenClient, agent: Agent, wanted: DesiredAgent, ids: dict[str, int]) -> None:
    if not agent.authorized:
        client.set_authorized([agent.id])
    if not wanted.groups <= agent.group_names:
        client.set_agent_groups(agent.id, {ids["all"], *(ids[name] for name in wanted.groups)})


def measure(url: str, credentials: Credentials, size: int, way: str, counted: Counted) -> Iterator[Measured]:
    """A first run and a no-op, on addresses and with groups that no earlier one used."""
    fleet = fleet_of(random.randrange(2**22 - size), size)  # noqa: S311 - only to be new, not to be secret
    announce(url, fleet)
    with tempfile.TemporaryDirectory() as folder:
        memory = GroupMemory(Path(folder))
        with KrakenClient(url, credentials, timeout=60) as client:
            # A server that has just started answers slowly; and commands know what earlier ones have found out.
            observe(client, memory=memory)
        for run in ("first", "no-op"):
            with KrakenClient(url, credentials, timeout=60) as client:
                calls, seconds = counted.measure(functools.partial(WAYS[way], client, fleet, memory))
            yield Measured(size, way, run, calls, round(seconds, 3))


def _serve(folder: str, told: Connection) -> None:
    password: list[str] = []
    serve(
        ServerSettings(Path(folder), port=0),
        on_first_password=password.append,
        on_ready=lambda ready: told.send((ready.url, password[0])),
    )


@contextmanager
def server_for(options: argparse.Namespace) -> Iterator[tuple[str, Credentials]]:
    """The server that was named, or an embedded one in a process of its own."""
    if options.server:
        given = of_files("the command line", user=options.user, password_file=options.password_file)
        yield options.server, find_credentials([given])
        return
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(folder, theirs), daemon=True)
        process.start()
        try:
            url, password = ours.recv()
            yield url, PasswordCredentials("admin", password)
        finally:
            process.terminate()
            process.join(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10,100,1000,10000", help="numbers of agents, with commas")
    parser.add_argument("--server", help="URL of a server that may be filled with agents; default: an embedded one")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--one-by-one-limit", type=int, default=1000, help="above, only bulk is measured")
    parser.add_argument("--json", action="store_true", help="one JSON object for each line")
    options = parser.parse_args()
    counted = Counted()
    if not options.json:
        print(f"{'agents':>7}  {'way':<10}  {'run':<6}  {'calls':>6}  {'seconds':>8}")
    for size in [int(word) for word in options.sizes.split(",")]:
        for way in WAYS:
            if way == "one by one" and size > options.one_by_one_limit:
                continue
            # A fresh embedded server each time: what earlier runs left would be in every list.
            with server_for(options) as (url, credentials):
                for row in measure(url, credentials, size, way, counted):
                    show(row, as_json=options.json)


def show(row: Measured, *, as_json: bool) -> None:
    line = f"{row.agents:>7}  {row.way:<10}  {row.run:<6}  {row.calls:>6}  {row.seconds:>8.2f}"
    print(json.dumps(asdict(row)) if as_json else line, flush=True)


if __name__ == "__main__":
    main()

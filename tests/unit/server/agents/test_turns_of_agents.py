"""Many busy agents at once: nobody else waits until all of them are answered."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from starlette.types import Message, Scope

from kraken_fleet.server.app import create_app
from kraken_fleet.server.core import Core
from kraken_fleet.server.settings import ServerSettings
from kraken_fleet.server.store.tables import Agent
from tests.host_info import DEBIAN

_AGENTS = 40
_ROUNDS = 10


class Fleet:
    """Agents of an application that is called here without a network, so that each round of the loop can be counted."""

    def __init__(self, data: Path) -> None:
        self.app = create_app(ServerSettings(data))
        self.core: Core = self.app.state.core
        self.addresses = [f"127.0.3.{number + 1}" for number in range(_AGENTS)]
        with self.core.db.write() as session:
            session.add_all(Agent(name=one, address=one, ip_address=one, authorized=True) for one in self.addresses)
        self.answers: list[str] = []

    async def say(self, address: str, msg: str) -> None:
        """Send one message, and note that it was answered."""
        body = json.dumps({"address": address, "msg": msg, "info": DEBIAN}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        request = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "root_path": ""}
        path = {"path": "/backend", "raw_path": b"/backend", "query_string": b"", "headers": headers}
        ends = {"client": (address, 1), "server": ("127.0.0.1", 1), "asgi": {"version": "3.0"}}
        scope: Scope = {**request, **path, **ends}

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                assert message["status"] == 200
                self.answers.append(address)

        await self.app(scope, receive, send)


def test_somebody_else_does_not_wait_for_all_busy_agents(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "data")

    async def run() -> int:
        busy = [asyncio.create_task(fleet.say(one, "host-info")) for one in fleet.addresses]
        for _ in range(_ROUNDS):  # as many as a request takes, from its connection to its answer
            await asyncio.sleep(0)
        answered = len(fleet.answers)
        await asyncio.gather(*busy)
        return answered

    try:
        assert asyncio.run(run()) <= _ROUNDS
        assert fleet.answers == fleet.addresses
    finally:
        fleet.core.close()


def test_an_idle_agents_poll_does_not_wait_for_busy_agents(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "data")
    *busy, idle = fleet.addresses

    async def run() -> int:
        await fleet.say(idle, "host-info")
        tasks = [asyncio.create_task(fleet.say(one, "host-info")) for one in busy]
        await asyncio.sleep(0)
        await fleet.say(idle, "get-job")
        place = fleet.answers[1:].index(idle)
        await asyncio.gather(*tasks)
        return place

    try:
        assert asyncio.run(run()) <= 2
    finally:
        fleet.core.close()

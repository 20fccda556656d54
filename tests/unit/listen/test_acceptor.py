"""Who gets a connection, when, and how those are refused who get none."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kraken_fleet.listen import Limits
from kraken_fleet.listen.acceptor import Server
from kraken_fleet.listen.connections import Connections, server_config

AGENT, UNKNOWN = "127.0.0.9", "127.0.0.8"


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def serving(connections: Connections) -> AsyncIterator[int]:
    """A server in this loop; gives its port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    options: dict[str, Any] = {"lifespan": "off", "log_config": None, "log_level": logging.WARNING}
    config = server_config(hello, connections, **options)
    config.load()
    server = Server(config, connections)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listener])
    try:
        yield listener.getsockname()[1]
    finally:
        await server.shutdown([listener])


async def status(port: int, source: str) -> int:
    """The status of a request from this address."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


def test_a_known_agent_does_not_wait_for_the_turn_of_unknown_clients() -> None:
    async def work() -> tuple[int, bool, int]:
        connections = Connections(Limits(), is_known=lambda peer: peer == AGENT)
        async with serving(connections) as port:
            async with connections.turns.turn():
                waiting = asyncio.create_task(status(port, UNKNOWN))
                agents = await status(port, AGENT)
                was_waiting = not waiting.done()
            return agents, was_waiting, await waiting

    assert asyncio.run(work()) == (200, True, 200)


def test_more_connections_than_allowed_are_refused_and_counted_back() -> None:
    async def work() -> tuple[list[int], int]:
        connections = Connections(Limits(connections_per_peer=2))
        async with serving(connections) as port:
            held = [await asyncio.open_connection("127.0.0.1", port, local_addr=(UNKNOWN, 0)) for _ in range(2)]
            statuses = [await status(port, UNKNOWN), await status(port, AGENT)]
            for _, writer in held:
                writer.close()
            while connections.total:
                await asyncio.sleep(0.01)
            statuses.append(await status(port, UNKNOWN))
            while connections.total:
                await asyncio.sleep(0.01)
            return statuses, len(connections.by_peer)

    assert asyncio.run(work()) == ([503, 200, 200], 0)


def test_unknown_clients_that_wait_at_the_end_are_closed_and_counted_back() -> None:
    async def work() -> tuple[bytes, int]:
        connections = Connections(Limits())
        async with connections.turns.turn():
            async with serving(connections) as port:
                opened = [await asyncio.open_connection("127.0.0.1", port, local_addr=(UNKNOWN, 0)) for _ in range(2)]
                while connections.total < 2:
                    await asyncio.sleep(0.01)
            return await opened[1][0].read(), connections.total

    assert asyncio.run(work()) == (b"", 0)

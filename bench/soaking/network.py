"""A network that can be cut: agents reach the server through it, each from its own loopback address."""

from __future__ import annotations

import asyncio
import contextlib
from enum import StrEnum

_CHUNK = 65536


class Cut(StrEnum):
    """How a host is cut off."""

    REFUSED = "no connection"
    SILENT = "no answer"
    LOST = "answers are lost"


class Network:
    """Passes connections on to the server; each comes there from the address that it came from.

    Args:
        target: the server's port.

    Attributes:
        cuts: the addresses that are cut off now.
        port: where it listens.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.cuts: dict[str, Cut] = {}
        self.port = 0
        self.passed = 0
        self._server: asyncio.Server | None = None
        # Nothing else holds a connection whose two ends wait for each other.
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more."""
        if self._server:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connected(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")[0]
        try:
            await self._passed_on(peer, reader, writer)
        except OSError:
            writer.transport.abort()  # the server is not there
        finally:
            writer.close()

    async def _passed_on(self, peer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = self.cuts.get(peer)
        if cut is Cut.REFUSED:
            writer.transport.abort()
            return
        if cut is Cut.SILENT:
            while peer in self.cuts:
                await asyncio.sleep(0.2)
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target, local_addr=(peer, 0))
        try:
            there = asyncio.ensure_future(_copy(reader, far_writer))
            if cut is Cut.LOST:
                await far_reader.read(_CHUNK)  # the server has heard it, and has answered
                writer.transport.abort()
            else:
                await _copy(far_reader, writer)
                self.passed += 1
            there.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await there
        finally:
            far_writer.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()

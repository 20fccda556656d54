"""Takes connections from a listening socket: those of known agents at once, others in turns, none beyond the limit.

uvicorn takes whatever waits before it looks at anything else, and builds a protocol for each connection even when that
is refused. Under a flood an agent then waits behind everybody who came before it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn

from kraken_fleet.listen.connections import Connections
from kraken_fleet.listen.peers import plain_address

log = logging.getLogger(__name__)

# So many connections are looked at before others get their turn. Looking is cheap: it costs some microseconds.
_AT_A_TIME = 128
# How many sockets of unknown clients become connections in one turn.
_UNKNOWN_AT_A_TIME = 8
# So many may wait for that.
_UNKNOWN_WAITING = 1024
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
# The system has no room for another connection: it is asked again after a while.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_SECONDS = 0.5


class Acceptor:
    """One listening socket.

    Args:
        listener: bound; it is closed by whoever made it.
        connections: who gets one.
        protocol: makes uvicorn's protocol for a connection.
    """

    def __init__(
        self, listener: socket.socket, connections: Connections, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._listener = listener
        self._connections = connections
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._unknown: deque[tuple[socket.socket, str]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._taking_unknown = False

    def begin(self, backlog: int) -> None:
        """Take connections until `end`."""
        self._listener.listen(backlog)
        self._listener.settimeout(0)
        self._loop.add_reader(self._listener, self._accept)

    def end(self) -> None:
        """Take no more, and close those that wait."""
        self._loop.remove_reader(self._listener)
        while self._unknown:
            connection, peer = self._unknown.popleft()
            connection.close()
            self._connections.release(peer)

    def _accept(self) -> None:
        for _ in range(_AT_A_TIME):
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    log.warning("no connection can be taken now: %s", error.strerror)
                    self._loop.remove_reader(self._listener)
                    self._loop.call_later(_PAUSE_SECONDS, self._again)
                    return
                continue  # the other end has gone already
            connection.settimeout(0)
            self._place(connection, plain_address(str(address[0])))

    def _again(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _place(self, connection: socket.socket, peer: str) -> None:
        known = self._connections.is_known(peer)
        if not self._connections.admit(peer, known=known):
            _refuse(connection)
        elif known:
            self._start(self._connect(connection, peer))
        elif len(self._unknown) >= _UNKNOWN_WAITING:
            self._connections.release(peer)
            words = f"{_UNKNOWN_WAITING} connections of unknown clients wait to be taken"
            self._connections.refusals.note("connections", None, words)
            _refuse(connection)
        else:
            self._unknown.append((connection, peer))
            if not self._taking_unknown:
                self._taking_unknown = True
                self._start(self._take_unknown())

    async def _take_unknown(self) -> None:
        try:
            while self._unknown:
                async with self._connections.turns.turn():
                    for _ in range(min(len(self._unknown), _UNKNOWN_AT_A_TIME)):
                        await self._connect(*self._unknown.popleft())
        finally:
            self._taking_unknown = False

    async def _connect(self, connection: socket.socket, peer: str) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # the other end has gone already
            connection.close()
            self._connections.release(peer)

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work)
        # The loop itself keeps only weak references: a task that nobody holds may vanish before its end.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refuse(connection: socket.socket) -> None:
    """Say that there is no room, when the other end can be told without waiting, and close."""
    with suppress(OSError):
        connection.send(_BUSY)
    connection.close()


class Server(uvicorn.Server):
    """uvicorn's server, with connections from these acceptors.

    Args:
        config: see `connections.server_config`.
        connections: the same as in there.
    """

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self._connections = connections
        self._acceptors: list[Acceptor] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, for sockets that are bound already."""
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
            )
            return made

        # Without sockets uvicorn starts the application and listens nowhere: that is done below.
        await super().startup(sockets=[])
        self._connections.begin(loop)
        for listener in sockets or []:
            acceptor = Acceptor(listener, self._connections, protocol)
            acceptor.begin(self.config.backlog)
            self._acceptors.append(acceptor)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        for acceptor in self._acceptors:
            acceptor.end()
        await super().shutdown(sockets)

"""Connections are counted and must not be slow or silent: what uvicorn leaves to a proxy, for a server without one."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from kraken_fleet.listen.limits import Limits
from kraken_fleet.listen.peers import plain_address, share_of
from kraken_fleet.listen.proxies import behind_proxies
from kraken_fleet.listen.refusals import Refusals
from kraken_fleet.listen.turns import Turns

_SWEEP_SECONDS = 1.0
# Files that a process needs beside its connections.
_OTHER_FILES = 128
# So many connections are looked at before others get their turn.
_SWEPT_AT_A_TIME = 200
_LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Connections:
    """The connections of one server: those that are open, and those that wait to be taken.

    Args:
        limits: how many, and how slow.
        is_known: whether an authorized agent connects from this address: it gets a connection when others get none,
            and does not wait for theirs.
        turns: when unknown clients get their connections.
    """

    limits: Limits
    is_known: Callable[[str], bool] = lambda _peer: False
    refusals: Refusals = field(default_factory=lambda: Refusals(logging.getLogger(__name__)))
    turns: Turns = field(default_factory=Turns)
    open: set[Any] = field(default_factory=set)
    by_peer: Counter[str] = field(default_factory=Counter)
    total: int = 0
    _sweeping: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.most = min(self.limits.connections, _raise_file_limit())

    def admit(self, peer: str, *, known: bool) -> bool:
        """Count one more connection of this peer, if it may have one; whoever has counted one gives it back."""
        share = share_of(peer)
        if self.by_peer[share] >= self.limits.connections_per_peer:
            words = f"{peer} has {self.limits.connections_per_peer} connections already"
            self.refusals.note("connections_per_peer", peer, words)
            return False
        allowed = self.most if known else self.most - self.most // 10
        if self.total >= allowed:
            self.refusals.note("connections", None, f"{allowed} connections are open")
            return False
        self.by_peer[share] += 1
        self.total += 1
        return True

    def release(self, peer: str) -> None:
        """Count one connection less of this peer."""
        share = share_of(peer)
        self.total -= 1
        self.by_peer[share] -= 1
        if not self.by_peer[share]:
            del self.by_peer[share]

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """See to it that slow connections are ended."""
        self._sweeping = loop.create_task(self._sweep())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            every = list(self.open)
            for start in range(0, len(every), _SWEPT_AT_A_TIME):
                self._end_slow(every[start : start + _SWEPT_AT_A_TIME], asyncio.get_running_loop().time())
                await asyncio.sleep(0)

    def _end_slow(self, connections: Iterable[Any], moment: float) -> None:
        """End what is too slow at this moment of the loop's clock."""
        for connection in connections:
            if connection in self.open and (reason := connection.too_slow(moment)):
                self.refusals.note(reason, connection.peer, f"{connection.peer} was too slow")
                connection.end(_LATE)


def guarded(connections: Connections) -> type[asyncio.Protocol]:
    """Return the protocol for `uvicorn.Config(http=...)` that keeps to these limits."""

    class Guarded(_Guarded):
        registry = connections

    return Guarded


class _Guarded(AutoHTTPProtocol):  # type: ignore[misc, valid-type] # uvicorn chooses it at run time
    """uvicorn's own protocol, with counting. `cycle` is its request under way; a new request is a new object."""

    registry: Connections

    def connection_made(self, transport: asyncio.Transport) -> None:
        address = transport.get_extra_info("peername")
        # A Unix socket has no address of the peer: whoever uses it is on this machine.
        self.peer = plain_address(address[0]) if isinstance(address, tuple) else "127.0.0.1"
        self._began = self._progress = self.loop.time()
        self._head: object = None
        self._head_bytes = self._unsent = 0
        self.registry.open.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.registry.open:
            self.registry.open.discard(self)
            self.registry.release(self.peer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._waits_for_head and not self._head_bytes:
            self._began = self.loop.time()
        self._head_bytes += len(data)
        super().data_received(data)
        if not self._waits_for_head or self.cycle is not self._head:
            # The head is complete, or a whole request has come and gone.
            self._head, self._head_bytes = self.cycle, 0
        elif self._head_bytes > self.registry.limits.head_bytes:
            self.registry.refusals.note("head_bytes", self.peer, f"{self.peer} sent a head that does not end")
            self.end(_LARGE)

    @property
    def _waits_for_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def too_slow(self, moment: float) -> str:
        """Return the name of the limit that this connection has reached; empty when it has reached none."""
        limits = self.registry.limits
        if self._waits_for_head:
            # An idle connection between two requests is uvicorn's own to close.
            waits = self.cycle is None or self._head_bytes
            return "head_seconds" if waits and moment - self._began > limits.head_seconds else ""
        if getattr(self.cycle, "more_body", False) and moment - self._began > limits.request_seconds:
            return "request_seconds"
        # The transport does not tell when a peer reads, only how much is left to send.
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent or not unsent:
            self._unsent, self._progress = unsent, moment
        return "answer_seconds" if moment - self._progress > limits.answer_seconds else ""

    def end(self, words: bytes) -> None:
        """Say why, when nothing was answered yet, and close."""
        if self._waits_for_head or not self.cycle.response_started:
            self.transport.write(words)
            self.transport.close()
        else:
            self.transport.abort()


def _raise_file_limit() -> int:
    """Let this process open as many files as it may; return how many connections that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return max(soft - _OTHER_FILES, 16)


def server_config(app: Any, connections: Connections, proxies: Sequence[str] = (), **options: Any) -> uvicorn.Config:
    """Make uvicorn's settings for an application behind these connections; further options as uvicorn names them.

    Args:
        proxies: see behind_proxies.

    Raises:
        UsageError: see behind_proxies.
    """
    # Nothing here speaks WebSocket, so no connection may turn into one that these limits do not see. Without
    # `proxy_headers=False` uvicorn believes each process of this machine before anybody can see who it was.
    return uvicorn.Config(
        behind_proxies(app, proxies), http=guarded(connections), ws="none", proxy_headers=False, **options
    )

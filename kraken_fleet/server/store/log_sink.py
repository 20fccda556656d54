"""The UDP log sink: agents send each log record as one JSON datagram (kraken/server/logs.py, 1.7.36)."""

from __future__ import annotations

import asyncio
import logging
import socket

from kraken_fleet.listen import plain_address
from kraken_fleet.server.store.log_store import LogStore

log = logging.getLogger(__name__)

_LARGEST_DATAGRAM = 65535
# So many datagrams are read before others get their turn: a flood of logs must not keep agents waiting.
_AT_A_TIME = 16


class LogSink:
    """Hands datagrams to the store. Nothing is ever sent back.

    It reads the socket itself: the event loop's own datagrams lose the one that follows an empty one.

    Args:
        store: where records go.
        sock: a bound UDP socket that does not block.
    """

    def __init__(self, store: LogStore, sock: socket.socket) -> None:
        self._store = store
        self._sock = sock

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read whatever comes, until `end`."""
        loop.add_reader(self._sock, self._read)

    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read no more, and close the socket."""
        loop.remove_reader(self._sock)
        self._sock.close()

    def _read(self) -> None:
        for _ in range(_AT_A_TIME):
            try:
                datagram, address = self._sock.recvfrom(_LARGEST_DATAGRAM)
            except OSError:  # there is no more
                return
            peer = plain_address(address[0])
            try:
                self._store.take(datagram, peer)
            except Exception:  # one datagram costs no other
                log.exception("a log record from %s failed", peer)

"""The UDP log sink: agents send each log record as one JSON datagram (kraken/server/logs.py, 1.7.36)."""

from __future__ import annotations

import asyncio
from typing import Any

from kraken_fleet.server.store.log_store import LogStore


class LogSink(asyncio.DatagramProtocol):
    """Hands datagrams to the store. Nothing is ever sent back."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def datagram_received(self, data: bytes, _addr: tuple[str | Any, int]) -> None:
        self._store.take(data)

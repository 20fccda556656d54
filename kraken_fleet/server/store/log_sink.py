"""The UDP log sink: agents send each log record as one JSON datagram (kraken/server/logs.py, 1.7.36)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from kraken_fleet.server.store.log_store import LogStore

log = logging.getLogger(__name__)


class LogSink(asyncio.DatagramProtocol):
    """Hands datagrams to the store. Nothing is ever sent back."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        try:
            self._store.take(data, addr[0])
        except Exception:  # one datagram costs no other: the loop would only show a traceback for each
            log.exception("a log record from %s failed", addr[0])

"""How kktool talks back: JSON objects, one a line, over TCP, over a file descriptor, or as text on the screen."""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import Any, Callable, Dict, Tuple

from kraken_agent.tools.output import say

_CONNECT_SECONDS = 30.0
_SHOWN_CHARACTERS = 200

Write = Callable[[bytes], None]


class Channel:
    """Sends messages; safe to use from several threads."""

    def __init__(self, write: Write, close: Callable[[], None] = lambda: None) -> None:
        self._write = write
        self._lock = threading.Lock()
        self.close = close

    def send(self, message: Dict[str, Any]) -> None:
        """Send one message whole."""
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            self._write(line)


def open_channel(address: str) -> Channel:
    """Open what `--return-address` names.

    Args:
        address: `HOST:PORT` (upstream's form) or `fd:NUMBER`; empty shows the start of each message on standard output.

    Raises:
        ValueError: not an address.
        OSError: nobody listens there, or the descriptor is not open.
    """
    if not address:
        return Channel(lambda line: say(f"tool response: {line.decode()[:_SHOWN_CHARACTERS]}"))
    if address.startswith("fd:"):
        return _descriptor_channel(int(address[3:]))
    connection = socket.create_connection(_host_and_port(address), timeout=_CONNECT_SECONDS)
    # A tool may be silent for hours between two messages; only connecting has a limit.
    connection.settimeout(None)
    return Channel(connection.sendall, connection.close)


def _host_and_port(address: str) -> Tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"return address {address!r} is neither HOST:PORT nor fd:NUMBER")
    return host.strip("[]"), int(port)


def _descriptor_channel(number: int) -> Channel:
    """Keep a descriptor for messages alone: programs that the tool starts do not inherit it.

    When it is standard output or error, those are joined into the other one, so log lines and messages never mix. That
    gives a tool in a container a way back which needs neither network nor shared files.
    """
    own = os.dup(number)
    if number in (1, 2):
        os.dup2(3 - number, number)
    else:
        os.close(number)

    def write(line: bytes) -> None:
        while line:
            line = line[os.write(own, line) :]

    return Channel(write, lambda: os.close(own))

"""One GET over plain HTTP with a socket alone.

Python's own client takes a third of all that is imported on a host, most of it to read mail. What is not plain is left
to it: another scheme, a proxy, a redirection, an answer that cannot be read here.
"""

from __future__ import annotations

import os
import re
import socket
from calendar import timegm
from typing import NamedTuple, Optional

_MOST_BYTES = 65536
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_DATE = re.compile(rb"\r\ndate: *\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT *\r\n", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Answer(NamedTuple):
    """What a server says: its status, and its time in seconds since the epoch."""

    status: int
    time: float


def is_direct() -> bool:
    """Say whether the environment names no proxy at all."""
    return not any(value for name, value in os.environ.items() if name.lower().endswith("_proxy"))


def get(host: str, port: int, path: str, timeout: float) -> Optional[Answer]:
    """Ask for a path; None when the answer, or its date, cannot be read or did not come.

    Args:
        timeout: seconds, for each step.
    """
    name = f"[{host}]" if ":" in host else host
    request = f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.sendall(request.encode("ascii"))
            return _read(_head(connection))
    except (OSError, ValueError):
        return None


def _head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MOST_BYTES:
        more = connection.recv(4096)
        if not more:
            break
        head += more
    return head.partition(b"\r\n\r\n")[0] + b"\r\n"


def _read(head: bytes) -> Optional[Answer]:
    status, date = _STATUS.match(head), _DATE.search(head)
    if not status or not date:
        return None
    day, month, year, *clock = (part.decode("ascii").lower() for part in date.groups())
    if month not in _MONTHS:
        return None
    numbers = (int(year), _MONTHS.index(month) + 1, int(day), *map(int, clock))
    return Answer(int(status.group(1)), float(timegm(numbers)))

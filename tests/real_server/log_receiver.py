"""Stands in for upstream's log proxy, which is Rust: JSON records over UDP go into ClickHouse in batches.

Run as a program, with the standard library only: log_receiver.py HOST PORT CLICKHOUSE_URL
"""

from __future__ import annotations

import datetime
import itertools
import json
import queue
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.real_server.clickhouse import send

BATCH = 5000
BATCH_SECONDS = 0.2
RECEIVE_BUFFER = 32 * 1024 * 1024  # bytes the kernel keeps while we write a batch

_arrival = itertools.count()


def rows_of(datagram: bytes) -> list[dict[str, Any]]:
    """A record as rows of the table `logs`: one for each line of its message.

    Raises:
        ValueError, KeyError, TypeError: it is not a JSON object with a time stamp.
    """
    record = json.loads(datagram)
    if not isinstance(record, dict):
        raise TypeError("not a JSON object")
    time = datetime.datetime.fromisoformat(str(record["@timestamp"]).replace("Z", "+00:00"))
    common = {
        "time": int(time.timestamp()),
        **{name: str(record.get(name) or "") for name in ("service", "host", "path", "level", "tool")},
        **{name: _number(record.get(name), 0) for name in _COUNTERS},
        "step": _number(record.get("step"), -1),
    }
    lines = str(record["message"]).splitlines() or [""]
    return [{**common, "seq": _order(time), "message": line} for line in lines]


def _order(time: datetime.datetime) -> int:
    """Microseconds first, then the order of arrival: DateTime in ClickHouse 18.16 has no fractions."""
    return (time.microsecond << 32) | (next(_arrival) & 0xFFFFFFFF)


_COUNTERS = ("lineno", "branch", "flow_kind", "flow", "run", "job", "agent")


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def receive(sock: socket.socket, rows: queue.Queue[dict[str, Any]]) -> None:
    """Take datagrams for ever; a bad one is named on standard output and dropped."""
    while True:
        datagram = sock.recv(65536)
        try:
            for row in rows_of(datagram):
                rows.put(row)
        except (ValueError, KeyError, TypeError) as error:
            print(f"dropped a record of {len(datagram)} bytes: {error!r}")


def batches(rows: queue.Queue[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows that came within a fifth of a second, or as many as one INSERT should take."""
    while True:
        batch = [rows.get()]
        timer = threading.Event()
        timer.wait(BATCH_SECONDS)
        while len(batch) < BATCH and not rows.empty():
            batch.append(rows.get())
        yield batch


def store(url: str, batch: list[dict[str, Any]]) -> None:
    """Insert a batch; tried again until ClickHouse takes it."""
    lines = "\n".join(json.dumps(each) for each in batch).encode()
    while True:
        try:
            send(url, "INSERT INTO logs FORMAT JSONEachRow", lines)
        except OSError as error:
            print(f"ClickHouse did not take {len(batch)} records: {error}")
            threading.Event().wait(1.0)
        else:
            return


def main(host: str, port: str, url: str) -> None:
    """Receive until killed."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.bind((host, int(port)))
    print(f"receiving on {host}:{port}")
    rows: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=receive, args=(sock, rows), daemon=True).start()
    for batch in batches(rows):
        store(url, batch)


if __name__ == "__main__":
    main(*sys.argv[1:])

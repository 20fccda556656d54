"""The agent's log: records over UDP to the server's log sink, in order and no faster than it can take them.

The form of a record is that of upstream's agent: one JSON object a datagram, with `@timestamp`, `message`, `host`,
`path`, `lineno`, `level`, `logger_name`, `service`, and the context that is known: `branch`, `flow_kind`, `flow`,
`run`, `job`, `step`, `tool`, `agent`. The server shows as a job's log what has `service` agent and a `tool`.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import deque

from kraken_agent import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Deque, Dict, Mapping, Optional

    from kraken_agent.reactor import Reactor, Timer

# Pieces of a message: escaped in JSON, eight times that is still less than a datagram can hold (65,507 bytes).
_PIECE_BYTES = 8000
# 120,000 records a minute, and no more than 6 MB a second. The kernel's default buffer of 208 KiB holds some 150 short
# records: a receiver may sleep for 75 ms and still loses none.
_RECORDS_PER_SECOND = 2000
_RECORDS_AT_ONCE = 40
_BYTES_PER_SECOND = 6_000_000
_BYTES_AT_ONCE = 64 * 1024
_TICK_SECONDS = 0.01
# From here on lines are joined into records of a piece each, so that a step that prints a gigabyte comes to an end.
_JOIN_FROM_BYTES = 16 * 1024 * 1024
# From here on output stays in the pipe, and so makes the step wait.
FULL_BYTES = 24 * 1024 * 1024
# Characters that JSON escapes: such as are in no usual text, and the others; the backslash first.
_RARE = bytes(code for code in range(32) if code not in b"\t\n\r")
_SHORT = ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\t", b"\\t"), (b"\r", b"\\r"))
# From here on looking for such characters is quicker than going through all of them.
_LONG_BYTES = 1000
# What an entry costs beyond its bytes, roughly: a program may write them one by one.
_ENTRY_BYTES = 200


class LogSink:
    """Where records go: a datagram socket. UDP does not tell what arrives, and a lost record must not end a job."""

    def __init__(self, source: str = "") -> None:
        self._source = source
        self._socket: Optional[socket.socket] = None
        self.address = ""

    def open(self, address: str) -> None:
        """Send to `HOST:PORT` from now on; empty sends nowhere.

        Raises:
            ValueError: not an address.
        """
        if address == self.address:
            return
        self.close()
        if address:
            host, colon, port = address.rpartition(":")
            if not colon or not port.isdigit() or int(port) > 65535:
                raise ValueError(f"the log's address {address!r} is not HOST:PORT")
            if self._connect(host.strip("[]"), int(port)):
                self.address = address

    def _connect(self, host: str, port: int) -> bool:
        """Return whether there is a way to it. When not, a later `open` of the same address tries again."""
        try:
            family, kind, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind)
            if self._source and family == socket.AF_INET:
                self._socket.bind((self._source, 0))
            self._socket.connect(target)
        except OSError as error:
            self.close()
            console.write(f"logs cannot be sent to {host}:{port}: {error}\n")
            return False
        return True

    def send(self, datagram: bytes) -> None:
        """Send one record, or lose it when nobody can take it."""
        if self._socket is not None:
            try:
                self._socket.send(datagram)
            except OSError:
                # The port is closed at the moment (an ICMP answer to an earlier record); this one was not sent.
                self._send_again(datagram)

    def _send_again(self, datagram: bytes) -> None:
        try:
            if self._socket is not None:
                self._socket.send(datagram)
        except OSError:
            return

    def close(self) -> None:
        """Forget the socket and its address, so that a later `open` looks the name up again."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self.address = ""


class _Entry:
    """Bytes of one context, waiting to be cut into records."""

    __slots__ = ("_head", "_tail", "data", "position")

    def __init__(self, context: bytes, when: float, data: bytes) -> None:
        # Thousands of lines may come at one time: what their records share is made once.
        seconds = int(when)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int((when - seconds) * 1e6):06d}Z"
        self._head = f'{{"@timestamp": "{stamp}", "message": '.encode()
        self._tail = b", " + context
        self.data = data
        self.position = 0

    def record(self, *, join: bool) -> bytes:
        """Return the next record."""
        return b"".join((self._head, _quoted(self._take(join=join)), self._tail))

    def _take(self, *, join: bool) -> bytes:
        """Return the next message: a line, a piece of a long one, or as many lines as fit into a piece."""
        start = self.position
        limit = start + _PIECE_BYTES
        end = self.data.rfind(b"\n", start, limit) if join else -1
        if end < 0:
            end = self.data.find(b"\n", start, limit)
        if end >= 0:
            self.position = end + 1
        elif len(self.data) <= limit:
            end = self.position = len(self.data)
        else:
            end = self.position = _character_start(self.data, limit)
        return self.data[start:end].rstrip(b"\r")


def _quoted(text: bytes) -> bytes:
    """Text as JSON has it; bytes that are no text become replacement characters."""
    if len(text) >= _LONG_BYTES and text.isascii() and len(text.translate(None, _RARE)) == len(text):
        for character, escaped in _SHORT:
            text = text.replace(character, escaped)
        return b'"' + text + b'"'
    return json.encoder.encode_basestring_ascii(text.decode("utf-8", "replace")).encode()


def _character_start(data: bytes, position: int) -> int:
    """Return the nearest start of a UTF-8 character at or before a position."""
    for candidate in range(position, position - 4, -1):
        if data[candidate] & 0xC0 != 0x80:
            return candidate
    return position


class _Allowance:
    """So much may be sent now; it grows with time, up to what may be sent at once."""

    __slots__ = ("_at", "_most", "_rate", "left")

    def __init__(self, rate: float, most: float) -> None:
        self._rate = rate
        self._most = most
        self._at = time.monotonic()
        self.left = most

    def grow(self, now: float) -> None:
        self.left = min(self._most, self.left + (now - self._at) * self._rate)
        self._at = now


class Log:
    """Takes what the agent and the steps have to say, and sends it on while the loop turns."""

    def __init__(self, reactor: Reactor, sink: LogSink) -> None:
        self._reactor = reactor
        self.sink = sink
        self._host = os.uname().nodename
        self._queue: Deque[_Entry] = deque()
        self._bytes = 0
        self._joins = False
        self._timer: Optional[Timer] = None
        self._records = _Allowance(_RECORDS_PER_SECOND, _RECORDS_AT_ONCE)
        self._traffic = _Allowance(_BYTES_PER_SECOND, _BYTES_AT_ONCE)
        self._clock = time.time() - time.monotonic()
        self._context: Dict[str, Any] = {"service": "agent"}

    @property
    def is_full(self) -> bool:
        """Return whether output should wait where it is."""
        return self._bytes >= FULL_BYTES

    @property
    def is_empty(self) -> bool:
        """Return whether everything was sent."""
        return not self._queue

    def set_context(self, **context: Any) -> None:
        """Set what all records carry from now on, for example the job, and set their clock anew.

        Within a job the clock is monotonic: the sink orders a job's records by their time.
        """
        self._context = {"service": "agent", **{key: value for key, value in context.items() if value is not None}}
        self._clock = time.time() - time.monotonic()

    def say(self, level: str, text: str) -> None:
        """Write a message of the agent's own to the console and send it to the sink."""
        console.write(f"{level:7} {text}\n")
        for line in text.splitlines():
            self._put(self._prefix(level, {}), line.encode("utf-8", "surrogateescape"))

    def info(self, text: str) -> None:
        """Log something worth knowing."""
        self.say("INFO", text)

    def warning(self, text: str) -> None:
        """Log that something is wrong, and the agent copes."""
        self.say("WARNING", text)

    def error(self, text: str) -> None:
        """Log that something is wrong, and a job fails."""
        self.say("ERROR", text)

    def stream(self, context: Mapping[str, Any]) -> LineStream:
        """Return a place for the output of one step."""
        return LineStream(self, self._prefix("INFO", context))

    def put(self, context: bytes, data: bytes) -> None:
        """Take lines of output, in one context."""
        self._put(context, data)

    def _put(self, context: bytes, data: bytes) -> None:
        if not self.sink.address:
            return
        self._queue.append(_Entry(context, self._clock + time.monotonic(), data))
        self._bytes += len(data) + _ENTRY_BYTES
        self._joins = self._joins or self._bytes > _JOIN_FROM_BYTES
        self._send()

    def _prefix(self, level: str, context: Mapping[str, Any]) -> bytes:
        """Return the part of a record that its neighbours share."""
        fields = {"host": self._host, "path": "kraken_agent", "lineno": 0, "level": level, "logger_name": "agent"}
        return json.dumps({**fields, **self._context, **context})[1:].encode()

    def drain(self, seconds: float) -> bool:
        """Turn the loop until everything is sent, or for so long; return whether it is."""
        return self._reactor.run_until(lambda: self.is_empty, time.monotonic() + seconds)

    def _send(self) -> None:
        """Send what the allowance permits, and come back for the rest."""
        now = time.monotonic()
        self._records.grow(now)
        self._traffic.grow(now)
        while self._queue and self._records.left > 0 and self._traffic.left > 0:
            self._records.left -= 1
            self._traffic.left -= self._send_one()
        if self._queue and self._timer is None:
            self._timer = self._reactor.call_at(now + _TICK_SECONDS, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._send()

    def _send_one(self) -> int:
        """Send the next record; return its size."""
        entry = self._queue[0]
        before = entry.position
        datagram = entry.record(join=self._joins)
        self._bytes -= entry.position - before
        if entry.position >= len(entry.data):
            self._queue.popleft()
            self._bytes -= _ENTRY_BYTES
            self._joins = self._joins and bool(self._queue)
        self.sink.send(datagram)
        return len(datagram)


class LineStream:
    """Collects the output of one step until lines are whole, and gives them to the log."""

    def __init__(self, log: Log, context: bytes) -> None:
        self._log = log
        self._context = context
        self._rest = b""

    @property
    def is_full(self) -> bool:
        """Return whether output should wait where it is."""
        return self._log.is_full

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        end = data.rfind(b"\n")
        if end >= 0:
            self._log.put(self._context, self._rest + data[: end + 1])
            self._rest = data[end + 1 :]
        else:
            self._rest += data
        if len(self._rest) > _PIECE_BYTES:
            cut = _character_start(self._rest, _PIECE_BYTES * (len(self._rest) // _PIECE_BYTES) - 1)
            self._log.put(self._context, self._rest[:cut])
            self._rest = self._rest[cut:]

    def close(self) -> None:
        """Send the rest of an output that has ended, perhaps without a line end."""
        if self._rest:
            self._log.put(self._context, self._rest)
            self._rest = b""

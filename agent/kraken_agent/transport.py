"""HTTP/1.1 for one agent: a request, an answer, and the loop turns meanwhile.

The standard library's client would cost an idle agent 5 MB. Connections are not kept: the real server closes each one
after its answer, and a fleet that is idle should not hold a connection for every agent.
"""

from __future__ import annotations

import socket
import time

from kraken_agent.reactor import READ, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext
    from typing import Callable, Dict, List, Optional, Tuple

    from kraken_agent.protocol import ServerUrl
    from kraken_agent.reactor import Reactor

_MOST_HEADER_BYTES = 64 * 1024
_MOST_BODY_BYTES = 256 * 1024 * 1024
_RECEIVE_BYTES = 256 * 1024


class TransportError(Exception):
    """There was no answer: nobody is there, it took too long, or it is no HTTP."""


class StatusError(TransportError):
    """The server answered, and not with 200.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"the server answered with HTTP status {status}")
        self.status = status


class InterruptedExchangeError(Exception):
    """The agent has something better to do than to wait: it is to stop."""


class Transport:
    """Sends requests to one server.

    Args:
        reactor: turns while waiting.
        source: local IP address that connections come from; empty for any.
        interrupted: asked while waiting; true ends the exchange with InterruptedExchangeError.
    """

    def __init__(self, reactor: Reactor, source: str = "", interrupted: Callable[[], bool] = lambda: False) -> None:
        self._reactor = reactor
        self._source = source
        self._interrupted = interrupted
        self._tls: Optional[SSLContext] = None

    def exchange(self, url: ServerUrl, name: str, body: Optional[bytes], seconds: float) -> bytes:
        """Send one request and return the answer's body.

        Args:
            url: the server.
            name: what is joined to it: `backend`, `install/agent`.
            body: JSON to POST; None for a GET.
            seconds: for the whole exchange.

        Raises:
            TransportError: no answer, or not 200.
            InterruptedExchangeError: see `interrupted`.
        """
        deadline = time.monotonic() + seconds
        try:
            stream = self._connect(url, deadline)
            try:
                stream.send(_request(url, name, body))
                status, content = _Answer(stream).read()
            finally:
                stream.close()
        except OSError as error:
            raise TransportError(f"no answer from {url}: {error.strerror or error}") from error
        except ValueError as error:
            raise TransportError(f"{url} does not speak HTTP: {error}") from error
        if status != 200:
            raise StatusError(status)
        return content

    def _connect(self, url: ServerUrl, deadline: float) -> _Stream:
        addresses = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
        failure: Optional[OSError] = None
        for family, kind, protocol, _, target in addresses:
            connection = socket.socket(family, kind, protocol)
            connection.setblocking(False)  # noqa: FBT003 - the method takes no name
            stream = _Stream(self._reactor, connection, deadline, self._interrupted)
            try:
                if self._source and family == socket.AF_INET:
                    connection.bind((self._source, 0))
                stream.connect(target)
                if url.scheme == "https":
                    stream.secure(self._context(), url.host)
            except OSError as error:
                stream.close()
                failure = error
            except BaseException:
                stream.close()
                raise
            else:
                return stream
        raise failure or OSError("the name has no address")

    def _context(self) -> SSLContext:
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        return self._tls


def _request(url: ServerUrl, name: str, body: Optional[bytes]) -> bytes:
    lines = [
        f"{'GET' if body is None else 'POST'} {url.path(name)} HTTP/1.1",
        f"Host: {url.authority}",
        "User-Agent: kraken-agent",
        "Accept-Encoding: identity",
        "Connection: close",
    ]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


class _Stream:
    """A connection that waits in the loop instead of blocking."""

    def __init__(
        self, reactor: Reactor, connection: socket.socket, deadline: float, interrupted: Callable[[], bool]
    ) -> None:
        self._reactor = reactor
        self._socket = connection
        self._deadline = deadline
        self._interrupted = interrupted

    def connect(self, target: Tuple[object, ...]) -> None:
        try:
            self._socket.connect(target)
        except BlockingIOError:
            self._wait(WRITE)
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                import os

                raise OSError(code, os.strerror(code)) from None

    def secure(self, context: SSLContext, host: str) -> None:
        secured = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
        self._socket = secured
        while self._attempt(secured.do_handshake) is None:
            pass

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            sent = self._attempt(lambda: self._socket.send(view), WRITE)  # noqa: B023 - called before view changes
            view = view[sent or 0 :]

    def receive(self) -> bytes:
        while True:
            data = self._attempt(lambda: self._socket.recv(_RECEIVE_BYTES))
            if data is not None:
                assert isinstance(data, bytes)  # noqa: S101 - recv gives bytes
                return data

    def _attempt(self, action: Callable[[], object], event: int = READ):  # type: ignore[no-untyped-def]  # any result
        """Do something that may not be possible yet; None after waiting for it to become possible."""
        try:
            result = action()
        except BlockingIOError:
            self._wait(event)
        except OSError as error:
            wants = type(error).__name__
            if wants not in ("SSLWantReadError", "SSLWantWriteError"):
                raise
            self._wait(READ if wants == "SSLWantReadError" else WRITE)
        else:
            return True if result is None else result
        return None

    def _wait(self, event: int) -> None:
        ready = []
        descriptor = self._socket.fileno()
        self._reactor.watch(descriptor, lambda: ready.append(True), event)
        try:
            while not ready:
                if self._interrupted():
                    raise InterruptedExchangeError
                if time.monotonic() >= self._deadline:
                    raise OSError("it took too long")
                self._reactor.turn(self._deadline)
        finally:
            self._reactor.unwatch(descriptor)

    def close(self) -> None:
        self._socket.close()


class _Answer:
    """Reads one answer. ValueError says what is wrong with it."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._buffer = b""

    def read(self) -> Tuple[int, bytes]:
        status, headers = self._head()
        while status in (100, 102, 103):
            status, headers = self._head()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return status, self._chunks()
        length = headers.get("content-length")
        if length is not None:
            return status, self._exactly(_size(length, 10))
        return status, self._rest()

    def _head(self) -> Tuple[int, Dict[str, str]]:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if not first.startswith("HTTP/1.") or len(words) < 2 or not words[1].isdigit():
            raise ValueError(f"its answer begins with {first[:40]!r}")
        headers = {}
        for line in lines:
            key, _, value = line.partition(":")
            headers[key.strip().lower()] = value.strip()
        return int(words[1]), headers

    def _chunks(self) -> bytes:
        parts: List[bytes] = []
        total = 0
        while True:
            size = _size(self._until(b"\r\n").split(b";")[0].decode("latin-1"), 16)
            total += size
            if total > _MOST_BODY_BYTES:
                raise ValueError("its answer is too long")
            if size == 0:
                return b"".join(parts)
            parts.append(self._exactly(size))
            self._exactly(2)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            if len(self._buffer) > _MOST_HEADER_BYTES:
                raise ValueError("its header is too long")
            self._more()
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def _exactly(self, size: int) -> bytes:
        parts = [self._buffer[:size]]
        self._buffer = self._buffer[size:]
        missing = size - len(parts[0])
        while missing > 0:
            self._more()
            parts.append(self._buffer[:missing])
            self._buffer = self._buffer[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def _rest(self) -> bytes:
        parts = [self._buffer]
        while True:
            data = self._stream.receive()
            if not data:
                return b"".join(parts)
            parts.append(data)

    def _more(self) -> None:
        data = self._stream.receive()
        if not data:
            raise ValueError("its answer is cut off")
        self._buffer += data


def _size(text: str, base: int) -> int:
    size = int(text, base)
    if not 0 <= size <= _MOST_BODY_BYTES:
        raise ValueError("its answer is too long")
    return size

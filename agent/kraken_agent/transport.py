"""HTTP/1.1 for one agent: a request, an answer, and the loop turns meanwhile.

The standard library's client would cost an idle agent 5 MB. Connections are not kept: the real server closes each one
after its answer, and a fleet that is idle should not hold a connection for every agent.
"""

from __future__ import annotations

import socket
import time

from kraken_agent.clock import seconds_ahead
from kraken_agent.http_answer import HttpAnswer
from kraken_agent.reactor import READ, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext
    from typing import Callable, List, Optional, Tuple

    from kraken_agent.protocol import ServerUrl
    from kraken_agent.proxy import Proxy
    from kraken_agent.reactor import Reactor

_OK = 200
_RECEIVE_BYTES = 256 * 1024


# What a gateway says when the server behind it was asked, and its answer was lost or late.
_LOST_ANSWER_STATUSES = (502, 504)
# The server, or a gateway, cannot take this message at the moment. Others may be said of the message itself for ever:
# Kraken's server answers 500 to a report that it cannot digest.
_PASSING_STATUSES = (408, 425, 429, 502, 503, 504, 507)
_PROXY_WANTS_ACCOUNT = 407


class TransportError(Exception):
    """There was no answer: nobody is there, it took too long, or it is no HTTP.

    Attributes:
        may_be_received: whether the server may have taken the request all the same.
        is_refusal: whether the server may answer this request so for ever.
    """

    is_refusal = False

    def __init__(self, text: str, *, may_be_received: bool = False) -> None:
        super().__init__(text)
        self.may_be_received = may_be_received


class StatusError(TransportError):
    """The server answered, and not with 200.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(
            f"the server answered with HTTP status {status}", may_be_received=status in _LOST_ANSWER_STATUSES
        )
        self.status = status
        self.is_refusal = status not in _PASSING_STATUSES


class InterruptedExchangeError(Exception):
    """The agent has something better to do than to wait: it is to stop."""


class Transport:
    """Sends requests to one server.

    Args:
        reactor: turns while waiting.
        source: local IP address that connections come from; empty for any.
        interrupted: asked while waiting; true ends the exchange with InterruptedExchangeError.
        proxy: what requests go through; None for straight to the server.
    """

    def __init__(
        self,
        reactor: Reactor,
        source: str = "",
        interrupted: Callable[[], bool] = lambda: False,
        proxy: Optional[Proxy] = None,
    ) -> None:
        self._reactor = reactor
        self._source = source
        self._interrupted = interrupted
        self._proxy = proxy
        self._tls: Optional[SSLContext] = None
        # By how many seconds this host's clock is ahead of the server's; None when the server has not said its time.
        self.clock_ahead: Optional[int] = None

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
        way = f"{url} through the proxy {self._proxy}" if self._proxy else str(url)
        is_sent = False
        try:
            stream = self._connect(url, deadline)
            try:
                request = _request(url, name, body, self._proxy)
                is_sent = True
                stream.send(request)
                answer = HttpAnswer(stream.receive)
                status, content = answer.read()
            except BaseException:
                stream.abort()
                raise
            stream.close()
        except OSError as error:
            raise TransportError(f"no answer from {way}: {error.strerror or error}", may_be_received=is_sent) from error
        except ValueError as error:
            raise TransportError(f"{way} does not speak HTTP: {error}", may_be_received=is_sent) from error
        if status == _PROXY_WANTS_ACCOUNT and self._proxy:
            raise TransportError(_refusal(self._proxy, status))
        if status != _OK:
            raise StatusError(status)
        self.clock_ahead = seconds_ahead(answer.date, time.time())
        return content

    def _connect(self, url: ServerUrl, deadline: float) -> _Stream:
        peer = self._proxy or url
        failure: Optional[OSError] = None
        for family, kind, protocol, _, target in socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM):
            connection = socket.socket(family, kind, protocol)
            connection.setblocking(False)  # noqa: FBT003 - the method takes no name
            stream = _Stream(self._reactor, connection, deadline, self._interrupted)
            try:
                if self._source and family == socket.AF_INET:
                    connection.bind((self._source, 0))
                stream.connect(target)
                if url.scheme == "https":
                    if self._proxy:
                        _tunnel(stream, url, self._proxy)
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


def _tunnel(stream: _Stream, url: ServerUrl, proxy: Proxy) -> None:
    """Have the proxy pass on everything from here on.

    Raises:
        TransportError: it does not.
    """
    lines = [f"CONNECT {url.authority} HTTP/1.1", f"Host: {url.authority}", *_proxy_authorization(proxy)]
    stream.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
    status, _ = HttpAnswer(stream.receive).head()
    if status != _OK:
        raise TransportError(_refusal(proxy, status))


def _refusal(proxy: Proxy, status: int) -> str:
    if status == _PROXY_WANTS_ACCOUNT:
        return f"the proxy {proxy} wants another user or password than its variable names (HTTP status {status})"
    return f"the proxy {proxy} does not let the agent through (HTTP status {status})"


def _proxy_authorization(proxy: Proxy) -> List[str]:
    return [f"Proxy-Authorization: {proxy.authorization}"] if proxy.authorization else []


def _request(url: ServerUrl, name: str, body: Optional[bytes], proxy: Optional[Proxy]) -> bytes:
    # Inside a tunnel there is no proxy to be seen.
    asked = proxy if proxy is not None and url.scheme == "http" else None
    place = f"http://{url.authority}" if asked else ""
    lines = [
        f"{'GET' if body is None else 'POST'} {place}{url.path(name)} HTTP/1.1",
        f"Host: {url.authority}",
        "User-Agent: kraken-agent",
        "Accept-Encoding: identity",
        "Connection: close",
        *(_proxy_authorization(asked) if asked else ()),
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
        self._reactor.register(descriptor, lambda: ready.append(True), event)
        try:
            while not ready:
                if self._interrupted():
                    raise InterruptedExchangeError
                if time.monotonic() >= self._deadline:
                    raise OSError("it took too long")
                self._reactor.turn(self._deadline)
        finally:
            self._reactor.unregister(descriptor)

    def close(self) -> None:
        self._socket.close()

    def abort(self) -> None:
        """Close, and have the kernel forget what it has not sent: it would arrive later, after newer messages."""
        import struct

        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

"""An HTTP proxy: passes on requests with a whole URL, opens tunnels for CONNECT, and can want a password."""

from __future__ import annotations

import base64
import http.client
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.background import serving


class SmallProxy(ThreadingHTTPServer):
    """The proxy.

    Args:
        account: `user:password` that clients must give; empty lets everybody through.

    Attributes:
        asked: what it was asked for, as `GET http://…` or `CONNECT host:port`.
        seen: all bytes that clients sent through tunnels.
    """

    daemon_threads = True

    def __init__(self, account: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"http://{account}@{self.address}" if account else f"http://{self.address}"
        self.wanted = f"Basic {base64.b64encode(account.encode()).decode()}" if account else None
        self.asked: list[str] = []
        self.seen = b""


class _Handler(BaseHTTPRequestHandler):
    server: SmallProxy

    def do_GET(self) -> None:
        if not self._may_pass():
            return
        target = urlsplit(self.path)
        connection = http.client.HTTPConnection(target.hostname or "", target.port or 80, timeout=60)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kept = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
        try:
            connection.request(self.command, target.path, body, kept)
            answer = connection.getresponse()
            content = answer.read()
        except OSError:
            self.send_error(502)
            return
        finally:
            connection.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        if not self._may_pass():
            return
        host, _, port = self.path.rpartition(":")
        try:
            far = socket.create_connection((host, int(port)), 20)
        except OSError:
            self.send_error(502)
            return
        self.send_response(200, "Connection established")
        self.end_headers()
        with far:
            self._pass_on(far)

    def _pass_on(self, far: socket.socket) -> None:
        while True:
            for ready in select.select([self.connection, far], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                if ready is self.connection:
                    self.server.seen += data
                (far if ready is self.connection else self.connection).sendall(data)

    def _may_pass(self) -> bool:
        self.server.asked.append(f"{self.command} {self.path}")
        if self.server.wanted in (None, self.headers.get("Proxy-Authorization")):
            return True
        self.send_error(407)
        return False

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextmanager
def small_proxy(account: str = "") -> Iterator[SmallProxy]:
    """A proxy for one test."""
    with serving(SmallProxy(account)) as proxy:
        yield proxy

"""A plain HTTP proxy that asks for a password and remembers what went through it."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.background import serving

_HOP = ("proxy-authorization", "proxy-connection", "connection", "keep-alive", "te", "transfer-encoding", "upgrade")
_SECONDS = 60


class ForwardProxy(ThreadingHTTPServer):
    """Listens on a free port of one address.

    Args:
        user: who may use it, as `name:password`.
    """

    daemon_threads = True

    def __init__(self, address: str, user: str) -> None:
        super().__init__((address, 0), _Handler)
        self.expected = f"Basic {base64.b64encode(user.encode()).decode()}"
        self.seen: list[str] = []
        self.url = f"http://{user}@{address}:{self.server_port}"

    @classmethod
    @contextmanager
    def started(cls, address: str, user: str) -> Iterator[ForwardProxy]:
        """A proxy until the end of the block."""
        with serving(cls(address, user)) as proxy:
            yield proxy


class _Handler(BaseHTTPRequestHandler):
    server: ForwardProxy

    def _forward(self) -> None:
        if self.headers.get("Proxy-Authorization") != self.server.expected:
            self.send_error(407)
            return
        self.server.seen.append(f"{self.command} {self.path}")
        target = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        connection = http.client.HTTPConnection(target.hostname or "", target.port or 80, timeout=_SECONDS)
        connection.request(self.command, target._replace(scheme="", netloc="").geturl() or "/", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in (*_HOP, "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_POST = _forward  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""

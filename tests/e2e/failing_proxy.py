"""A proxy before a server that fails at some requests: with status 500, or by hanging up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from tests.background import serving

_SECONDS = 60.0
_NOT_PASSED_ON = {"connection", "content-length", "host", "transfer-encoding", "content-encoding", "accept-encoding"}


class FailingProxy(ThreadingHTTPServer):
    """Passes requests on, save those that fail.

    Args:
        server: where to.
        fails: from method and path, whether a request fails; it is asked once for each.
        hangs_up: whether the connection is cut instead of an answer with status 500.

    Attributes:
        failed: how many requests have failed.
    """

    daemon_threads = True

    def __init__(self, server: str, fails: Callable[[str, str], bool], *, hangs_up: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server_url, self.fails, self.hangs_up = server, fails, hangs_up
        self.failed = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FailingProxy
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.fails(self.command, self.path):
            self.server.failed += 1
            self.close_connection = True
            if not self.server.hangs_up:
                self._answer(500, b"{}", {})
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_PASSED_ON}
        address = f"{self.server.server_url}{self.path}"
        answer = requests.request(
            self.command, address, data=body, headers=headers, timeout=_SECONDS, allow_redirects=False
        )
        self._answer(answer.status_code, answer.content, dict(answer.headers))

    def __getattr__(self, name: str) -> Callable[[], None]:
        """All methods are handled alike."""
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextmanager
def failing_proxy(server: str, fails: Callable[[str, str], bool], *, hangs_up: bool) -> Iterator[FailingProxy]:
    """A proxy for one test."""
    with serving(FailingProxy(server, fails, hangs_up=hangs_up)) as proxy:
        yield proxy

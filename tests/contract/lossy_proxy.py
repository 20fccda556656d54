"""A proxy between an agent and a server that loses answers: the server has heard, and the agent cannot know."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from tests.background import serving
from tests.contract.kraken_server import TIMEOUT

Message = dict[str, Any]


class LossyProxy(ThreadingHTTPServer):
    """Passes messages on.

    Args:
        server: where to.
        loses: whether the answer to a message gets lost; asked once for each that the server has answered.

    Attributes:
        heard: what the server has answered with 200.
        lost: those whose answers were lost.
    """

    daemon_threads = True

    def __init__(self, server: str, loses: Callable[[Message], bool]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server_url = server
        self.loses = loses
        self.heard: list[Message] = []
        self.lost: list[Message] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: LossyProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {"Content-Type": "application/json"}
        answer = requests.post(f"{self.server.server_url}{self.path}", body, headers=headers, timeout=TIMEOUT)
        message = json.loads(body)
        if answer.status_code == 200:
            self.server.heard.append(message)
            if self.server.loses(message):
                self.server.lost.append(message)
                return
        self.send_response(answer.status_code)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextmanager
def lossy_proxy(server: str, loses: Callable[[Message], bool]) -> Iterator[LossyProxy]:
    """A proxy for one test."""
    with serving(LossyProxy(server, loses)) as proxy:
        yield proxy

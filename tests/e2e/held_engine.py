"""The machine's own Docker engine behind a socket that keeps requests back: what is in flight stays in flight."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.tcp_relay import pass_on

_ENGINE = "/var/run/docker.sock"
_CREATE = b"POST /containers/create"
_LIST = b"GET /containers/json"


class HeldEngine:
    """A proxy before the Docker engine that can hold a request back.

    Args:
        path: of the socket.

    Attributes:
        held: set when a request for a container has come, and is kept back.
        release: to be set when it, and all others, may go on to the engine; it does so whether or not its client lives.
        lists: how often somebody has asked which containers there are.
    """

    def __init__(self, path: Path) -> None:
        self.held = threading.Event()
        self.release = threading.Event()
        self.lists = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    @contextlib.contextmanager
    def at(cls, path: Path) -> Iterator[HeldEngine]:
        """Be there until the end of the block."""
        engine = cls(path)
        try:
            yield engine
        finally:
            engine.release.set()
            engine._listener.shutdown(socket.SHUT_RDWR)
            engine._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, socket.socket(socket.AF_UNIX) as far:
            request = near.recv(65536)
            self.lists += request.startswith(_LIST)
            if request.startswith(_CREATE):
                # The request is small, and its head and its body may come apart.
                while not request.endswith(b"}"):
                    request += near.recv(65536)
                self.held.set()
                self.release.wait()
            far.connect(_ENGINE)
            far.sendall(request)
            back = threading.Thread(target=pass_on, args=(far, near))
            back.start()
            pass_on(near, far)
            back.join()

"""Passes connections on: what listens on loopback or at a path can be reached from containers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def tcp_relay(listen: str, target: str) -> Iterator[str]:
    """Listen on a free port of an address and pass every connection on to `HOST:PORT`; yields `HOST:PORT` of it."""
    host, _, port = target.rpartition(":")
    with (
        socket.create_server((listen, 0)) as listener,
        _passing(listener, lambda: socket.create_connection((host, int(port)))),
    ):
        yield f"{listen}:{listener.getsockname()[1]}"


@contextlib.contextmanager
def unix_relay(path: Path, target: str) -> Iterator[None]:
    """Listen at a path, for everybody, and pass every connection on to the socket at another."""

    def connect() -> socket.socket:
        far = socket.socket(socket.AF_UNIX)
        far.connect(target)
        return far

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen()
        with _passing(listener, connect):
            yield
    path.unlink()


@contextlib.contextmanager
def _passing(listener: socket.socket, connect: Callable[[], socket.socket]) -> Iterator[None]:
    threading.Thread(target=_accept, args=(listener, connect), daemon=True).start()
    yield
    # Closing alone would leave the thread in its accept.
    listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, connect: Callable[[], socket.socket]) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        far = connect()
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=pass_on, args=(source, sink), daemon=True).start()


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes from one side until it has ended, and say its end to the other."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)

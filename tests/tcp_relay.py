"""Passes TCP connections on: what listens on loopback only can be reached from containers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def tcp_relay(listen: str, target: str) -> Iterator[str]:
    """Listen on a free port of an address and pass every connection on to `HOST:PORT`; yields `HOST:PORT` of it."""
    host, _, port = target.rpartition(":")
    with socket.create_server((listen, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, (host, int(port))), daemon=True).start()
        yield f"{listen}:{listener.getsockname()[1]}"
        # Closing alone would leave the thread in its accept.
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, target: tuple[str, int]) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        far = socket.create_connection(target)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=pass_on, args=(source, sink), daemon=True).start()


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes from one side until it has ended, and say its end to the other."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)

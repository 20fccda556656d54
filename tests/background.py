"""What goes on in a thread beside a test, and ends with its block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socketserver import BaseServer
from typing import TypeVar

Server = TypeVar("Server", bound=BaseServer)
_JOIN_SECONDS = 60.0
_LOOK_SECONDS = 0.02


@contextmanager
def repeating(work: Callable[[], object], pause: float = 0.1) -> Iterator[None]:
    """Do something again and again.

    Args:
        pause: seconds between one time and the next.
    """
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(pause):
            work()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(_JOIN_SECONDS)


@contextmanager
def looking(look: Callable[[], None]) -> Iterator[None]:
    """Look again and again while the block runs; what a look raises is raised after the block."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(_LOOK_SECONDS):
            look()

    with ThreadPoolExecutor(1) as pool:
        looks = pool.submit(repeat)
        try:
            yield
        finally:
            over.set()
        looks.result()


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Let an HTTP server answer."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_JOIN_SECONDS)

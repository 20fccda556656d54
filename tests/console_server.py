"""The console by itself, for tests of its pages and in a browser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from kraken_fleet.web import ConsoleSettings, create_console


@contextmanager
def serving(settings: ConsoleSettings) -> Iterator[str]:
    """Serves it from a thread of this process on a free port; gives its URL."""
    with serving_application(create_console(settings)) as url:
        yield url


@contextmanager
def serving_application(application: FastAPI) -> Iterator[str]:
    """Serves one that is made already."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(5)
    listener.close()

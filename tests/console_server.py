"""The console by itself, for tests of its pages and in a browser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from kraken_fleet.listen.proxies import behind_proxies
from kraken_fleet.web import ConsoleSettings, create_console


@contextmanager
def serving(settings: ConsoleSettings, *, host: str = "127.0.0.1") -> Iterator[str]:
    """Serves it from a thread of this process on a free port; gives its URL."""
    proxies = settings.sign_on.proxies if settings.sign_on else ()
    with serving_application(create_console(settings), proxies, host) as url:
        yield url


@contextmanager
def serving_application(application: FastAPI, proxies: Sequence[str] = (), host: str = "127.0.0.1") -> Iterator[str]:
    """Serves one that is made already; on `::` it takes connections of both families, and the URL has 127.0.0.1."""
    both = host == "::"
    family = socket.AF_INET6 if both else socket.AF_INET
    listener = socket.create_server((host, 0), family=family, dualstack_ipv6=both)
    # As `kraken-fleet console` does: see kraken_fleet.listen.connections.server_config.
    config = uvicorn.Config(
        behind_proxies(application, proxies), log_level="warning", timeout_graceful_shutdown=1, proxy_headers=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(100)
    listener.close()

"""Runs the embedded server until it is told to stop."""

from __future__ import annotations

import dataclasses
import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from kraken_fleet.listen import ServerHealth
from kraken_fleet.listen.acceptor import Server
from kraken_fleet.listen.connections import Connections, server_config
from kraken_fleet.listen.peers import one_of
from kraken_fleet.server.app import Mount, create_app
from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.settings import ServerSettings
from kraken_fleet.server.sockets import BACKLOG, bind_tcp, bind_udp, host_port, outward_address


@dataclass(frozen=True, slots=True)
class Ready:
    """A server about to answer: its addresses are bound, requests wait in the socket until it runs.

    `url` and `log_addr` are as other programs can name them.
    """

    server: uvicorn.Server
    sockets: list[socket.socket]
    settings: ServerSettings
    url: str
    log_addr: str
    core: Core
    connections: Connections

    def health(self) -> ServerHealth:
        """Say how the server is at this moment; any thread may ask."""
        state, files = self.server.server_state, self.core.db.path
        return ServerHealth(
            uptime=now() - self.core.started,
            requests=state.total_requests,
            connections=self.connections.total,
            most_connections=self.connections.most,
            refused=dict(self.core.refusals.counts),
            # SQLite keeps what it has not folded in yet in files beside the database.
            database_bytes=sum(path.stat().st_size for path in files.parent.glob(f"{files.name}*")),
        )

    def run(self) -> None:
        """Serve until a signal, or until `server.should_exit` is set."""
        self.server.run(self.sockets)


def serve(
    settings: ServerSettings,
    *,
    mounts: Sequence[Mount] = (),
    on_first_password: Callable[[str], None] = lambda _password: None,
    on_ready: Callable[[Ready], None] = lambda _ready: None,
) -> None:
    """Serve in this thread until SIGINT or SIGTERM.

    Args:
        settings: port 0 and log_port 0 take free ports.
        mounts: see create_app.
        on_first_password: gets admin's random password once in the life of a data directory. Show it; nobody can
            find it out later.
        on_ready: gets the addresses once they are bound; the first request may already be sent.

    Raises:
        PortInUseError: another program has one of the two ports.
        DataDirectoryError, UsageError: see create_app.
    """
    with prepared(settings, mounts=mounts, on_first_password=on_first_password) as ready:
        on_ready(ready)
        _spare_collections()
        ready.run()


def _spare_collections() -> None:
    """Let the garbage collector leave alone what is there for good: code and tables, some hundred thousand objects.

    Each full collection looked through all of it, and agents waited for as long: half a second on a busy machine.
    """
    with _interruption_put_off():
        gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)


@contextmanager
def _interruption_put_off() -> Iterator[None]:
    """Put Ctrl-C off to the end of the block.

    Python drops an exception in what a collection calls, such as the end of an object, and KeyboardInterrupt is one.
    """
    if threading.current_thread() is not threading.main_thread():  # which is the only one that signals interrupt
        yield
        return
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught:
        signal.raise_signal(signal.SIGINT)


@contextmanager
def prepared(
    settings: ServerSettings,
    *,
    mounts: Sequence[Mount] = (),
    on_first_password: Callable[[str], None] = lambda _password: None,
) -> Iterator[Ready]:
    """Bind the addresses and build the server, without running it. Arguments and errors as serve."""
    tcp = bind_tcp(settings.host, settings.port)
    udp: socket.socket | None = None
    try:
        udp = bind_udp(settings.host, settings.log_port)
        actual = dataclasses.replace(settings, port=tcp.getsockname()[1], log_port=udp.getsockname()[1])
        app = create_app(actual, mounts=mounts, log_socket=udp, on_first_password=on_first_password)
        core: Core = app.state.core
        is_proxy = one_of(settings.proxies)
        connections = Connections(
            settings.limits, lambda peer: core.roster.is_known(peer) or is_proxy(peer), core.refusals, core.turns
        )
        config = server_config(
            app,
            connections,
            settings.proxies,
            # The program's own logging stays as it is, without a line for each poll of each agent.
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
            log_level=logging.WARNING,
            backlog=BACKLOG,
        )
        host = outward_address(settings.host)
        url = f"http://{host_port(host, actual.port)}"
        log_addr = host_port(host, actual.log_port)
        yield Ready(Server(config, connections), [tcp], actual, url, log_addr, core, connections)
    finally:
        tcp.close()
        if udp is not None:
            udp.close()

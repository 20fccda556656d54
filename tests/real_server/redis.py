"""Redis: the queue of the server's background work, on the private address."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.real_server import processes
from tests.real_server.plan import Instance

NAME = "redis"
PORT = 6379


def up(instance: Instance) -> None:
    """Start it with its own directory."""
    folder = instance.directory / NAME
    folder.mkdir(exist_ok=True, mode=0o700)
    command: list[str | Path] = [
        "/usr/bin/redis-server",
        "--bind",
        instance.private,
        "--port",
        str(PORT),
        "--dir",
        folder,
    ]
    processes.start(instance.directory, NAME, [*command, "--save", "60", "1", "--daemonize", "no"])
    processes.wait_ready(instance.directory, NAME, lambda: _answers(instance))


def down(instance: Instance) -> bool:
    """Stop it; it saves its data first."""
    return processes.stop(instance.directory, NAME)


def _answers(instance: Instance) -> bool:
    try:
        with socket.create_connection((instance.private, PORT), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False

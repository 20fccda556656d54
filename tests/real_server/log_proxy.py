"""Starts and stops the log receiver."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from tests.real_server import processes
from tests.real_server.plan import LOG_PORT, Instance

NAME = "log-receiver"


def up(instance: Instance) -> None:
    """Start it on the public address."""
    program = Path(__file__).with_name("log_receiver.py")
    command: list[str | Path] = [
        sys.executable,
        program,
        instance.bind,
        str(LOG_PORT + instance.offset),
        instance.clickhouse_url,
    ]
    processes.start(instance.directory, NAME, command)
    processes.wait_ready(instance.directory, NAME, lambda: _bound(instance))


def down(instance: Instance) -> bool:
    """Stop it."""
    return processes.stop(instance.directory, NAME)


def _bound(instance: Instance) -> bool:
    """UDP answers nothing; a port that cannot be bound is one that is listened on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((instance.bind, LOG_PORT + instance.offset))
        except OSError:
            return True
    return False

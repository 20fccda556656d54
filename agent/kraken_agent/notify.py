"""Talks to the service manager: systemd's notification protocol is a line in a datagram, no library is needed.

The protocol: sd_notify(3), systemd.service(5) `Type=notify`, `WatchdogSec=`.
"""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

    from kraken_agent.reactor import Reactor


class ServiceManager:
    """Says how the agent is doing; without a service manager it says nothing.

    Args:
        reactor: feeds the watchdog while it turns: an agent whose loop hangs is restarted.
        environment: has NOTIFY_SOCKET and WATCHDOG_USEC when there is a service manager.
    """

    def __init__(self, reactor: Reactor, environment: Mapping[str, str]) -> None:
        self._reactor = reactor
        self._target = environment.get("NOTIFY_SOCKET", "")
        self._status = ""
        microseconds = environment.get("WATCHDOG_USEC", "")
        if self._target and microseconds.isdigit() and environment.get("WATCHDOG_PID", str(os.getpid())).isdigit():
            self._interval = int(microseconds) / 2e6
            self._feed_watchdog()

    def ready(self) -> None:
        """Say that the agent is up."""
        self._send("READY=1")

    def stopping(self, seconds: float) -> None:
        """Say that the agent is going down, and may need so long."""
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int((seconds + 30) * 1e6)}")

    def status(self, text: str) -> None:
        """Set what `systemctl status` shows."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def _feed_watchdog(self) -> None:
        self._send("WATCHDOG=1")
        self._reactor.call_in(self._interval, self._feed_watchdog)

    def _send(self, text: str) -> None:
        if not self._target:
            return
        # A leading @ stands for the abstract name space, which begins with a zero byte.
        target = "\0" + self._target[1:] if self._target.startswith("@") else self._target
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.sendto(text.encode(), target)
        except OSError:
            return

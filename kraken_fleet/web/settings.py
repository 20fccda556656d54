"""What the person who starts the console decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kraken_fleet.api import Credentials
from kraken_fleet.inventory import Inventory
from kraken_fleet.listen import Limits, ServerHealth
from kraken_fleet.web.sign_on import ProxySignOn


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """How the console runs.

    Args:
        server_url: the Kraken server to talk to.
        ca_bundle: certificate authorities for an https server; None takes the usual ones.
        inventory: makes drift, matches and the Fleet page possible; None when the console was started without one.
        read_only: show everything, change nothing.
        secure_cookie: the console is reached over https, so its cookie must never travel over http.
        state_dir: where ignored agents and the fleet's history are kept.
        session_hours: after that long without a request a person signs in again.
        poll_seconds: how old the view of the server may be.
        limits: how much is taken from whom.
        name: the server's, when the console has several; it is in the name of the cookie.
        audit_dir: where the audit log is kept when nothing else names it; None for `state_dir`.
        account: the console's own, an administrator's: pages are read with it for viewers and for people whom a proxy
            names, and the latter's changes are made with it. None without one.
        viewers: people who are no administrators may look.
        sign_on: which header of which proxy says who somebody is; None when people sign in themselves.
        health: of the embedded server that the console is on; None for a console by itself.
    """

    server_url: str
    state_dir: Path
    ca_bundle: Path | None = None
    inventory: Inventory | None = None
    read_only: bool = False
    secure_cookie: bool = False
    session_hours: float = 12.0
    poll_seconds: float = 2.0
    limits: Limits = field(default_factory=Limits)
    name: str = ""
    audit_dir: Path | None = None
    account: Credentials | None = None
    viewers: bool = False
    sign_on: ProxySignOn | None = None
    health: Callable[[], ServerHealth] | None = None

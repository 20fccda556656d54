"""What the audit log says of requests: who, from where, with which account of the Kraken server."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request

from kraken_fleet import audit
from kraken_fleet.api import KrakenClient
from kraken_fleet.listen import peer_of as peer_of_scope
from kraken_fleet.model import Change
from kraken_fleet.web.console import Console


def peer_of(request: Request) -> str:
    """Say where a request comes from, for the audit log."""
    return peer_of_scope(request.scope) or "unknown"


def origin_of(request: Request, user: str) -> audit.Origin:
    """Return what the audit log says of a request."""
    return audit.Origin(user, "console", peer_of(request))


def account_of(client: KrakenClient) -> str:
    """Return whose rights a client uses."""
    return client.user or "a token"


def record(
    console: Console,
    request: Request,
    user: str,
    action: str,
    targets: Sequence[str] = (),
    *,
    result: str = "ok",
    account: str = "",
) -> None:
    """Write into the audit log what is no change of the server, such as signing in.

    Args:
        account: whose rights on the server are used; the person's own when not given.
    """
    console.log.write(
        origin_of(request, user),
        Change(action, tuple(targets), result=result),
        console.settings.server_url,
        account or user,
    )

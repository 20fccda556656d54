"""What is in front of an application: proxies that the operator names, and nobody else, say for whom they ask."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from kraken_fleet.errors import UsageError
from kraken_fleet.listen.peers import SENDER, peer_of, plain_address


def behind_proxies(app: ASGIApp, proxies: Sequence[str]) -> ASGIApp:
    """Return the application as it is reached through these proxies: only their `X-Forwarded-For` is believed.

    Args:
        proxies: addresses or networks; none when nothing is in front of it.

    Raises:
        UsageError: one of them is neither.
    """
    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            hint = "Give the proxy's IP address or network, such as 10.0.0.5 or 10.0.0.0/24"
            raise UsageError(f"{proxy!r} is no address of a proxy", where="--proxy", hint=hint) from None
    told: Any = ProxyHeadersMiddleware(app, trusted_hosts=list(proxies)) if proxies else app  # type: ignore[arg-type]

    async def with_sender(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("client"):
            # A socket for both families has IPv4 addresses in the form of IPv6: a proxy's is compared as it is named.
            host, port = scope["client"]
            scope["client"] = (plain_address(host), port)
            scope[SENDER] = peer_of(scope)
        await told(scope, receive, send)

    return with_sender

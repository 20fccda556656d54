"""Who a peer is: the other end of the connection, or whom a proxy names that the operator trusts."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

# Where the address of a connection's other end is kept in the ASGI scope of its requests.
SENDER = "kraken_fleet.sender"


def plain_address(text: str) -> str:
    """Return an IP address as it is usually written: an IPv4 address that IPv6 carries (`::ffff:10.0.0.1`) as IPv4.

    What is no address is returned as it is.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def peer_of(scope: Any) -> str | None:
    """Return the peer's address of an ASGI connection; None when it has none, or none that is an IP address.

    A proxy may have passed on what somebody else wrote, so a peer that is no address is nobody.
    """
    client = scope.get("client")
    if not client:
        return None
    address = plain_address(client[0])
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return None
    return address


def share_of(peer: str | None) -> str:
    """Return what counts as one peer when things are counted: an IPv6 host has a whole /64 to connect from."""
    if peer is None:
        return "unknown"
    address = ipaddress.ip_address(peer)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return peer


def sender_of(scope: Any) -> str | None:
    """Return the address at the other end of the connection, a proxy's if there is one; None where nobody noted it.

    Nothing in a request can say another one.
    """
    sender: str | None = scope.get(SENDER)
    return sender


def one_of(proxies: Sequence[str]) -> Callable[[str], bool]:
    """Tell whether a peer is one of these proxies: many agents speak through one connection's address then."""
    networks = [ipaddress.ip_network(proxy) for proxy in proxies]
    return lambda peer: any(ipaddress.ip_address(peer) in network for network in networks)

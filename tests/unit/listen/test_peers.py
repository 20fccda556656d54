"""Who a peer is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Scope

from kraken_fleet.errors import UsageError
from kraken_fleet.listen.peers import one_of, peer_of, plain_address, sender_of, share_of
from kraken_fleet.listen.proxies import behind_proxies


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:a00:1", "10.0.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("builder-1", "builder-1"),
    ],
)
def test_an_address_is_written_in_one_way(written: str, plain: str) -> None:
    assert plain_address(written) == plain


@pytest.mark.parametrize("said", ["-oProxyCommand=touch /tmp/x", "localhost", "10.0.0.1, 10.0.0.2", "", "10.0.0.1\n"])
def test_a_peer_that_is_no_address_is_nobody(said: str) -> None:
    assert peer_of({"client": (said, 1)}) is None
    assert peer_of({"client": None}) is None


def test_an_ipv6_host_is_counted_by_its_network() -> None:
    assert share_of("2001:db8::1") == share_of("2001:db8::2") != share_of("2001:db8:0:1::1")
    assert share_of("10.0.0.1") != share_of("10.0.0.2")


async def _told(proxies: list[str], client: str, forwarded: str) -> tuple[str | None, str | None]:
    """Whom an application behind these proxies takes for the peer, and who sent the request to it."""
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: object, _send: object) -> None:
        seen.append(scope)

    headers = [(b"x-forwarded-for", forwarded.encode())]
    scope: Scope = {"type": "http", "client": (client, 1), "headers": headers, "scheme": "http"}
    await behind_proxies(app, proxies)(scope, _never, _never)
    return peer_of(seen[0]), sender_of(seen[0])


async def _never(*_: object) -> Any:
    raise AssertionError("Nothing is read or answered here")


@pytest.mark.parametrize(
    ("proxies", "client", "peer"),
    [
        ([], "127.0.0.1", "127.0.0.1"),
        (["10.0.0.0/24"], "10.0.1.1", "10.0.1.1"),
        (["10.0.0.0/24"], "10.0.0.5", "192.0.2.7"),
        (["10.0.0.5"], "::ffff:10.0.0.5", "192.0.2.7"),
        (["2001:db8::/32"], "2001:db8::5", "192.0.2.7"),
    ],
)
def test_nobody_says_who_a_peer_is_unless_the_operator_names_him(proxies: list[str], client: str, peer: str) -> None:
    assert asyncio.run(_told(proxies, client, "192.0.2.7")) == (peer, plain_address(client))


@pytest.mark.parametrize("nonsense", ["*", "proxy.example", "", "10.0.0.0/40"])
def test_a_proxy_without_an_address_is_refused(nonsense: str) -> None:
    with pytest.raises(UsageError, match="no address of a proxy"):
        behind_proxies(_never, [nonsense])


def test_a_proxy_is_named_by_its_address_or_network() -> None:
    is_proxy = one_of(["10.0.0.5", "10.1.0.0/16", "2001:db8::/32"])
    assert [is_proxy(peer) for peer in ("10.0.0.5", "10.1.2.3", "2001:db8::1")] == [True, True, True]
    assert not is_proxy("10.0.0.6")
    assert not one_of([])("10.0.0.5")

"""Every way in which people write down a server's address."""

from __future__ import annotations

import pytest

from kraken_fleet.api.address import ServerAddress
from kraken_fleet.errors import UsageError


@pytest.mark.parametrize(
    ("text", "root", "api"),
    [
        ("kraken:6363", "http://kraken:6363", "/bk/api"),
        ("kraken", "http://kraken", "/bk/api"),
        ("10.0.0.5:6363/", "http://10.0.0.5:6363", "/bk/api"),
        ("[::1]:6363", "http://[::1]:6363", "/bk/api"),
        ("http://kraken:6363", "http://kraken:6363", "/bk/api"),
        ("http://kraken:6363/", "http://kraken:6363", "/bk/api"),
        ("http://kraken:6363/api", "http://kraken:6363", "/api"),
        ("http://kraken:6363/api/", "http://kraken:6363", "/api"),
        ("http://kraken:6363/bk", "http://kraken:6363", "/bk/api"),
        ("http://kraken:6363/bk/", "http://kraken:6363", "/bk/api"),
        ("http://kraken:6363/bk/api", "http://kraken:6363", "/bk/api"),
        ("https://ci.example.com/kraken", "https://ci.example.com/kraken", "/bk/api"),
        ("https://ci.example.com/kraken/bk/api/", "https://ci.example.com/kraken", "/bk/api"),
        ("https://ci.example.com/kraken/api", "https://ci.example.com/kraken", "/api"),
        ("  http://kraken:6363\n", "http://kraken:6363", "/bk/api"),
    ],
)
def test_reads_the_address_and_keeps_a_proxys_prefix(text: str, root: str, api: str) -> None:
    address = ServerAddress.parse(text)
    assert (address.root, address.api) == (root, root + api)


@pytest.mark.parametrize(
    "text",
    ["", "http://", "ftp://kraken", "http://kraken:port", "http://kraken:99999", "http://kraken/?a=1", "http://["],
)
def test_refuses_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="is not the address of a Kraken server"):
        ServerAddress.parse(text)


def test_refuses_a_password_in_the_address_without_repeating_it() -> None:
    with pytest.raises(UsageError, match="user or password in it") as caught:
        ServerAddress.parse("http://admin:s3cret@kraken:6363")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [("127.0.0.11:1", True), ("localhost:1", True), ("[::1]:1", True), ("10.0.0.1", False), ("kraken", False)],
)
def test_knows_this_machine(text: str, loopback: bool) -> None:
    assert ServerAddress.parse(text).is_loopback is loopback

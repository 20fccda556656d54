"""Every way in which people write down a server's address, for all who read one."""

from __future__ import annotations

import pytest

from kraken_fleet.address import ServerAddress
from kraken_fleet.errors import UsageError

PLAIN = "http://kraken:6363"
BEHIND = "https://ci.example.com/kraken"


@pytest.mark.parametrize(
    ("text", "root", "api", "agents"),
    [
        ("kraken:6363", PLAIN, "/bk/api", ""),
        ("kraken", "http://kraken", "/bk/api", ""),
        ("10.0.0.5:6363/", "http://10.0.0.5:6363", "/bk/api", ""),
        ("[::1]:6363", "http://[::1]:6363", "/bk/api", ""),
        (PLAIN, PLAIN, "/bk/api", ""),
        (f"{PLAIN}/", PLAIN, "/bk/api", ""),
        (f"{PLAIN}/api", PLAIN, "/api", ""),
        (f"{PLAIN}/api/", PLAIN, "/api", ""),
        (f"{PLAIN}/bk", PLAIN, "/bk/api", "/bk/"),
        (f"{PLAIN}/bk/", PLAIN, "/bk/api", "/bk/"),
        (f"{PLAIN}/bk/api", PLAIN, "/bk/api", "/bk/"),
        (BEHIND, BEHIND, "/bk/api", "/"),
        (f"{BEHIND}/bk/api/", BEHIND, "/bk/api", "/bk/"),
        (f"{BEHIND}/api", BEHIND, "/api", "/"),
        (f"  {PLAIN}\n", PLAIN, "/bk/api", ""),
    ],
)
def test_reads_the_address_and_keeps_a_proxys_prefix(text: str, root: str, api: str, agents: str) -> None:
    address = ServerAddress.parse(text)
    assert (address.root, address.api, address.agents) == (root, root + api, root + agents)
    assert address.install_script == f"{root}/bk/install/kraken-agent-install.sh"
    again = ServerAddress.parse(address.agents)
    assert (again.root, again.agents) == (address.root, address.agents)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("kraken", "kraken", 80),
        ("https://kraken", "kraken", 443),
        ("[::1]:6363", "::1", 6363),
        (BEHIND, "ci.example.com", 443),
    ],
)
def test_knows_host_and_port(text: str, host: str, port: int) -> None:
    address = ServerAddress.parse(text)
    assert (address.host, address.port) == (host, port)


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

"""Rules that allow only an inventory's agents at a server's agent endpoint."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from kraken_fleet.errors import UsageError
from kraken_fleet.model import DesiredAgent, DesiredFleet
from kraken_fleet.network.firewall import AllowList, allow_list, nftables_rules, nginx_rules


def fleet(*addresses: str, complete: bool = True) -> DesiredFleet:
    agents = tuple(DesiredAgent(f"host-{index}", address) for index, address in enumerate(addresses))
    return DesiredFleet(agents, complete)


ALLOWED = allow_list(fleet("10.0.0.12", "10.0.0.2", "2001:db8::5", "unknown.example"), ["192.0.2.0/24"])


def test_each_address_is_there_once_in_order_and_unknown_agents_are_named() -> None:
    again = allow_list(fleet("::ffff:10.0.0.2", "10.0.0.2", "10.0.0.1"), ["10.0.0.1/32", "::ffff:192.0.2.0/120"])
    assert [str(network) for network in again.networks] == ["10.0.0.1/32", "10.0.0.2/32", "192.0.2.0/24"]
    assert ALLOWED.unknown == ("host-3",)
    assert [str(network) for network in ALLOWED.networks] == [
        "10.0.0.2/32",
        "10.0.0.12/32",
        "192.0.2.0/24",
        "2001:db8::5/128",
    ]


@pytest.mark.parametrize(
    ("asked", "besides", "reason"),
    [
        (fleet("10.0.0.1", complete=False), [], "need all agents"),
        (fleet("a-name"), [], "would allow nobody"),
        (fleet(), [], "would allow nobody"),
        (fleet("10.0.0.1"), ["10.0.0.1; drop"], "neither an address nor a network"),
        (fleet("10.0.0.1"), ["192.0.2.1/24"], "neither an address nor a network"),
    ],
)
def test_what_would_lock_out_or_let_in_too_much_is_refused(
    asked: DesiredFleet, besides: list[str], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        allow_list(asked, besides)


def test_nginx_closes_both_endpoints_and_nothing_else() -> None:
    inside = (
        "    allow 10.0.0.2;\n    allow 10.0.0.12;\n    allow 192.0.2.0/24;\n    allow 2001:db8::5;\n    deny all;\n"
        "    proxy_pass http://127.0.0.1:6363;\n"
    )
    text = nginx_rules(ALLOWED, "http://127.0.0.1:6363")
    assert text.partition("\n")[2] == f"location /backend {{\n{inside}}}\nlocation /bk/backend {{\n{inside}}}\n"


def test_nftables_drops_others_at_both_ports() -> None:
    text = nftables_rules(ALLOWED, 8080, 9009)
    assert "elements = { 10.0.0.2, 10.0.0.12, 192.0.2.0/24 }" in text
    assert "elements = { 2001:db8::5 }" in text
    assert "ip saddr != @agents4 meta l4proto . th dport { tcp . 8080, udp . 9009 } drop" in text
    assert "ip6 saddr != @agents6 meta l4proto . th dport { tcp . 8080, udp . 9009 } drop" in text
    assert text.index("delete table inet kraken_fleet") < text.index("set agents4"), "it replaces what was there"


@pytest.mark.parametrize("allowed", [ALLOWED, allow_list(fleet("10.0.0.1")), allow_list(fleet("::1"))])
def test_nft_takes_the_rules(allowed: AllowList) -> None:
    if (
        not shutil.which("nft")
        or subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=False).returncode
    ):
        pytest.skip("nft is not here, or may not look at the rules of this machine")
    done = subprocess.run(
        ["nft", "-c", "-f", "-"], input=nftables_rules(allowed), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

"""What a lab in LXD works out by itself; the rest needs a daemon, see tests/e2e/test_lxd_lab.py."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from kraken_fleet.errors import LabError
from kraken_fleet.lab.driver import load_driver
from kraken_fleet.lab.lxd_engine import free_subnet

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


def routes(*networks: str) -> str:
    """As /proc/net/route has them on a little-endian machine."""
    lines = []
    for text in networks:
        network = IPv4Network(text)
        destination, mask = (int.from_bytes(a.packed, "little") for a in (network.network_address, network.netmask))
        lines.append(f"eth0\t{destination:08X}\t00000000\t0001\t0\t0\t0\t{mask:08X}\t0\t0\t0\n")
    return HEAD + "".join(lines)


@pytest.fixture(autouse=True)
def _little_endian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.byteorder", "little")


def test_the_default_route_leaves_all_networks_free() -> None:
    assert free_subnet(routes("0.0.0.0/0")).subnet_of(IPv4Network("10.0.0.0/8"))


def test_a_network_with_a_route_is_not_taken() -> None:
    free = IPv4Network("10.64.0.0/10")
    taken = [str(each) for each in IPv4Network("10.0.0.0/8").address_exclude(free)]
    assert free_subnet(routes("0.0.0.0/0", "192.168.0.0/16", *taken)).subnet_of(free)


def test_where_every_network_has_a_route_it_says_so() -> None:
    with pytest.raises(LabError, match="no free network"):
        free_subnet(routes("10.0.0.0/8"))


def test_a_machine_without_the_daemon_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LXD_DIR", "/nonexistent")
    with pytest.raises(LabError, match="There is no LXD daemon") as caught:
        load_driver("lxd")
    assert "apt-get install lxd" in str(caught.value)

"""Rules that allow only an inventory's agents at a server's agent endpoint. Pure: nothing is looked up or changed.

A real Kraken server asks nobody at `/backend` who he is, and takes log records over UDP from anybody. The rules name
addresses only: a name of the inventory is somebody's text, and has no place in a firewall's file.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from kraken_fleet.errors import UsageError
from kraken_fleet.model import DesiredFleet

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# As Kraken's Compose project has them: the server's port, and that of the log proxy in front of ClickHouse.
SERVER_PORT = 6363
LOG_PORT = 9001
_ENDPOINTS = ("/backend", "/bk/backend")


@dataclass(frozen=True, slots=True)
class AllowList:
    """Who may reach the endpoint.

    Args:
        networks: the agents' addresses, and what was named besides; IPv4 first, each once.
        unknown: labels of the agents whose address is not known.
    """

    networks: tuple[Network, ...]
    unknown: tuple[str, ...] = ()

    def of_version(self, version: int) -> tuple[Network, ...]:
        return tuple(network for network in self.networks if network.version == version)


def allow_list(fleet: DesiredFleet, besides: Iterable[str] = ()) -> AllowList:
    """Gather the addresses of a fleet.

    Args:
        fleet: all of it. An agent whose address is a name is unknown.
        besides: more addresses and networks, such as that of a NAT that agents are behind.

    Raises:
        UsageError: one of these is neither; the fleet is only a slice; or nobody would be allowed.
    """
    if not fleet.complete:
        raise UsageError(
            "The rules need all agents of the inventory, and --limit has chosen some", hint="Leave out --limit"
        )
    found = {_named(text) for text in besides}
    unknown = []
    for agent in fleet.agents:
        try:
            # An address only: a network as an agent's address would admit every host in it.
            found.add(_network(str(ipaddress.ip_address(agent.address))))
        except ValueError:
            unknown.append(agent.label)
    if not found:
        hint = "Set kraken_agent_address of the hosts"
        raise UsageError("No agent has an address that is known, so the rules would allow nobody", hint=hint)
    ordered = sorted(found, key=lambda one: (one.version, int(one.network_address), one.prefixlen))
    return AllowList(tuple(ordered), tuple(unknown))


def nginx_rules(allowed: AllowList, upstream: str) -> str:
    """Write locations for the block `server` of nginx.

    Args:
        upstream: where the server itself is, for `proxy_pass`; a URL without a path.
    """
    allows = [f"    allow {_text(network)};" for network in allowed.networks]
    lines = ["# Made by kraken-fleet firewall: include it in the block `server`."]
    for endpoint in _ENDPOINTS:
        lines += [f"location {endpoint} {{", *allows, "    deny all;", f"    proxy_pass {upstream};", "}"]
    return "\n".join(lines) + "\n"


def nftables_rules(allowed: AllowList, port: int = SERVER_PORT, log_port: int = LOG_PORT) -> str:
    """Write a table for `nft -f`, which replaces the one of before in one step.

    It looks at packets before the ports of containers are translated, and only drops some: other tables decide about
    the rest.
    """
    ports = f"meta l4proto . th dport {{ tcp . {port}, udp . {log_port} }}"
    lines = [
        "# Made by kraken-fleet firewall: load it with `nft -f`. `nft delete table inet kraken_fleet` takes it away.",
        # `delete table` fails for a table that is not there, so the line before declares it. nft applies a file whole
        # or not at all.
        "table inet kraken_fleet",
        "delete table inet kraken_fleet",
        "table inet kraken_fleet {",
    ]
    for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        lines += [f"    set agents{version} {{", f"        type {kind}", "        flags interval", "        auto-merge"]
        if networks := allowed.of_version(version):
            lines.append(f"        elements = {{ {', '.join(map(_text, networks))} }}")
        lines.append("    }")
    lines += [
        "    chain agent_endpoint {",
        # Docker translates the ports that it publishes at priority -100; afterwards the packet has the container's
        # port.
        "        type filter hook prerouting priority -150; policy accept;",
        '        iifname "lo" accept',
        # Packets that this host only forwards are for somebody else's server.
        "        fib daddr type != local accept",
        f"        ip saddr != @agents4 {ports} drop",
        f"        ip6 saddr != @agents6 {ports} drop",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _network(text: str) -> Network:
    """Read an address or a network; IPv4 within IPv6 is IPv4.

    Raises:
        ValueError: it is neither.
    """
    network = ipaddress.ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped and network.prefixlen >= 96:
        return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _named(text: str) -> Network:
    try:
        return _network(text)
    except ValueError as error:
        hint = "Write an IP address, or a network such as 192.0.2.0/24"
        raise UsageError(f"{text!r} is neither an address nor a network: {error}", hint=hint) from error


def _text(network: Network) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)

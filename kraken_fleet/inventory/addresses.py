"""Which address a host's agent claims, and that no two agents share one."""

from __future__ import annotations

import ipaddress
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory.variables import DETECTED_VARIABLE, read
from kraken_fleet.model import DesiredAgent

# A name to its IP address; OSError when there is none.
Resolver = Callable[[str], str]
_ADDRESS_VARIABLE = "kraken_agent_address"


def resolve_name(name: str) -> str:
    """Return the first IPv4 address of a name, else its first IPv6 one.

    Raises:
        OSError: the name is unknown.
    """
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    found.sort(key=lambda item: item[0] != socket.AF_INET)
    return str(found[0][4][0])


def set_address(host: str, variables: Mapping[str, object]) -> str | None:
    """Return the address that somebody has said or seen: kraken_agent_address, or the one found on the host.

    Raises:
        InventoryError: a variable is not an IP address.
    """
    for name in (_ADDRESS_VARIABLE, DETECTED_VARIABLE):
        if (value := read(host, variables, name)) is not None:
            return str(value)
    return None


def known_address(host: str, variables: Mapping[str, object]) -> str | None:
    """Return the address that is set, else ansible_host if it is an IP address.

    Raises:
        InventoryError: a variable is not an IP address.
    """
    return set_address(host, variables) or _ip(connection_name(host, variables))


def connection_name(host: str, variables: Mapping[str, object]) -> str:
    """Return what Ansible connects to."""
    return str(variables.get("ansible_host") or host)


def resolve_all(names: Mapping[str, str], resolve: Resolver) -> dict[str, str]:
    """Resolve the addresses of hosts that are known by name only, side by side.

    Args:
        names: host to the name that Ansible connects to.

    Raises:
        InventoryError: one has no address.
    """
    if not names:
        return {}
    with ThreadPoolExecutor(max_workers=min(16, len(names))) as pool:
        found = pool.map(lambda host: _resolved(host, names[host], resolve), names)
        return dict(zip(names, found, strict=True))


def unsure_hosts(hostvars: Mapping[str, Mapping[str, object]], resolve: Resolver = resolve_name) -> list[str]:
    """Return the hosts that have to be asked which address their agent claims.

    What Ansible connects to is no such address when it is unknown, when it is this very machine, or when several hosts
    are reached through it.

    Raises:
        InventoryError: a variable is not an IP address.
    """
    # Each instance names its own address, so hosts with instances need not be asked.
    single = {host: found for host, found in hostvars.items() if found.get("kraken_agent_instances") is None}
    known = {host: address for host, found in single.items() if (address := set_address(host, found))}
    names = {host: connection_name(host, found) for host, found in single.items() if host not in known}
    with ThreadPoolExecutor(max_workers=16) as pool:
        reached = dict(zip(names, pool.map(lambda name: _reached(name, resolve), names.values()), strict=True))
    uses = Counter([*known.values(), *reached.values()])
    return [
        host
        for host, address in reached.items()
        if not address or uses[address] > 1 or ipaddress.ip_address(address).is_loopback
    ]


def _reached(name: str, resolve: Resolver) -> str:
    """Return the IP address that Ansible connects to; empty when nobody knows it."""
    try:
        return _ip(name) or resolve(name)
    except OSError:
        return ""


def refuse_shared(agents: Iterable[DesiredAgent]) -> None:
    """Refuse two agents with one address, which are one agent to the server.

    Raises:
        InventoryError: it names both.
    """
    seen: dict[str, DesiredAgent] = {}
    for agent in agents:
        other = seen.setdefault(agent.address, agent)
        if other is not agent:
            raise InventoryError(
                f"{other.label} and {agent.label} have the same address {agent.address}; "
                "a Kraken server would take them for one agent",
                host=agent.host,
                variable="kraken_agent_instances" if agent.instance else _ADDRESS_VARIABLE,
                hint="Give each its own address",
            )


def _resolved(host: str, name: str, resolve: Resolver) -> str:
    try:
        return resolve(name)
    except OSError as error:
        raise InventoryError(
            f"The name {name!r} has no address ({error.strerror or error})",
            host=host,
            variable=_ADDRESS_VARIABLE,
            hint="Set kraken_agent_address to the address that the agent shows to the server",
        ) from error


def _ip(value: str) -> str | None:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return None

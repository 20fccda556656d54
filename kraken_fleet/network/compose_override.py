"""Plans extra agents beside a Kraken server that runs under Docker Compose.

Kraken knows an agent by its address, so each container needs a fixed one, which needs an IPAM subnet on `lab_net`.
Everything goes into an override file; the user's own compose file is only read.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kraken_fleet.errors import NetworkError
from kraken_fleet.network.compose_file import ComposeFile

LAB_NETWORK = "lab_net"
BUILTIN_AGENT = "agent"
DEPENDS_ON = ("server", "minio", "clickhouse-proxy")
DOCKER_SOCKET = "/var/run/docker.sock"
# As in plugins/module_utils/host/container.py.
_IMAGE_DATA = "/opt/kraken/data"
_MEMORY = ("/tmp:exec,mode=1777", "/var/tmp:exec,mode=1777")  # noqa: S108 - in a container of its own
_OF_ENV_FILE = ("KRAKEN_CLICKHOUSE_ADDR", "KRAKEN_SERVER_ADDR")

IPv4Network = ipaddress.IPv4Network
IPv4Address = ipaddress.IPv4Address


@dataclass(frozen=True, slots=True)
class AgentService:
    """One extra agent.

    Args:
        name: the compose service's name.
        address: its fixed IPv4 address on `lab_net`.
        environment: its variables; the server's and ClickHouse's address are the env file's when they are not in it.
        docker_socket: mount the engine's socket, so that jobs may use the Docker executor.
        tools_dirs: directories of the host that it finds at the same place, for reading only.
        restart: when Docker starts it again.
        stop_seconds: how long it may take to stop.
        labels: of its container.
    """

    name: str
    address: str
    environment: Mapping[str, str] = field(default_factory=dict)
    docker_socket: bool = False
    tools_dirs: Sequence[str] = ()
    restart: str = "unless-stopped"
    # The default of kraken_agent_drain_seconds, and half a minute to report how the job ended.
    stop_seconds: int = 330
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ComposeOverride:
    """What to write and what must happen for it to take effect.

    Args:
        content: the override file as data.
        network: the Docker network's real name (`PROJECT_lab_net`).
        subnet: the subnet that the network must have.
        recreate_network: the network exists with another subnet, so it has to go down and be made anew.
    """

    content: Mapping[str, Any]
    network: str
    subnet: str
    recreate_network: bool


def plan_override(
    compose: ComposeFile,
    agents: Sequence[AgentService],
    *,
    subnet: str,
    image: str,
    other_subnets: Mapping[str, str],
    current_subnet: str | None,
) -> ComposeOverride:
    """Work out the override file, refusing what could not run before anything is stopped.

    Args:
        compose: the server's compose file.
        agents: the extra agents.
        subnet: the IPAM subnet for `lab_net`, in CIDR notation.
        image: the agent image, with its version.
        other_subnets: subnets of every other network of the engine, by network name.
        current_subnet: what `lab_net` has now; None when it does not exist.

    Raises:
        NetworkError: names or addresses clash, an address is outside the subnet or taken by the bridge, the subnet
            overlaps another network's or is too small, or the compose file has no `lab_net`.
    """
    if not agents:
        hint = "Name some, or set kraken_agent_state to absent"
        raise NetworkError("There is no agent to run", where="kraken_agent_instances", hint=hint)
    definition = compose.network(LAB_NETWORK)
    network = _parse_subnet(subnet)
    _refuse_overlap(network, other_subnets)
    _refuse_taken_names(compose, agents)
    _refuse_bad_addresses(network, compose, agents)
    project_network = str(definition.get("name") or f"{compose.project}_{LAB_NETWORK}")
    return ComposeOverride(
        content=override_content(agents, str(network), image),
        network=project_network,
        subnet=str(network),
        recreate_network=current_subnet is not None and current_subnet != str(network),
    )


def _parse_subnet(subnet: str) -> IPv4Network:
    try:
        return IPv4Network(subnet)
    except ValueError as error:
        raise NetworkError(f"{subnet!r} is not an IPv4 subnet: {error}", where="kraken_compose_subnet") from error


def _refuse_overlap(network: IPv4Network, other_subnets: Mapping[str, str]) -> None:
    for name, other in sorted(other_subnets.items()):
        parsed = ipaddress.ip_network(other, strict=False)
        if isinstance(parsed, IPv4Network) and network.overlaps(parsed):
            raise NetworkError(
                f"{network} overlaps {other} of network {name}",
                where="kraken_compose_subnet",
                hint="Choose a subnet that no network of this engine uses",
            )


def _refuse_taken_names(compose: ComposeFile, agents: Iterable[AgentService]) -> None:
    seen: set[str] = set()
    for agent in agents:
        if agent.name in compose.services:
            raise NetworkError(
                f"The compose file has a service {agent.name!r} already",
                where=str(compose.path),
                hint="Give the extra agent another name",
            )
        if agent.name in seen:
            raise NetworkError(f"Two extra agents are named {agent.name!r}", where="kraken_compose_agents")
        seen.add(agent.name)


def _refuse_bad_addresses(network: IPv4Network, compose: ComposeFile, agents: Sequence[AgentService]) -> None:
    # The first host address is the bridge's own; every service on lab_net without a fixed address takes the next one.
    fixed = _fixed_addresses(compose)
    others = sum(LAB_NETWORK in _networks_of(definition) for definition in compose.services.values())
    needed = 1 + others + len(agents)
    usable = max(network.num_addresses - 2, 0)
    if usable < needed:
        raise NetworkError(
            f"{network} has {usable} host addresses and {needed} are needed",
            where="kraken_compose_subnet",
            hint="Choose a larger subnet",
        )
    dynamic = [network.network_address + 2 + number for number in range(others - len(fixed))]
    taken = dict.fromkeys(dynamic, "the server's services, to which Docker gives the first addresses of a network")
    taken |= fixed | {network.network_address + 1: "the bridge itself"}
    for agent in agents:
        address = _parse_address(agent)
        if address not in network or address in (network.network_address, network.broadcast_address):
            raise NetworkError(
                f"{agent.name}: {address} is not a host address of {network}", where="kraken_compose_agents"
            )
        if address in taken:
            raise NetworkError(
                f"{agent.name}: {address} is taken by {taken[address]}",
                where="kraken_compose_agents",
                hint="Every agent needs an address of its own: it is how Kraken knows it",
            )
        taken[address] = agent.name


def _parse_address(agent: AgentService) -> IPv4Address:
    try:
        return IPv4Address(agent.address)
    except ValueError as error:
        raise NetworkError(f"{agent.name}: {error}", where="kraken_compose_agents") from error


def _networks_of(definition: Mapping[str, Any] | None) -> Mapping[str, Any]:
    networks = (definition or {}).get("networks") or {}
    return networks if isinstance(networks, dict) else dict.fromkeys(networks)


def _fixed_addresses(compose: ComposeFile) -> dict[IPv4Address, str]:
    fixed: dict[IPv4Address, str] = {}
    for name, definition in compose.services.items():
        entry = _networks_of(definition).get(LAB_NETWORK) or {}
        if "ipv4_address" in entry:
            fixed[IPv4Address(entry["ipv4_address"])] = f"service {name}"
    return fixed


def override_content(agents: Sequence[AgentService], subnet: str, image: str) -> dict[str, Any]:
    """Write an override file as data, without a look at the project that it is for."""
    return {
        "services": {agent.name: _service(agent, image) for agent in agents},
        "networks": {LAB_NETWORK: {"driver": "bridge", "ipam": {"config": [{"subnet": subnet}]}}},
    }


def _service(agent: AgentService, image: str) -> dict[str, Any]:
    # Names without a value are taken from the env file, as Kraken's own agent service does. KRAKEN_AGENT_BUILTIN is
    # the built-in agent's alone: the server would take a second one for the same agent.
    environment = [name for name in _OF_ENV_FILE if name not in agent.environment]
    # Compose replaces what a single dollar sign begins.
    environment += [f"{name}={value.replace('$', '$$')}" for name, value in sorted(agent.environment.items())]
    service: dict[str, Any] = {
        "image": image,
        "restart": agent.restart,
        "stop_grace_period": f"{agent.stop_seconds}s",
        "environment": environment,
        "networks": {LAB_NETWORK: {"ipv4_address": agent.address}},
        "depends_on": list(DEPENDS_ON),
    }
    if agent.labels:
        service["labels"] = dict(agent.labels)
    volumes: list[Any] = [f"{DOCKER_SOCKET}:{DOCKER_SOCKET}"] if agent.docker_socket else []
    volumes += [{"type": "bind", "source": path, "target": path, "read_only": True} for path in agent.tools_dirs]
    if agent.environment.get("KRAKEN_AGENT_ONE_JOB") == "yes":
        # When the engine starts the container again, nothing of the job is left.
        data = agent.environment.get("KRAKEN_DATA_DIR", _IMAGE_DATA)
        volumes.append(data)
        environment += [] if "HOME" in agent.environment else [f"HOME={data}/home"]
        service |= {"read_only": True, "tmpfs": list(_MEMORY)}
    if volumes:
        service["volumes"] = volumes
    return service

"""The address by which the agent in a container introduces itself, and the server's as that agent wants to have it.

kraken-fleet's own agent claims the address that it is told. Kraken's own one claims the address of the interface that
reaches the server: in the host's network one of the host's, in another network the container's.
So its network also decides whether it can run Docker jobs.
"""

from __future__ import annotations

from typing import Any, Mapping
from urllib.parse import urlsplit

from .changes import HostError
from .setting import UPSTREAM
from .spec import source_address

# Docker's own networks: in none of them can a container have the address that somebody asks for.
_OWN_NETWORKS = ("bridge", "default", "host", "none")


def address_of(params: Mapping[str, Any], agent: str) -> str:
    """Return the address that the agent claims; empty while nobody knows it.

    Raises:
        HostError: another one is wanted than Kraken's own agent would claim.
    """
    on_host = source_address(params["server_url"]) if params["network"] == "host" else ""
    wanted = str(params["address"])
    if agent == UPSTREAM and wanted and on_host and wanted != on_host:
        raise HostError(
            f"kraken_agent_address is {wanted}, and Kraken's own agent claims {on_host}, the address of "
            "the interface that reaches the server. Take kraken_agent_address out, or use an image of kraken-fleet's"
        )
    return wanted or on_host


def fixed_address(network: str, address: str, agent: str) -> str:
    """Return the address that Docker is to give a container, so that its agent claims that one; empty for any."""
    choosable = network not in _OWN_NETWORKS and not network.startswith("container:")
    return address if agent == UPSTREAM and choosable else ""


def address_in_network(container: Mapping[str, Any]) -> str:
    """Return the address that a container has in its own network; empty in the host's, and while it is stopped."""
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    # Kraken's own agent joins another network for Docker jobs, and keeps the address that it has in this one.
    mode = str(container["HostConfig"]["NetworkMode"])
    own = networks.get("bridge" if mode == "default" else mode) or {}
    return str(own.get("IPAddress") or "")


def refuse_other_address(container: Mapping[str, Any], address: str) -> None:
    """Refuse a container of Kraken's own agent that has another address than the inventory says.

    Args:
        container: what Docker says of it.
        address: the one that the inventory says.

    Raises:
        HostError: it has another one.
    """
    given = address_in_network(container)
    if given and given != address:
        raise HostError(
            f"kraken_agent_address is {address or 'not set'}, and Docker gave the container the address {given}, which "
            f"Kraken's own agent claims. Set kraken_agent_address to {given}. For an address that stays, "
            "set kraken_agent_container_network to a network of your own that has a subnet (docker network create "
            "--subnet): there the container gets the address that the inventory says"
        )


def refuse_docker_jobs_in_host_network(params: Mapping[str, Any]) -> None:
    """Refuse the engine's socket where Kraken's own agent would offer Docker jobs and could run none.

    It joins its container to the network lab_net, which Docker refuses there, and looks for it under the host's name.
    The server gives it the job that failed again and again, until the job's time is over.

    Raises:
        HostError: it is asked for.
    """
    if params["network"] == "host" and params["docker_socket"]:
        raise HostError(
            "Kraken's own agent cannot run Docker jobs in the network host, and would take them all the same. Set "
            "kraken_agent_container_network to a network of your own that has a subnet (docker network create "
            "--subnet), with kraken_agent_address in it, or kraken_agent_docker_socket to false"
        )


def host_and_port(server: str) -> str:
    """Write a server's address as the command of Kraken's own image has it.

    Raises:
        HostError: the server is reached over https, which that command cannot say.
    """
    parts = urlsplit(server if "://" in server else f"http://{server}")
    if parts.scheme != "http":
        raise HostError(
            f"the command of Kraken's own image reaches its server over http only, and kraken_server_url is {server}. "
            "Use an image of kraken-fleet's (`kraken-fleet bundle image`), or another kraken_agent_install_method"
        )
    return parts.netloc

"""Asks a Docker engine, here or over SSH, which ports and subnets it has. The only module of network/ that does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kraken_fleet.errors import NetworkError
from kraken_fleet.network.addresses import PublishedPort

_SERVICE_LABEL = "com.docker.compose.service"
_PROJECT_LABEL = "com.docker.compose.project"


@contextmanager
def engine(url: str | None = None) -> Iterator[Any]:
    """Open a Docker engine.

    Args:
        url: `unix://…`, `tcp://…` or `ssh://user@host`; None takes DOCKER_HOST or the local socket.

    Raises:
        NetworkError: the docker package is not installed, or no engine answers.
    """
    try:
        import docker
        from docker.errors import DockerException
    except ImportError as error:
        raise NetworkError(
            "Looking at containers needs the Python package docker",
            hint="Install kraken-fleet[docker]; for ssh:// also kraken-fleet[ssh]",
        ) from error
    failures: tuple[type[Exception], ...] = (DockerException, OSError, *_ssh_errors())
    try:
        client = docker.DockerClient(base_url=url) if url else docker.from_env()
        client.ping()
    except failures as error:
        over_ssh = (url or "").startswith("ssh://")
        raise NetworkError(
            f"No Docker engine answers: {error}",
            where=url or "local engine",
            hint="Check that `ssh` to this host asks nothing, and that `docker version` works there"
            if over_ssh
            else "Check that the engine runs and that this user may use its socket",
        ) from error
    try:
        yield client
    finally:
        client.close()


def _ssh_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the package that the docker package speaks SSH with, which it passes on unchanged."""
    try:
        from paramiko import SSHException
    except ImportError:
        return ()
    return (SSHException,)


def published_ports(client: Any, project: str | None = None) -> tuple[PublishedPort, ...]:
    """Return every published port of the running containers that compose started.

    Args:
        client: from `engine()`.
        project: only this compose project; None takes every project.
    """
    label = f"{_PROJECT_LABEL}={project}" if project else _SERVICE_LABEL
    containers = client.containers.list(filters={"label": label})
    return tuple(port for container in containers for port in _ports_of(container))


def subnets(client: Any) -> dict[str, str]:
    """Return the first IPv4 subnet of every network of the engine, by network name."""
    found: dict[str, str] = {}
    for network in client.networks.list():
        for entry in (network.attrs.get("IPAM") or {}).get("Config") or []:
            if "." in entry.get("Subnet", ""):
                found.setdefault(network.name, entry["Subnet"])
    return found


def _ports_of(container: Any) -> Iterator[PublishedPort]:
    service = container.labels.get(_SERVICE_LABEL, "")
    for inside, bindings in (container.ports or {}).items():
        port, _, protocol = inside.partition("/")
        # A port that is exposed but not published has None in place of its bindings.
        for binding in bindings or []:
            yield PublishedPort(service, int(port), protocol, binding.get("HostIp", ""), int(binding["HostPort"]))

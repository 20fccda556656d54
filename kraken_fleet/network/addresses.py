"""Chooses the addresses of the ClickHouse proxy and MinIO from what is known, and says why.

Three sources, in order of trust: the containers that run now, the compose file that they were started from, and
the server's own settings, which are right only when the server's network is also the agents' network.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from kraken_fleet.errors import NetworkError

# Service names and protocols in Kraken's docker-compose.yaml (1.x).
CLICKHOUSE_PROXY = "clickhouse-proxy"
MINIO = "minio"
PROTOCOLS = {CLICKHOUSE_PROXY: "udp", MINIO: "tcp"}


class Source(StrEnum):
    """Who says so, most trusted first."""

    CONTAINERS = "containers"
    COMPOSE_FILE = "compose file"
    SETTINGS = "server settings"


TRUST = tuple(Source)


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """One port of a service that is published on the container host.

    Args:
        service: the compose service.
        container_port: the port inside the container.
        protocol: `tcp` or `udp`.
        host_ip: the host address it is bound to; empty or 0.0.0.0 means every address.
        host_port: the port on the host.
    """

    service: str
    container_port: int
    protocol: str
    host_ip: str
    host_port: int

    @property
    def loopback_only(self) -> bool:
        try:
            return ipaddress.ip_address(self.host_ip).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """An address as kraken.env wants it (`host:port`), with its source and the reason that it was chosen."""

    address: str
    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class ServiceAddresses:
    """What goes into KRAKEN_CLICKHOUSE_ADDR and KRAKEN_MINIO_ADDR; None means that nobody could say."""

    clickhouse: ServiceAddress | None
    minio: ServiceAddress | None

    def as_dict(self) -> dict[str, dict[str, str] | None]:
        return {
            "clickhouse": asdict(self.clickhouse) if self.clickhouse else None,
            "minio": asdict(self.minio) if self.minio else None,
        }


def from_published_ports(ports: Iterable[PublishedPort], docker_host: str, source: Source) -> ServiceAddresses:
    """Turn published ports into addresses that hosts elsewhere can use.

    Args:
        ports: what the container host publishes.
        docker_host: how agents reach the container host, a name or an IP address.
        source: whether running containers or a compose file said so.

    Raises:
        NetworkError: a service is published on the loopback address only, so no other host can ever reach it.
    """
    known = list(ports)
    return ServiceAddresses(
        clickhouse=_published(known, CLICKHOUSE_PROXY, docker_host, source),
        minio=_published(known, MINIO, docker_host, source),
    )


def from_containers(ports: Iterable[PublishedPort], docker_host: str) -> ServiceAddresses:
    """Return the same for ports read from running containers."""
    return from_published_ports(ports, docker_host, Source.CONTAINERS)


def from_settings(settings: Mapping[str, Mapping[str, object]]) -> ServiceAddresses:
    """Read the addresses that the server itself hands out (`GET /settings`, section `general`)."""
    general = settings.get("general", {})
    return ServiceAddresses(
        clickhouse=_setting(general, "clickhouse_addr"),
        minio=_setting(general, "minio_addr"),
    )


def choose(sources: Iterable[tuple[Source, ServiceAddresses]]) -> ServiceAddresses:
    """Take each address from the most trusted source that knows it, and say which others differ."""
    ranked = sorted(sources, key=lambda each: TRUST.index(each[0]))
    return ServiceAddresses(
        clickhouse=_first([found.clickhouse for _, found in ranked]),
        minio=_first([found.minio for _, found in ranked]),
    )


def _published(ports: list[PublishedPort], service: str, docker_host: str, source: Source) -> ServiceAddress | None:
    matching = [port for port in ports if port.service == service and port.protocol == PROTOCOLS[service]]
    if not matching:
        return None
    # MinIO publishes its console as well, on the next higher port: the API is the lower one.
    port = min(matching, key=lambda candidate: candidate.container_port)
    if port.loopback_only:
        raise NetworkError(
            f"{service} is published on {port.host_ip}:{port.host_port}, which no other host can reach",
            where=str(source),
            hint="Publish it on an address of that host in the compose file",
        )
    return ServiceAddress(
        address=_join(docker_host, port.host_port),
        source=source,
        reason=f"{source}: {service} {port.container_port}/{port.protocol} is published on port {port.host_port}",
    )


def _setting(general: Mapping[str, object], key: str) -> ServiceAddress | None:
    value = str(general.get(key) or "")
    if not value:
        return None
    host = value.rpartition(":")[0] or value
    doubt = (
        ""
        if "." in host or ":" in host
        else f"; {host!r} looks like a container's name, agents elsewhere may not know it"
    )
    return ServiceAddress(value, Source.SETTINGS, f"{Source.SETTINGS}: general.{key}{doubt}")


def _first(candidates: list[ServiceAddress | None]) -> ServiceAddress | None:
    known = [candidate for candidate in candidates if candidate]
    if not known:
        return None
    best, *others = known
    overruled = [f"{other.source} says {other.address}" for other in others if other.address != best.address]
    if not overruled:
        return best
    return ServiceAddress(best.address, best.source, f"{best.reason} (trusted over: {', '.join(overruled)})")


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

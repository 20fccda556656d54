"""Where MinIO and the ClickHouse proxy are for an agent outside the server's own network, and how to check them.

A Kraken server hands its agents the addresses from its settings. Under Docker Compose those name containers, which
nothing outside the compose network can reach; the services are published on ports of the host instead.
"""

from kraken_fleet.network.addresses import (
    ServiceAddress,
    ServiceAddresses,
    Source,
    choose,
    from_containers,
    from_published_ports,
    from_settings,
)
from kraken_fleet.network.compose_file import ComposeFile, parse_compose, read_compose_file
from kraken_fleet.network.compose_override import AgentService, ComposeOverride, override_content, plan_override

__all__ = [
    "AgentService",
    "ComposeFile",
    "ComposeOverride",
    "ServiceAddress",
    "ServiceAddresses",
    "Source",
    "choose",
    "from_containers",
    "from_published_ports",
    "from_settings",
    "override_content",
    "parse_compose",
    "plan_override",
    "read_compose_file",
]

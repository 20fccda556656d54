"""One agent as the inventory wants it on this host, checked."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Tuple
from urllib.parse import urlsplit

from .changes import HostError

# What a unit file, a shell and a path in a log all take as it is.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_.@+/-]+\Z")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
# A mistyped directory must not let a removal loose on these.
_SHARED = re.compile(
    r"/(?:bin|boot|dev|etc|home|lib(?:32|64)?|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)?\Z"
    r"|/usr/(?:bin|lib|local|sbin|share)\Z|/var/(?:lib|log|tmp|spool|cache)\Z|/home/[^/]+\Z"
)


@dataclass(frozen=True)
class AgentSpec:
    """Everything about one agent on its host, save its binaries.

    Args:
        name: of the instance; empty for the only agent of a host.
        environment: what kraken.env says.
        drain_seconds: how long a job may go on after the agent was told to stop.
        update: `managed`, or `server` when the agent itself replaces its binaries.
        notifies: whether the agent tells systemd how it is, as ours does and others do not.
        attested: whether it is to prove by a secret that it is the one on this host.
        fresh_nonce: whether that is to be a new one.
        script: the URL of the server's script, when that is to install the agent at first; else empty.
    """

    name: str
    directory: str
    unit: str
    user: str
    group: str
    python: str
    environment: Mapping[str, str]
    address: str = ""
    extra_groups: Tuple[str, ...] = ()
    sudo: bool = False
    hardening: bool = True
    unit_settings: Mapping[str, str] = field(default_factory=dict)
    manager: str = "systemd"
    service_state: str = "started"
    enabled: bool = True
    drain_seconds: int = 300
    keep_versions: int = 3
    update: str = "managed"
    notifies: bool = False
    attested: bool = False
    fresh_nonce: bool = False
    script: str = ""

    @property
    def data(self) -> str:
        return os.path.join(self.directory, "data")

    @property
    def env_file(self) -> str:
        return os.path.join(self.directory, "kraken.env")

    @property
    def nonce_file(self) -> str:
        return os.path.join(self.directory, "nonce")

    @property
    def command(self) -> List[str]:
        return [self.python, os.path.join(self.directory, "current", "kkagent"), "run"]


def directory_of(value: str) -> str:
    """A directory that agents may be given.

    Raises:
        HostError: it is relative, has characters that units and shells trip over, or belongs to the system.
    """
    path = os.path.normpath(value)
    if not _PLAIN_PATH.match(path):
        raise HostError(
            f"kraken_agent_dir is {value!r}; it must be an absolute path of letters, digits and the characters _.@+-"
        )
    if _SHARED.match(path):
        raise HostError(f"kraken_agent_dir is {value!r}, which belongs to the system; give the agent its own directory")
    return path


def name_of(value: str, variable: str) -> str:
    """A name that can be part of a path and of a unit's name.

    Raises:
        HostError: it cannot.
    """
    if not _PLAIN_NAME.match(value):
        raise HostError(f"{variable} is {value!r}; it must be of letters, digits and the characters _.-")
    return value


def environment_of(params: Mapping[str, Any], directory: str, address: str, extra: Mapping[str, Any]) -> Dict[str, str]:
    """The variables of kraken.env, those without a value left out.

    Args:
        params: the module's parameters.
        extra: kraken_agent_environment; wins over what is made from the parameters.
    """
    made = {
        "KRAKEN_SERVER_ADDR": params["server_url"],
        "KRAKEN_CLICKHOUSE_ADDR": params["clickhouse_addr"],
        "KRAKEN_MINIO_ADDR": params["minio_addr"],
        "KRAKEN_DATA_DIR": os.path.join(directory, "data"),
        "KRAKEN_TOOLS_DIRS": ":".join(params["tools_dirs"] or []),
        "KRAKEN_SYSTEM_ID": params["system_id"],
        "KRAKEN_AGENT_ADDRESS": address,
        "KRAKEN_AGENT_DRAIN_SECONDS": params["drain_seconds"],
        "KRAKEN_AGENT_NONCE_FILE": os.path.join(directory, "nonce") if params["attested"] else "",
        "KRAKEN_AGENT_UPDATE": "server" if params["update"] == "server" else "",
    }
    values = {**made, **extra}
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


def source_address(server: str) -> str:
    """The address that this host shows to the server: what its routes say; empty when the server has no route or name.

    Nothing is sent.
    """
    parts = urlsplit(server if "//" in server else f"//{server}")
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, target = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except (OSError, ValueError):
        return ""

"""One agent as the inventory wants it on this host, checked."""

from __future__ import annotations

import math
import os
import re
import socket
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple
from urllib.parse import urlsplit

from .applied_settings import environment
from .changes import HostError
from .setting import BINARIES, DATA_DIR, DRAIN_SECONDS, ONE_JOB, OURS, UPSTREAM, Place

CA_NAME = "ca-bundle.crt"
# What a unit file, a shell and a path in a log all take as it is.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_.@+/-]+\Z")
# `$` would let a line end pass at the end of a value, and with it another line into a unit file.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
# A mistyped directory must not let a removal loose on these.
_SHARED = re.compile(
    r"/(?:bin|boot|dev|etc|home|lib(?:32|64)?|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)?\Z"
    r"|/usr/(?:bin|lib|local|sbin|share)\Z|/var/(?:lib|log|tmp|spool|cache)\Z|/home/[^/]+\Z"
)


class AgentSpec(NamedTuple):
    """Everything about one agent on its host, save its binaries.

    Args:
        name: of the instance; empty for the only agent of a host.
        environment: what kraken.env says.
        drain_seconds: how long a job may go on after the agent was told to stop.
        update: `managed`, or `server` when the agent itself replaces its binaries.
        notifies: whether the agent tells systemd how it is, as ours does and others do not.
        attested: whether it is to report a secret that only this host has.
        fresh_nonce: whether that is to be a new one.
        script: the URL of the server's script, when that is to install the agent at first; else empty.
        ca_bundle: the certificate authorities that it trusts, as text; empty for those of the host.
        agent: whose agent it is, `ours` or `upstream`.
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
    unit_settings: Mapping[str, str] = MappingProxyType({})
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
    ca_bundle: str = ""
    agent: str = OURS

    @property
    def data(self) -> str:
        return self.environment.get(DATA_DIR) or os.path.join(self.directory, "data")

    @property
    def is_one_job(self) -> bool:
        """Tell whether a fresh agent is started for each job."""
        return self.environment.get(ONE_JOB) == "yes"

    @property
    def env_file(self) -> str:
        return os.path.join(self.directory, "kraken.env")

    @property
    def nonce_file(self) -> str:
        return os.path.join(self.directory, "nonce")

    @property
    def ca_file(self) -> str:
        return os.path.join(self.directory, CA_NAME)

    @property
    def command(self) -> List[str]:
        # Kraken's own agent would take its server's version otherwise.
        fixed = ["--no-update"] if self.agent == UPSTREAM and self.update == "managed" else []
        # Its update changes the link that it has made itself.
        place = "" if self.agent == UPSTREAM and self.update == "server" else "current"
        return [self.python, os.path.join(self.directory, place, "kkagent"), "run", *fixed]


def directory_of(value: str, variable: str = "kraken_agent_dir") -> str:
    """Check a directory that an agent is to have.

    Raises:
        HostError: it is relative, has characters that units and shells trip over, or belongs to the system.
    """
    path = os.path.normpath(value)
    if not _PLAIN_PATH.match(path):
        raise HostError(
            f"{variable} is {value!r}; it must be an absolute path of letters, digits and the characters _.@+-"
        )
    if _SHARED.match(path):
        raise HostError(f"{variable} is {value!r}, which belongs to the system; give the agent its own directory")
    return path


def check_data(data: str, directory: str) -> None:
    """Check the data directory of an agent, which may be elsewhere than in the agent's directory.

    Raises:
        HostError: it cannot be one, or the agent's account would own what runs the agent.
    """
    path = directory_of(data, DATA_DIR)
    programs = (os.path.join(directory, "versions"), os.path.join(directory, "current"))
    if path != data or _within(directory, path) or any(_within(path, one) for one in programs):
        raise HostError(
            f"{DATA_DIR} in kraken_agent_environment is {data!r}, which cannot belong to the agent's account; "
            f"name a directory of its own, or leave it at {os.path.join(directory, 'data')}"
        )


def _within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(outer + "/")


def drain_seconds_of(variables: Mapping[str, str], default: int) -> int:
    """Read how long a job may go on: kraken_agent_environment may say that as well.

    Raises:
        HostError: it is no number of seconds.
    """
    text = variables.get(DRAIN_SECONDS, str(default))
    if not re.match(r"[0-9]{1,6}(\.[0-9]+)?\Z", text):
        raise HostError(
            f"{DRAIN_SECONDS} is {text!r}, which is not a number of seconds; set kraken_agent_drain_seconds"
        )
    return math.ceil(float(text))


def name_of(value: str, variable: str) -> str:
    """Check a name that is to be part of a path and of a unit's name.

    Raises:
        HostError: it cannot.
    """
    if not _PLAIN_NAME.match(value):
        raise HostError(f"{variable} is {value!r}; it must be of letters, digits and the characters _.-")
    return value


def environment_of(
    params: Mapping[str, Any],
    directory: str,
    address: str,
    *given: Mapping[str, Any],
    method: str = BINARIES,
    agent: str = OURS,
) -> Dict[str, str]:
    """Make the variables of kraken.env, those without a value left out.

    Args:
        params: the module's parameters.
        given: kraken_agent_environment, and that of the instance; the last wins, all win over the parameters.
    """
    place = Place(
        method,
        agent,
        data=os.path.join(directory, "data"),
        nonce=os.path.join(directory, "nonce"),
        ca_bundle=os.path.join(directory, CA_NAME),
    )
    return environment({**params, "address": address}, place, *given)


def source_address(server: str) -> str:
    """Return the address that this host shows to the server, by its routes; empty when it has no route or name.

    Nothing is sent.
    """
    parts = urlsplit(server if "//" in server else f"//{server}")
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_DGRAM)
        family, kind, protocol, _name, target = found[0]
        with socket.socket(family, kind, protocol) as probe:
            # For UDP this only chooses a route, and with it the address of this host.
            probe.connect(target)
            return str(probe.getsockname()[0])
    except (OSError, ValueError):
        return ""

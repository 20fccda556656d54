"""Other agents of kraken-fleet's making on this host: left when one got another name, unit or way of being installed.

A server knows an agent by its address alone, so two with the same one share each job. What a person or another tool has
installed is nobody's here: an agent is one of ours by what its unit, settings or container say, not by its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
from typing import Any, Iterator, List, Mapping, NamedTuple, Sequence, Set

from . import engine, env_file, opening, process, systemd
from .changes import Change, HostError
from .commands import find, run
from .container_address import address_in_network
from .files import read_text
from .spec import AgentSpec, source_address

# How the unit files begin that a deploy and `kkagent install` write.
_HEADERS = ("# Written by kraken-fleet;", "# Written by kkagent install.")
_ENV_FILE = re.compile(r"^EnvironmentFile=-?(/\S+)$", re.MULTILINE)
_LABEL = "kraken-fleet.definition"
_ENGINE_SECONDS = 10.0


class Place(NamedTuple):
    """Where an agent is and what it is to its server.

    Args:
        kind: `unit`, `process` or `container`.
        name: of the unit or container; the directory of a process.
        directory: empty for a container.
        address: that it claims.
        server: whose agent it is.
    """

    kind: str
    name: str
    directory: str
    address: str
    server: str


def of_spec(spec: AgentSpec) -> Place:
    kind = "unit" if spec.manager == "systemd" else "process"
    server = spec.environment.get("KRAKEN_SERVER_ADDR", "")
    return Place(kind, spec.unit if kind == "unit" else spec.directory, spec.directory, spec.address, server)


def on_host(wanted: Sequence[Place]) -> List[Place]:
    """Return agents that run here, or start with the host, and are none of these."""
    mine = {(place.kind, place.name) for place in wanted}
    found = [*_units(), *_processes(wanted), *_containers()]
    return [place for place in found if (place.kind, place.name) not in mine]


def stopped(others: Sequence[Place], wanted: Sequence[Place], drain_seconds: int) -> Iterator[Change]:
    """Plan to stop other agents in the directory or under the address of one of these, before they are started."""
    directories = {place.directory for place in wanted if place.directory}
    claimed = {_identity(place) for place in wanted if place.address}
    for other in others:
        if other.kind == "unit" and other.directory in directories:
            yield from systemd.remove(other.name, drain_seconds)
        elif other.directory in directories or _identity(other) in claimed:
            yield _stopping(other, drain_seconds)


def warnings(others: Sequence[Place], wanted: Sequence[Place]) -> List[str]:
    """Return those that go on, for people."""
    claimed = {_identity(place) for place in wanted}
    directories = {place.directory for place in wanted if place.directory}
    left = [other for other in others if _identity(other) not in claimed and other.directory not in directories]
    return [
        f"Another agent of kraken-fleet keeps running here: the {other.kind} {other.name}, {other.address} for "
        f"{other.server}. When it is not needed, name it in an inventory and run remove-agents.yml"
        for other in left
    ]


def is_ours(unit: str, directory: str) -> bool:
    """Say whether a unit file of that name was made for the agent in this directory; there may be none."""
    text = read_text(systemd.unit_path(unit))
    return text is None or text.startswith(_HEADERS) or f"{directory}/" in text


def _identity(place: Place) -> "tuple[str, str]":
    server = place.server if "://" in place.server else f"http://{place.server}"
    return place.address, server.rstrip("/")


def _stopping(other: Place, drain_seconds: int) -> Change:
    def stop() -> None:
        if other.kind == "unit":
            for change in systemd.retire(other.name, drain_seconds):
                change.apply()
        elif other.kind == "process":
            process.stop(other.directory, drain_seconds)
        else:
            # Else Docker starts it again with the host.
            run(["docker", "update", "--restart", "no", other.name])
            run(["docker", "stop", "--time", str(drain_seconds), other.name], timeout=drain_seconds + 60.0)

    return Change(
        f"stop the {other.kind} {other.name}, an earlier agent with the address {other.address}",
        stop,
        before="started\n",
        after="stopped\n",
        before_header=other.name,
    )


def _units() -> Iterator[Place]:
    if not systemd.is_running():
        return
    for name in sorted(opening.names(systemd.UNIT_DIRECTORY)):
        text = read_text(os.path.join(systemd.UNIT_DIRECTORY, name)) if name.endswith(".service") else None
        settings = _ENV_FILE.search(text) if text and text.startswith(_HEADERS) else None
        unit = name[: -len(".service")]
        if settings and systemd.is_active(unit):
            yield _by_settings("unit", unit, os.path.dirname(settings.group(1)))


def _processes(wanted: Sequence[Place]) -> Iterator[Place]:
    """Find agents that run as processes beside the wanted ones.

    Instances are called like the agent, with a name behind.
    """
    seen: Set[str] = set()
    for above in sorted({os.path.dirname(place.directory) for place in wanted if place.directory}):
        for name in sorted(opening.names(above)):
            path = os.path.join(above, name)
            text = read_text(os.path.join(path, "kraken.env")) or ""
            if path not in seen and text.startswith(env_file.HEADER) and process.running(path) is not None:
                seen.add(path)
                yield _by_settings("process", path, path)


def _containers() -> Iterator[Place]:
    if find("docker") is None:
        return
    with contextlib.suppress(HostError, ValueError, KeyError, TypeError, socket.timeout):
        for one in _labelled():
            lines = [line.partition("=") for line in one["Config"].get("Env") or ()]
            settings = {name: value for name, _sign, value in lines}
            yield _place("container", one["Name"].lstrip("/"), "", settings, address_in_network(one))


def _labelled() -> Any:
    """Describe the running containers of our making; a host may have its engine elsewhere, as the command knows."""
    try:
        return engine.labelled(_LABEL, _ENGINE_SECONDS)
    except socket.timeout:
        raise
    except (OSError, ValueError):
        listed = run(["docker", "ps", "--quiet", "--filter", f"label={_LABEL}"], timeout=_ENGINE_SECONDS).split()
        return json.loads(run(["docker", "inspect", *listed], timeout=_ENGINE_SECONDS)) if listed else []


def _by_settings(kind: str, name: str, directory: str) -> Place:
    return _place(kind, name, directory, env_file.parse(read_text(os.path.join(directory, "kraken.env")) or ""))


def _place(kind: str, name: str, directory: str, settings: Mapping[str, str], own_address: str = "") -> Place:
    server = settings.get("KRAKEN_SERVER_ADDR", "")
    address = settings.get("KRAKEN_AGENT_ADDRESS", "") or own_address or (source_address(server) if server else "")
    return Place(kind, name, directory, address, server)

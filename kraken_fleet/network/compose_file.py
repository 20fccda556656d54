"""Reads the compose file (and its env file) of a Kraken server: services, published ports, networks.

Only what Kraken's own file uses is understood: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}` and `$$`,
and both the short and the long form of `ports`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from kraken_fleet.errors import NetworkError
from kraken_fleet.network.addresses import PublishedPort

_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)(?:(?P<operator>:?-)(?P<default>[^}]*))?\})"
)


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """A compose file with its variables filled in."""

    path: Path
    content: Mapping[str, Any]

    @property
    def services(self) -> Mapping[str, Any]:
        return self.content.get("services") or {}

    @property
    def project(self) -> str:
        """The compose project: its `name`, or the folder's name as compose spells it."""
        name = self.content.get("name") or self.path.resolve().parent.name
        return re.sub(r"[^a-z0-9_-]", "", str(name).lower())

    def network(self, name: str) -> Mapping[str, Any]:
        """Return the definition of a network; empty when the file only names it.

        Raises:
            NetworkError: the file has no network of that name.
        """
        networks = self.content.get("networks") or {}
        if name not in networks:
            raise NetworkError(
                f"There is no network {name!r}, only {', '.join(sorted(networks)) or 'none'}",
                where=str(self.path),
                hint="Point to the compose file that Kraken's server was started from",
            )
        return networks[name] or {}

    def published_ports(self) -> tuple[PublishedPort, ...]:
        """Return every published port of every service, in the file's order."""
        return tuple(
            _published_port(self.path, service, entry)
            for service, definition in self.services.items()
            for entry in (definition or {}).get("ports", [])
            if _is_published(entry)
        )


def read_compose_file(path: Path, env_file: Path | None = None) -> ComposeFile:
    """Read one compose file and fill in its variables.

    Args:
        path: the compose file.
        env_file: where its variables come from; by default `.env` beside it, when there is one.

    Raises:
        NetworkError: the file is missing, is not YAML, has no services, or names a variable that nobody sets.
    """
    return parse_compose(_read(path), _variables(path, env_file), path)


def parse_compose(text: str, variables: Mapping[str, str | None], path: Path) -> ComposeFile:
    """Return the same for a file that was read elsewhere: on the host where the server's containers run.

    Args:
        text: the compose file's content.
        variables: the env file's content.
        path: where the file is, for messages and for the project's name.

    Raises:
        NetworkError: it is not YAML, has no services, or names a variable that nobody sets.
    """
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise NetworkError(f"It is not valid YAML: {error}", where=str(path)) from error
    if not isinstance(raw, dict) or not isinstance(raw.get("services"), dict):
        raise NetworkError("It has no services", where=str(path), hint="Point to a Docker Compose file")
    return ComposeFile(path, _fill_in(raw, variables, path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise NetworkError(f"It cannot be read: {error.strerror}", where=str(path)) from error


def _variables(path: Path, env_file: Path | None) -> Mapping[str, str | None]:
    chosen = env_file or path.parent / ".env"
    if env_file and not env_file.is_file():
        raise NetworkError("There is no such env file", where=str(env_file))
    return dotenv_values(chosen) if chosen.is_file() else {}


def _fill_in(node: Any, variables: Mapping[str, str | None], path: Path) -> Any:
    if isinstance(node, dict):
        return {key: _fill_in(value, variables, path) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill_in(value, variables, path) for value in node]
    if isinstance(node, str):
        return _VARIABLE.sub(lambda match: _value_of(match, variables, path), node)
    return node


def _value_of(match: re.Match[str], variables: Mapping[str, str | None], path: Path) -> str:
    if match["escaped"]:
        return "$"
    name = match["plain"] or match["braced"]
    value = variables.get(name)
    if value is None or (match["operator"] == ":-" and not value):
        if match["operator"] is None:
            raise NetworkError(
                f"Variable {name} is not set",
                where=str(path),
                hint="Name the env file that the server was started with",
            )
        return match["default"]
    return value


def _is_published(entry: object) -> bool:
    if isinstance(entry, dict):
        return bool(entry.get("published"))
    # "9000" alone publishes on a random port: only the running container knows which.
    return ":" in str(entry)


def _published_port(path: Path, service: str, entry: Any) -> PublishedPort:
    try:
        if isinstance(entry, dict):
            return PublishedPort(
                service,
                int(entry["target"]),
                str(entry.get("protocol", "tcp")),
                str(entry.get("host_ip", "")),
                int(entry["published"]),
            )
        mapping, _, protocol = str(entry).partition("/")
        outside, _, inside = mapping.rpartition(":")
        host_ip, _, host_port = outside.rpartition(":")
        return PublishedPort(service, int(inside), protocol or "tcp", host_ip.strip("[]"), int(host_port))
    except (KeyError, ValueError) as error:
        raise NetworkError(f"Service {service}: port {entry!r} is not understood", where=str(path)) from error

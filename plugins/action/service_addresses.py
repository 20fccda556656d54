# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out where ClickHouse and MinIO are for agents outside the server's own network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction, client_of

from kraken_fleet import network
from kraken_fleet.address import ServerAddress
from kraken_fleet.errors import UsageError
from kraken_fleet.network import ServiceAddresses, Source
from kraken_fleet.network.containers import engine, published_ports

_LOCAL = "local"


class ActionModule(ControllerAction):
    """Asks every source of addresses that the task names, and takes each address from the most trusted one."""

    ARGUMENTS = arguments_of("service_addresses")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        sources = list(_sources(arguments))
        if not sources:
            hint = "Set at least one of docker_url, compose_file and server_url"
            raise UsageError("There is nobody to ask for the addresses", hint=hint)
        return {"changed": False, **network.choose(sources).as_dict()}


def _sources(arguments: dict[str, Any]) -> Iterator[tuple[Source, ServiceAddresses]]:
    if arguments["docker_url"]:
        url = None if arguments["docker_url"] == _LOCAL else arguments["docker_url"]
        with engine(url) as client:
            ports = published_ports(client, arguments["project"] or None)
        yield Source.CONTAINERS, network.from_containers(ports, _docker_host(arguments))
    if arguments["compose_file"]:
        env_file = Path(arguments["env_file"]) if arguments["env_file"] else None
        compose = network.read_compose_file(Path(arguments["compose_file"]), env_file)
        ports = compose.published_ports()
        yield Source.COMPOSE_FILE, network.from_published_ports(ports, _docker_host(arguments), Source.COMPOSE_FILE)
    if _server(arguments):
        with client_of(arguments) as kraken:
            yield Source.SETTINGS, network.from_settings(kraken.settings())


def _server(arguments: dict[str, Any]) -> str:
    return arguments["server_url"] or os.environ.get("KRAKEN_FLEET_SERVER", "")


def _docker_host(arguments: dict[str, Any]) -> str:
    """Say how agents reach the host of the containers: as told, else as the controller reaches it."""
    server = _server(arguments)
    found = arguments["docker_host"] or urlsplit(arguments["docker_url"]).hostname
    found = found or (ServerAddress.parse(server).host if server else "")
    if not found:
        raise UsageError("It is not known how agents reach the host of the containers", hint="Set docker_host")
    return found

"""Installers and ready-made commands with this server's own addresses in them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import yaml
from fastapi import APIRouter, Form
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from kraken_fleet import __version__
from kraken_fleet.address import ServerAddress
from kraken_fleet.collection import environment_names
from kraken_fleet.errors import UsageError
from kraken_fleet.network import AgentService, override_content
from kraken_fleet.web.context import Changing, SignedIn

router = APIRouter()

_IMAGE = f"kraken-fleet/kkagent:{__version__}"

_INSTALLERS = {
    "kraken-agent-install.sh": "application/x-sh",
    "kraken-agent-install.bat": "application/x-bat",
}


@router.get("/downloads")
def downloads(visit: SignedIn) -> HTMLResponse:
    general = _general(visit)
    missing = [name for name in ("server_url", "clickhouse_addr") if not general[name]]
    known = _completed(general, visit.client.url)
    return visit.page(
        "downloads.html",
        general=general,
        missing=missing,
        commands=_commands(known),
        guessed={name: known[name] for name in known if not general[name]},
        of_this_machine=ServerAddress.parse(visit.client.url).is_loopback and not general["server_url"],
    )


@router.get("/downloads/{name}")
def installer(visit: SignedIn, name: str) -> Response:
    """Pass the server's installer on, so that the browser talks to the console alone."""
    if name not in _INSTALLERS:
        raise HTTPException(404, f"There is no installer {name!r}")
    content = visit.client.install_file(name)
    return Response(
        content, media_type=_INSTALLERS[name], headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@router.post("/downloads/settings")
def set_addresses(
    change: Changing,
    server_url: Annotated[str, Form()] = "",
    clickhouse_addr: Annotated[str, Form()] = "",
    minio_addr: Annotated[str, Form()] = "",
) -> Response:
    wanted = {
        "server_url": server_url.strip(),
        "clickhouse_addr": clickhouse_addr.strip(),
        "minio_addr": minio_addr.strip(),
    }
    change.do("set", "server addresses", change.client.update_settings, {"general": wanted})
    return change.back_to("/downloads")


def _general(visit: SignedIn) -> dict[str, str]:
    section = visit.client.settings().get("general", {})
    return {name: str(section.get(name) or "") for name in ("server_url", "clickhouse_addr", "minio_addr")}


def _completed(general: dict[str, str], server_url: str) -> dict[str, str]:
    """Fill in what the server does not say: the address that the console uses, and Kraken's usual ports there."""
    host = urlsplit(server_url).hostname or ""
    # The ports in Kraken's own docker-compose file; an IPv6 address stands in brackets before a port.
    shown = f"[{host}]" if ":" in host else host
    usual = {"server_url": server_url, "clickhouse_addr": f"{shown}:9001", "minio_addr": f"{shown}:9999"}
    return {name: general[name] or usual[name] for name in usual}


def _for_agents(url: str) -> str:
    """Return the server as agents are given it; as the server has it, when somebody has set it to something else."""
    try:
        return ServerAddress.parse(url).agents
    except UsageError:
        return url


def _commands(general: dict[str, str]) -> dict[str, str]:
    """Write what an agent is told in each form that people copy; the table of settings has the names."""
    names = environment_names()
    told = {
        "kraken_agent_server_url": _for_agents(general["server_url"]),
        "kraken_clickhouse_addr": general["clickhouse_addr"],
        "kraken_minio_addr": general["minio_addr"],
    }
    variables = {names[variable]: value for variable, value in told.items()}
    agent = AgentService("agent1", "172.20.0.11")
    return {
        "env": "".join(f"{name}={value}\n" for name, value in variables.items()),
        "docker": (
            f"docker run --detach --restart {agent.restart} --network host --stop-timeout {agent.stop_seconds} \\\n"
            + "".join(f"  -e {name}={value} \\\n" for name, value in variables.items())
            + f"  {_IMAGE}\n"
        ),
        "compose": yaml.safe_dump(override_content([agent], "172.20.0.0/16", _IMAGE), sort_keys=False),
        "ansible": yaml.safe_dump(
            {"kraken_server_url": general["server_url"]}
            | {variable: value for variable, value in told.items() if variable != "kraken_agent_server_url"},
            sort_keys=False,
        ),
    }

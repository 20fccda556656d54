"""Installers and ready-made commands with this server's own addresses in them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from kraken_fleet.address import ServerAddress
from kraken_fleet.errors import UsageError
from kraken_fleet.web.context import Changing, SignedIn

router = APIRouter()

_INSTALLERS = {
    "kraken-agent-install.sh": "application/x-sh",
    "kraken-agent-install.bat": "application/x-bat",
}


@router.get("/downloads")
def downloads(visit: SignedIn) -> HTMLResponse:
    general = _general(visit)
    missing = [name for name in ("server_url", "clickhouse_addr") if not general[name]]
    return visit.page("downloads.html", general=general, missing=missing, commands=_commands(general))


@router.get("/downloads/{name}")
def installer(visit: SignedIn, name: str) -> Response:
    """Passes the server's installer on, so that the browser talks to the console alone."""
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


def _for_agents(url: str) -> str:
    """The server as agents are given it; as the server has it, when somebody has set it to something else."""
    try:
        return ServerAddress.parse(url).agents
    except UsageError:
        return url


def _commands(general: dict[str, str]) -> dict[str, str]:
    server = _for_agents(general["server_url"] or "http://SERVER:6363")
    clickhouse = general["clickhouse_addr"] or "SERVER:9001"
    minio = general["minio_addr"] or "SERVER:9999"
    return {
        "env": (f"KRAKEN_SERVER_ADDR={server}\nKRAKEN_CLICKHOUSE_ADDR={clickhouse}\nKRAKEN_MINIO_ADDR={minio}\n"),
        "docker": (
            "docker run --detach --restart unless-stopped \\\n"
            f"  -e KRAKEN_SERVER_ADDR={server} \\\n"
            f"  -e KRAKEN_CLICKHOUSE_ADDR={clickhouse} \\\n"
            f"  -e KRAKEN_MINIO_ADDR={minio} \\\n"
            "  -v /var/run/docker.sock:/var/run/docker.sock \\\n"
            "  kraken-fleet/kkagent:VERSION\n"
        ),
        "compose": (
            "services:\n"
            "  agent1:\n"
            "    image: kraken-fleet/kkagent:VERSION\n"
            "    restart: always\n"
            "    environment: [KRAKEN_CLICKHOUSE_ADDR, KRAKEN_SERVER_ADDR]\n"
            "    networks:\n"
            "      lab_net: {ipv4_address: 172.20.0.11}\n"
            "    depends_on: [server, minio, clickhouse-proxy]\n"
            "    volumes: ['/var/run/docker.sock:/var/run/docker.sock']\n"
            "networks:\n"
            "  lab_net:\n"
            "    driver: bridge\n"
            "    ipam: {config: [{subnet: 172.20.0.0/16}]}\n"
        ),
        "ansible": (
            f"kraken_server_url: {general['server_url'] or 'http://SERVER:6363'}\n"
            f"kraken_clickhouse_addr: {clickhouse}\n"
            f"kraken_minio_addr: {minio}\n"
        ),
    }

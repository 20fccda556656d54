"""The files that hosts install from: kkagent, kktool, and a script for each kind of host."""

from __future__ import annotations

import asyncio
import logging
import re
import shlex
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from kraken_fleet import bundle
from kraken_fleet.errors import BundleError
from kraken_fleet.server.core import Core, setting
from kraken_fleet.server.rest.access import CoreDep
from kraken_fleet.server.rest.problems import NOT_FOUND, Problem
from kraken_fleet.server.routes.tools import uploads

log = logging.getLogger(__name__)
router = APIRouter()

_SCRIPTS = Path(__file__).parent / "scripts"
_UPLOAD = re.compile(r"[0-9a-f]{64}\.zip")


@router.get("/kraken-agent-install.sh")
async def shell_script(core: CoreDep) -> Response:
    url, address = _addresses(core)
    text = (_SCRIPTS / "install.sh").read_text()
    return _script(text, "kraken-agent-install.sh", shlex.quote(url), shlex.quote(address), "application/x-sh")


@router.get("/kraken-agent-install.bat")
async def windows_script(core: CoreDep) -> Response:
    url, address = _addresses(core)
    text = (_SCRIPTS / "install.bat").read_text().replace("\n", "\r\n")
    return _script(text, "kraken-agent-install.bat", _powershell(url), _powershell(address), "application/x-bat")


@router.get("/tools/{name}")
async def uploaded_tool(core: CoreDep, name: str) -> Response:
    """Return a tool's code. Its name is the digest of its content: who knows it has seen the tool's record."""
    path = uploads(core) / name
    if not _UPLOAD.fullmatch(name) or not path.exists():
        raise Problem(404, NOT_FOUND)
    return FileResponse(path, media_type="application/zip")


@router.get("/{name}")
async def binary(core: CoreDep, name: str) -> Response:
    if name not in ("agent", "tool", "nssm-2.24.zip"):
        raise Problem(404, NOT_FOUND)
    directory = core.settings.bundle_dir or core.settings.data_dir / "bundles"
    path = directory / (f"kk{name}" if name in ("agent", "tool") else name)
    if core.settings.bundle_dir is None and name in ("agent", "tool") and not await _is_built(core, directory):
        raise Problem(500)
    if not path.exists():
        log.error("%s is not there, it cannot be served", path)
        raise Problem(500)
    return FileResponse(path)


def _addresses(core: Core) -> tuple[str, str]:
    with core.db.read() as session:
        url = setting(session, "general", "server_url")
        address = setting(session, "general", "clickhouse_addr")
    if not url or not address:
        log.error("no install script: general.server_url and general.clickhouse_addr have to be set")
        raise Problem(500)
    return url, address


def _script(text: str, name: str, url: str, address: str, media_type: str) -> Response:
    filled = text.replace("@SERVER_URL@", url).replace("@CLICKHOUSE_ADDR@", address)
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    # Set as a header: a media type of Starlette's gets a charset that the real server does not send.
    return Response(filled.encode(), headers={**headers, "Content-Type": media_type})


def _powershell(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def _is_built(core: Core, directory: Path) -> bool:
    """Say whether the files in the data directory are those of this program; build them for the first host that asks.

    Files that are there may be of the kraken-fleet that ran before an update.
    """
    async with core.building:
        if not core.built:
            # In a thread: agents go on being answered.
            core.built = await asyncio.to_thread(_build, directory)
        return core.built


def _build(directory: Path) -> bool:
    try:
        bundle.build(directory)
    except BundleError as error:
        log.error("the agent cannot be built: %s", error)  # noqa: TRY400 the message says all, a trace would not help
        return False
    return True

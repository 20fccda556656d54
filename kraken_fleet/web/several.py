"""One console over several servers: each has its own pages below its name, and people sign in to each by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from kraken_fleet.errors import FleetError
from kraken_fleet.web.app import STATIC, create_console
from kraken_fleet.web.cache import Snapshot
from kraken_fleet.web.console import Console
from kraken_fleet.web.identity import session_of
from kraken_fleet.web.render import Renderer
from kraken_fleet.web.security import HEADERS
from kraken_fleet.web.settings import ConsoleSettings


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One server: who is signed in there, and what is known of it then; `problem` says why nothing is."""

    name: str
    url: str
    user: str = ""
    seen: Snapshot | None = None
    problem: str = ""


def create_consoles(servers: Mapping[str, ConsoleSettings]) -> FastAPI:
    """Return the consoles of several servers as one ASGI application, with a page that lists them.

    Args:
        servers: the settings of each by its name, which is in the settings too.
    """
    consoles = {name: create_console(settings) for name, settings in servers.items()}
    renderer = Renderer()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # Starlette starts and ends only the application at the top.
        async with AsyncExitStack() as stack:
            for console in consoles.values():
                await stack.enter_async_context(console.router.lifespan_context(console))
            yield

    app = FastAPI(title="kraken-fleet console", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)

    @app.get("/")
    def list_servers(request: Request) -> HTMLResponse:
        rows = [_row(name, one.state.console, request) for name, one in consoles.items()]
        content = renderer.render("servers.html", request=request, session=None, notice="", read_only=True, rows=rows)
        return HTMLResponse(content, headers={**HEADERS, "Cache-Control": "no-store"})

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for name, console in consoles.items():
        app.mount(f"/{name}", console, name=name)
    return app


def _row(name: str, console: Console, request: Request) -> ServerRow:
    """Return what this person may know of a server: nothing without signing in to it."""
    url = console.settings.server_url
    user = ""
    try:
        session = session_of(request, console)
        if session is None:
            return ServerRow(name, url)
        user = session.user
        return ServerRow(name, url, user, console.cache.get(session.client))
    except HTTPException as error:  # the proxy names nobody who has an account there
        return ServerRow(name, url, problem=error.detail)
    except FleetError as error:
        return ServerRow(name, url, user, problem=str(error))

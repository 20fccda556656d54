"""Puts the embedded server together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Scope

from kraken_fleet.listen import RequestLimits, peer_of
from kraken_fleet.server.agents import watchdog
from kraken_fleet.server.agents.endpoint import AGENTS_PATHS, AgentsEndpoint
from kraken_fleet.server.core import Core
from kraken_fleet.server.rest import problems
from kraken_fleet.server.rest.access import is_signed_in
from kraken_fleet.server.routes import (
    agents,
    diagnostics,
    execution,
    groups,
    install,
    live_data,
    logs,
    not_served,
    projects,
    results,
    sessions,
    settings,
    tools,
    webhooks,
)
from kraken_fleet.server.settings import ServerSettings
from kraken_fleet.server.sockets import bind_udp
from kraken_fleet.server.store.log_sink import LogSink

Mount = tuple[str, ASGIApp]
# Routes that are not served come last, so that those that are win.
_API = (
    sessions,
    agents,
    groups,
    settings,
    projects,
    execution,
    results,
    logs,
    live_data,
    diagnostics,
    tools,
    not_served,
)


def create_app(
    server_settings: ServerSettings,
    *,
    mounts: Sequence[Mount] = (),
    log_socket: socket.socket | None = None,
    on_first_password: Callable[[str], None] = lambda _password: None,
) -> FastAPI:
    """Return the embedded server as an ASGI application.

    Its data directory is opened here and closed when it shuts down.

    Args:
        server_settings: where and how; `port` and `log_port` should be the real ones by now, for they become the
            defaults of `server_url` and `clickhouse_addr`.
        mounts: further applications by path, such as a console at `/`; they come after the server's own paths, and
            their lifespans run within this one's.
        log_socket: a bound UDP socket for the log sink; without it one is bound at start.
        on_first_password: gets admin's random password on the very first start, never again.

    Raises:
        DataDirectoryError: the data directory cannot be used.
        UsageError: the admin password file is of no use.
    """
    core = Core.open(server_settings, on_first_password)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(core.close)
            await _start(core, log_socket, stack)
            for _, inner in mounts:
                if isinstance(inner, FastAPI):
                    await stack.enter_async_context(inner.router.lifespan_context(inner))
            yield

    app = _application(core, lifespan)
    _mount_own_paths(app, core)
    for path, inner in mounts:
        app.mount(path, inner)
    app.add_middleware(AgentsEndpoint, core=core)

    async def is_known(scope: Scope) -> bool:
        if scope["path"] in AGENTS_PATHS:  # where nobody signs in
            return core.roster.is_known(peer_of(scope))
        return is_signed_in(core, scope)

    app.add_middleware(RequestLimits, limits=server_settings.limits, is_known=is_known, refusals=core.refusals)
    return app


def _mount_own_paths(app: FastAPI, core: Core) -> None:
    api = _application(core)
    for module in _API:
        api.include_router(module.router)
    installer = _application(core)
    installer.include_router(install.router)
    for prefix in ("", "/bk"):
        app.mount(f"{prefix}/api", api)
        app.mount(f"{prefix}/install", installer)
        app.include_router(logs.text_router, prefix=prefix)
        app.include_router(webhooks.router, prefix=prefix)


def _application(core: Core, lifespan: Callable[[FastAPI], object] | None = None) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)  # type: ignore[arg-type]
    app.state.core = core
    app.router.redirect_slashes = False
    problems.install(app)
    return app


async def _start(core: Core, log_socket: socket.socket | None, stack: AsyncExitStack) -> None:
    loop = asyncio.get_running_loop()
    sock = log_socket or bind_udp(core.settings.host, core.settings.log_port)
    sink = LogSink(core.logs, sock)
    sink.begin(loop)
    stack.callback(sink.end, loop)
    for endless in (watchdog.watch(core), watchdog.write_logs(core), watchdog.fold_database(core)):
        task = loop.create_task(endless)
        stack.callback(task.cancel)

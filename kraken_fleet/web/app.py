"""Puts the console together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from kraken_fleet.api import KrakenClient
from kraken_fleet.audit import usual_log
from kraken_fleet.errors import (
    FleetError,
    NotPermittedError,
    NotSignedInError,
    PlanError,
    RequestRejectedError,
    ServerError,
    UnsafeChangeError,
    UsageError,
)
from kraken_fleet.listen import AttemptLimit, RequestLimits
from kraken_fleet.reconcile import Ignored
from kraken_fleet.web import live
from kraken_fleet.web.cache import FleetCache
from kraken_fleet.web.console import Console, console_of, cookie_of
from kraken_fleet.web.context import SignInNeededError, shown_page
from kraken_fleet.web.history import History
from kraken_fleet.web.identity import is_known, session_of
from kraken_fleet.web.pages import agent, agents, deploy, discovered, downloads, fleet, groups, metrics, signin
from kraken_fleet.web.parameters import BadParameterError
from kraken_fleet.web.people import ConsoleAccountError, People, refused_account
from kraken_fleet.web.render import Renderer
from kraken_fleet.web.scrapers import Scrapers
from kraken_fleet.web.security import add_headers, refuse_other_origins
from kraken_fleet.web.sessions import Session, SessionStore
from kraken_fleet.web.settings import ConsoleSettings
from kraken_fleet.web.table import LastTable
from kraken_fleet.web.work import Run, Work

STATIC = Path(__file__).parent / "static"


def create_console(settings: ConsoleSettings) -> FastAPI:
    """Return the console as an ASGI application, to be served by itself or mounted on another.

    Args:
        settings: what the person who starts it decides.

    Raises:
        UsageError: viewers or a proxy's word need an account of the console's own, and there is none.
    """
    people = _people(settings)
    history = History(settings.state_dir / "history.jsonl")
    cache = FleetCache(settings.poll_seconds, on_snapshot=history.record)

    def look_anew(_run: Run) -> None:
        cache.forget()

    scrapers = Scrapers()
    sessions = SessionStore(settings.session_hours * 3600)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        # Each session here has one on the Kraken server, which nobody else would end.
        await run_in_threadpool(sessions.clear)
        await run_in_threadpool(scrapers.clear)
        if people:
            await run_in_threadpool(people.client.close)

    # FastAPI's own pages load scripts from another origin, and show the routes to people who are not signed in.
    app = FastAPI(title="kraken-fleet console", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.console = Console(
        settings=settings,
        sessions=sessions,
        attempts=AttemptLimit(settings.limits.wrong_passwords_per_account, settings.limits.wrong_passwords_per_peer),
        cache=cache,
        tables=LastTable(),
        history=history,
        ignored=Ignored(settings.state_dir),
        log=usual_log(directory=settings.audit_dir or settings.state_dir),
        applying=Work("applying", look_anew),
        deleting=Work("deleting", look_anew),
        renderer=Renderer(),
        scrapers=scrapers,
        people=people,
    )
    app.add_middleware(BaseHTTPMiddleware, dispatch=refuse_other_origins)

    # A signed-in person may send more than others; the head is all that can be asked before the body is read.
    async def is_signed_in(scope: Scope) -> bool:
        return is_known(app.state.console, scope)

    app.add_middleware(RequestLimits, limits=settings.limits, is_known=is_signed_in)
    # The middleware that is added last comes first: its headers are on refusals of the others, too.
    app.add_middleware(BaseHTTPMiddleware, dispatch=add_headers)
    for page in (signin, agents, agent, groups, discovered, downloads, fleet, deploy, live, metrics):
        app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _answer_errors(app)
    return app


def _people(settings: ConsoleSettings) -> People | None:
    if not (settings.viewers or settings.sign_on):
        return None
    if settings.account is None:
        hint = "Give --user with --password-file, or --token-file: an administrator's account of the server"
        raise UsageError("--viewers and --proxy-user-header need an account for the console itself", hint=hint)
    return People(KrakenClient(settings.server_url, settings.account, ca_bundle=settings.ca_bundle))


def _answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(SignInNeededError, _to_sign_in)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(BadParameterError, _bad_parameter)
    app.add_exception_handler(RequestValidationError, _bad_parameter)
    app.add_exception_handler(FleetError, _failed)


def _to_sign_in(request: Request, _error: Exception) -> Response:
    root = request.scope.get("root_path", "")
    # An EventSource can show no page: it ends when the status is not 200.
    if request.headers.get("accept", "").startswith("text/event-stream"):
        return Response(status_code=401)
    wanted = request.url.path.removeprefix(root) if request.method == "GET" else "/"
    return RedirectResponse(f"{root}/sign-in?next={quote(wanted)}", status_code=303)


def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else "Something went wrong"
    return _error_page(request, status, detail)


def _bad_parameter(request: Request, error: Exception) -> Response:
    """Report what FastAPI finds wrong like what the pages find themselves."""
    if isinstance(error, RequestValidationError):
        names = dict.fromkeys(str(part["loc"][-1]) for part in error.errors())
        return _error_page(request, 400, f"This address or form makes no sense: look at {', '.join(names)}")
    return _error_page(request, 400, f"This address makes no sense: {error}")


def _failed(request: Request, error: Exception) -> Response:
    console = console_of(request)
    if isinstance(error, NotSignedInError | NotPermittedError) and _borrows(request):
        # Signing in anew would not help: it is not the person who is refused.
        error = refused_account(error)
    if isinstance(error, NotSignedInError):
        console.sessions.remove(request.cookies.get(cookie_of(console.settings), ""))
        return _to_sign_in(request, error)
    if isinstance(error, NotPermittedError):
        return _error_page(request, 403, str(error))
    return _error_page(request, _status(error), str(error))


def _status(error: Exception) -> int:
    """Return the HTTP status for what went wrong; 409 is for what the state of the server does not allow."""
    if isinstance(error, RequestRejectedError):
        # Kraken answers 400 to a GET of an agent or a group that there is not.
        return 404 if (error.where or "").startswith("GET ") and error.status == 400 else error.status
    if isinstance(error, PlanError | UnsafeChangeError):
        return 409
    return 502 if isinstance(error, ServerError | ConsoleAccountError) else 500


def _error_page(request: Request, status: int, message: str) -> HTMLResponse:
    return shown_page(request, "error.html", _session(request), status=status, code=status, message=message)


def _borrows(request: Request) -> bool:
    session = _session(request)
    return bool(session and session.borrows)


def _session(request: Request) -> Session | None:
    """Return whose page an error is shown on; None when finding that out is what failed."""
    try:
        return session_of(request, console_of(request))
    except (HTTPException, FleetError):
        return None

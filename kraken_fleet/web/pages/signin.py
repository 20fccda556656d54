"""Signing in with a Kraken account, and signing out."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.errors import FleetError, NotPermittedError, NotSignedInError
from kraken_fleet.listen import peer_of as peer_address
from kraken_fleet.web.console import Console, console_of, cookie_of, root_of
from kraken_fleet.web.context import Submitted, shown_page
from kraken_fleet.web.identity import person_of
from kraken_fleet.web.people import Standing
from kraken_fleet.web.records import account_of, record
from kraken_fleet.web.sessions import PersonsClient, Session

router = APIRouter()


@router.get("/sign-in")
def form(request: Request, next: str = "/") -> Response:  # noqa: A002 - the parameter's name in the URL
    if person_of(request, console_of(request)):
        return _onward(request, _safe(next))
    return _form(request, _safe(next), "")


@router.post("/sign-in")
def sign_in(
    request: Request,
    user: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002 - the field's name in the form
) -> Response:
    """Sign a person in; an account that may not look at agents is told so and stays out, unless viewers may look."""
    console = console_of(request)
    if person_of(request, console):
        return _onward(request, _safe(next))
    where = peer_address(request.scope)
    wait = console.attempts.wait_seconds(user, where)
    if wait:
        record(console, request, user, "sign in", result="too many attempts")
        message = f"Too many attempts. Try again in {math.ceil(wait)} s."
        return _form(request, _safe(next), message, status=429, retry_after=math.ceil(wait))
    client = PersonsClient(
        console.settings.server_url, PasswordCredentials(user, password), ca_bundle=console.settings.ca_bundle
    )
    try:
        session = _session(console, client)
    except FleetError as error:
        client.close()
        return _rejected(request, console, user, error, _safe(next))
    console.attempts.succeeded(user, where)
    record(console, request, user, "sign in", account=account_of(session.client))
    return _signed_in(request, console, session, _safe(next))


@router.post("/sign-out")
def sign_out(form: Submitted) -> Response:
    """End the session here and on the server. It changes nothing else, so a read-only console does it too."""
    if form.session.own is None:  # a proxy says who this is: it would say so again at once
        return form.back_to("/")
    form.console.sessions.remove(form.request.cookies.get(cookie_of(form.console.settings), ""))
    form.record("sign out")
    response = form.back_to("/sign-in")
    response.delete_cookie(cookie_of(form.console.settings), path=root_of(form.request, form.console.settings) or "/")
    return response


def _session(console: Console, client: KrakenClient) -> Session:
    """Return the session of an account that may change the server, or that may look.

    Raises:
        NotPermittedError: it may do neither.
        NotSignedInError: the server knows no such account.
        ConsoleAccountError, ServerError: the role of a viewer cannot be read.
    """
    try:
        # Signing in succeeds for every account; only an administrator may list agents.
        client.agents_page(start=0, limit=1)
    except NotPermittedError:
        people = console.people
        if people is None or not console.settings.viewers or people.standing(client.user) is Standing.NOBODY:
            raise
        return Session(client.user, people.client, client, may_change=False)
    return Session(client.user, client, client)


def _rejected(request: Request, console: Console, user: str, error: FleetError, wanted: str) -> Response:
    record(console, request, user, "sign in", result=str(error))
    if isinstance(error, NotSignedInError):
        console.attempts.failed(user, peer_address(request.scope))
        return _form(request, wanted, f"{error.message}.", status=401)
    if isinstance(error, NotPermittedError):
        return _form(request, wanted, f"{user} is not an administrator of this server.", status=403)
    return _form(request, wanted, str(error), status=502)


def _signed_in(request: Request, console: Console, session: Session, wanted: str) -> Response:
    root = request.scope.get("root_path", "")
    response = RedirectResponse(root + wanted, status_code=303)
    response.set_cookie(
        cookie_of(console.settings),
        console.sessions.add(session),
        path=root_of(request, console.settings) or "/",
        httponly=True,
        # Strict: no link on another site opens a page with this session. A person who comes by one signs in again.
        samesite="strict",
        secure=console.settings.secure_cookie or request.url.scheme == "https",
    )
    return response


def _onward(request: Request, wanted: str) -> Response:
    """Lead somebody to the pages whom a proxy has signed in."""
    return RedirectResponse(request.scope.get("root_path", "") + wanted, status_code=303)


def _form(request: Request, wanted: str, message: str, status: int = 200, retry_after: int = 0) -> HTMLResponse:
    settings = console_of(request).settings
    shown = shown_page(
        request,
        "sign_in.html",
        None,
        status=status,
        wanted=wanted,
        message=message,
        server=settings.server_url,
        viewers=settings.viewers,
    )
    if retry_after:
        shown.headers["Retry-After"] = str(retry_after)
    return shown


def _safe(wanted: str) -> str:
    """Return only a path of this console: never another site, whatever the link said."""
    # Browsers read // and /\ at the beginning as the start of another host.
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) else "/"

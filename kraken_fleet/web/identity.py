"""Who sends a request: by the cookie of somebody who signed in here, or by the word of a proxy that is named for it."""

from __future__ import annotations

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import Scope

from kraken_fleet.web.console import Console, cookie_of
from kraken_fleet.web.people import People, Standing
from kraken_fleet.web.records import account_of, record
from kraken_fleet.web.sessions import Session


def session_of(request: Request, console: Console) -> Session | None:
    """Return the session of whoever sends a request; None when that person has to sign in.

    What a proxy says counts more than a cookie: the cookie may be of somebody who used this browser before.

    Raises:
        HTTPException: 400 or 403: what the proxy says is no person, or one that may not look.
        ConsoleAccountError, ServerError: the person's role cannot be read.
    """
    name = person_of(request, console)
    if name is not None and console.people:
        return _named(request, console, console.people, name)
    key = request.cookies.get(cookie_of(console.settings), "")
    session = console.sessions.get(key)
    # The server cannot end what people do with the console's own account: their role is looked at here.
    if session and session.borrows and console.people and console.people.standing(session.user) is Standing.NOBODY:
        console.sessions.remove(key)
        return None
    return session


def is_still_here(console: Console, session: Session) -> bool:
    """Say whether somebody whose request was let in may still look, without beginning the session's time anew.

    Raises:
        ConsoleAccountError, ServerError: the person's role cannot be read.
    """
    if not console.sessions.holds(session):
        return False
    if not session.borrows or not console.people:
        return True
    standing = console.people.standing(session.user)
    return standing is Standing.ADMINISTRATOR or (standing is Standing.VIEWER and console.settings.viewers)


def person_of(request: Request, console: Console) -> str | None:
    """Return whom a proxy names as the sender; None when there is no such proxy. Raises HTTPException as session_of."""
    sign_on = console.settings.sign_on
    return sign_on.person(request.scope) if sign_on else None


def is_known(console: Console, scope: Scope) -> bool:
    """Say, as far as the head of a request tells, whether somebody sends it who is signed in."""
    request = Request(scope)
    if console.sessions.get(request.cookies.get(cookie_of(console.settings), "")):
        return True
    try:
        name = console.settings.sign_on.person(scope) if console.settings.sign_on else None
    except HTTPException:
        return False
    return name is not None and console.sessions.knows(name)


def _named(request: Request, console: Console, people: People, name: str) -> Session:
    standing = people.standing(name)
    if standing is Standing.NOBODY:
        raise HTTPException(403, f"{name} has no account on this server, or one that is disabled")
    if standing is Standing.VIEWER and not console.settings.viewers:
        raise HTTPException(403, f"{name} is no administrator of this server")
    made = Session(name, people.client)
    session = console.sessions.named(made)
    session.may_change = standing is Standing.ADMINISTRATOR
    if session is made:
        record(console, request, name, "sign in", account=account_of(session.client))
    return session

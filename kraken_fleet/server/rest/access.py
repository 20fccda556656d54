"""Who asks: log-in sessions, and the dependencies that routes name to demand one."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from starlette.types import Scope

from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.rest.problems import NOT_VERIFIED, Problem
from kraken_fleet.server.store.tables import LoginSession, User

_DAY = 86400.0


def core_of(request: Request) -> Core:
    """Return the server that the request came to."""
    core: Core = request.app.state.core
    return core


CoreDep = Annotated[Core, Depends(core_of)]


def token_hash(token: str) -> str:
    """Hash a token as it is kept: tokens are random, so one round is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def find_session(core: Core, session: Session, token: str) -> LoginSession | None:
    """Return the living session of a token whose user is enabled."""
    oldest = now() - core.settings.session_days * _DAY
    row = session.scalars(
        select(LoginSession)
        .where(LoginSession.token_hash == token_hash(token), LoginSession.deleted.is_(None))
        .where(LoginSession.created > oldest)
        .options(joinedload(LoginSession.user))
    ).one_or_none()
    usable = row is not None and row.user.enabled and row.user.deleted is None
    return row if usable else None


def token_of(request: Request) -> str:
    """Return the bearer token.

    Raises:
        Problem: 401 when there is none or the header has no scheme.
    """
    header = request.headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    if header and not token:
        raise Problem(401, "Invalid authorization header")
    if scheme.lower() != "bearer":
        raise Problem(401, "No authorization token provided")
    return token.strip()


def is_signed_in(core: Core, scope: Scope) -> bool:
    """Say whether a request has a valid token."""
    try:
        token = token_of(Request(scope))
    except Problem:
        return False
    with core.db.read() as session:
        return find_session(core, session, token) is not None


async def signed_in(request: Request, core: CoreDep) -> LoginSession:
    """Return the caller's session, as a dependency of routes; answer 401 without one."""
    token = token_of(request)
    with core.db.read() as session:
        row = find_session(core, session, token)
    if row is None:
        raise Problem(401, NOT_VERIFIED)
    return row


SignedIn = Annotated[LoginSession, Depends(signed_in)]


def admin(refusal: str) -> Callable[[LoginSession], Awaitable[User]]:
    """Return a dependency that demands an administrator.

    Args:
        refusal: the words of the 403 that others get.
    """

    async def check(caller: SignedIn) -> User:
        if not caller.user.superadmin:
            raise Problem(403, refusal)
        return caller.user

    return check

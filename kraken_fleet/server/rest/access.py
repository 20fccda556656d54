"""Who asks: log-in sessions, and the dependencies that routes name to demand one."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import bindparam, select
from sqlalchemy.orm import joinedload
from starlette.types import Scope

from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.rest.problems import NOT_VERIFIED, Problem
from kraken_fleet.server.store.tables import LoginSession, User

_DAY = 86400.0


async def core_of(request: Request) -> Core:
    """Return the server that the request came to.

    Asynchronous, for FastAPI calls any other function in a thread, which costs more than the whole answer may.
    """
    core: Core = request.app.state.core
    return core


CoreDep = Annotated[Core, Depends(core_of)]


def token_hash(token: str) -> str:
    """Hash a token as it is kept: tokens are random, so one round is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def find_session(core: Core, token: str) -> LoginSession | None:
    """Return the living session of a token whose user is enabled."""
    hashed = token_hash(token)
    row = core.log_ins.get(hashed)
    if row is None:
        with core.db.read() as session:
            row = session.scalars(_OF_TOKEN, {"hashed": hashed}).one_or_none()
        if row is not None:
            core.log_ins.keep(row)
    oldest = now() - core.settings.session_days * _DAY
    usable = row is not None and row.created > oldest and row.user.enabled and row.user.deleted is None
    return row if usable else None


_OF_TOKEN = (
    select(LoginSession)
    .where(LoginSession.token_hash == bindparam("hashed"), LoginSession.deleted.is_(None))
    .options(joinedload(LoginSession.user))
)


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
    return find_session(core, token) is not None


async def signed_in(request: Request, core: CoreDep) -> LoginSession:
    """Return the caller's session, as a dependency of routes; answer 401 without one."""
    row = find_session(core, token_of(request))
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

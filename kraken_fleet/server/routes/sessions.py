"""Logging in and out, users, and the version."""

from __future__ import annotations

import asyncio
import math
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy import select, update
from starlette.responses import Response

from kraken_fleet.listen import peer_of
from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.rest.access import CoreDep, SignedIn, admin, token_hash
from kraken_fleet.server.rest.bodies import body
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.rest.render import roles_json, session_json, user_json
from kraken_fleet.server.routes.common import answer, created, need, page
from kraken_fleet.server.store.passwords import NOBODY, check_password, hash_password
from kraken_fleet.server.store.seed import ADMIN
from kraken_fleet.server.store.tables import LoginSession, User

router = APIRouter()
# Wrong old passwords are counted apart from those of who signs in.
_OLD_PASSWORDS = "\0old passwords"
Credentials = Annotated[Any, Depends(body({"user": "string", "password": "string", "method": "string"}))]
NewUser = Annotated[Any, Depends(body({"name": "string", "password": "string"}))]
Rights = Annotated[Any, Depends(body({"enabled": "boolean", "superadmin": "boolean"}))]
Passwords = Annotated[Any, Depends(body({"password_old": "string", "password_new": "string"}))]


@router.post("/sessions")
async def log_in(request: Request, core: CoreDep, credentials: Credentials) -> Response:
    if "user" not in credentials or "password" not in credentials:
        raise Problem(400, "bad credentials")
    user = await _who(core, peer_of(request.scope), credentials["user"], credentials["password"])
    if not user.enabled:
        raise Problem(401, "user account is disabled")
    # 32 hexadecimal digits, as the real server's tokens are.
    token = secrets.token_hex(16)
    with core.db.write() as session:
        row = LoginSession(token_hash=token_hash(token), user_id=user.id)
        session.add(row)
        session.flush()
        return answer(session_json(row, token), 201)


async def _who(core: Core, peer: str | None, name: str, password: str) -> User:
    """Return the user of this name and password, unless too many wrong ones came before."""
    _check_attempts(core, name, peer)
    # One after another: what a hundred guesses sent at once find out is no more than what five find out.
    async with core.hashing:
        _check_attempts(core, name, peer)
        with core.db.read() as session:
            user = session.scalars(select(User).where(User.name == name, User.deleted.is_(None))).one_or_none()
        # Hashing takes long on purpose; agents must not wait for it.
        right = await asyncio.to_thread(check_password, password, user.password if user else NOBODY)
        if user is None or not right:
            core.attempts.failed(name, peer)
            raise Problem(401, "missing user or incorrect password")
        core.attempts.succeeded(name, peer)
        return user


def _check_attempts(core: Core, name: str, peer: str | None) -> None:
    wait = math.ceil(core.attempts.wait_seconds(name, peer))
    if wait:
        core.refusals.note("wrong passwords", peer, f"{peer} tried too many passwords, the last one for {name[:50]}")
        raise Problem(429, f"Too many wrong passwords: try again in {wait} s")


@router.get("/sessions/{token}")
async def session_details(caller: SignedIn, token: str) -> Response:
    if caller.token_hash != token_hash(token):
        raise Problem(403, "only user can get its session data")
    return answer(session_json(caller, token))


@router.delete("/sessions/{token}")
async def log_out(core: CoreDep, caller: SignedIn, token: str) -> Response:
    if caller.token_hash != token_hash(token):
        raise Problem(403, "only user can logout itself")
    with core.db.write() as session:
        need(session, LoginSession, caller.id, "user session not found").deleted = now()
    return Response(status_code=204, media_type="application/json")


@router.get("/version")
async def version(core: CoreDep, _caller: SignedIn) -> Response:
    return answer({"version": core.settings.version})


@router.get("/users", dependencies=[Depends(admin("only superadmin role can get users"))])
async def users(core: CoreDep, start: int = 0, limit: int = 30) -> Response:
    with core.db.read() as session:
        return page(
            core, session, select(User).where(User.deleted.is_(None)).order_by(User.name), start, limit, user_json
        )


@router.post("/users", dependencies=[Depends(admin("only superadmin role can create users"))])
async def create_user(core: CoreDep, wanted: NewUser) -> Response:
    for field in ("name", "password"):
        if field not in wanted:
            raise Problem(400, f"Missing {field} in user")
        if not wanted[field]:
            raise Problem(400, f"Empty {field} in user")
    hashed = await asyncio.to_thread(hash_password, wanted["password"])
    with core.db.write() as session:
        if session.scalars(select(User).where(User.name == wanted["name"])).one_or_none():
            raise Problem(400, f"User with name {wanted['name']} already exists")
        user = User(name=wanted["name"], password=hashed)
        return created(session, user, user_json)


@router.get("/users/{user_id:int}", dependencies=[Depends(admin("only superadmin role can get user"))])
async def user_details(core: CoreDep, user_id: int) -> Response:
    with core.db.read() as session:
        user = need(session, User, user_id, "user not found")
        return answer({**user_json(user), **roles_json(user)})


@router.patch("/users/{user_id:int}", dependencies=[Depends(admin("only superadmin role can create users"))])
async def change_rights(core: CoreDep, user_id: int, wanted: Rights) -> Response:
    """Make somebody an administrator, or disable an account, or take either back."""
    if wanted.get("projects"):
        raise Problem(501, "The embedded server has no roles in projects. A real Kraken server has this.")
    with core.db.write() as session:
        user = need(session, User, user_id, f"user {user_id} not found")
        user.enabled = wanted.get("enabled", user.enabled)
        if user.name != ADMIN:  # who is an administrator by the name, whatever else is said
            user.superadmin = wanted.get("superadmin", user.superadmin)
        return answer({**user_json(user), **roles_json(user)}, 201)


@router.put("/users/{user_id:int}/password")
async def change_password(
    request: Request, core: CoreDep, caller: SignedIn, user_id: int, passwords: Passwords
) -> Response:
    if caller.user_id != user_id and not caller.user.superadmin:
        raise Problem(403, "only superadmin role can change users passwords")
    peer = peer_of(request.scope)
    _check_attempts(core, _OLD_PASSWORDS, peer)
    if not passwords.get("password_new"):
        raise Problem(400, "new password cannot be empty")
    with core.db.read() as session:
        old = session.get(User, user_id)
    async with core.hashing:
        known = old.password if old else NOBODY
        right = await asyncio.to_thread(check_password, passwords.get("password_old", ""), known)
    if not right:
        core.attempts.failed(_OLD_PASSWORDS, peer)
        raise Problem(400, "user not found or old password is incorrect")
    hashed = await asyncio.to_thread(hash_password, passwords["password_new"])
    with core.db.write() as session:
        need(session, User, user_id, "user not found").password = hashed
        # Whoever has an old token may be whom the password was changed against. The one that asks may stay.
        others = (LoginSession.user_id == user_id, LoginSession.id != caller.id, LoginSession.deleted.is_(None))
        session.execute(update(LoginSession).where(*others).values(deleted=now()))
    core.log_ins.forget()
    return Response(status_code=204, media_type="application/json")

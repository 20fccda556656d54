"""The agents' door, POST /backend: in front of everything else, because nearly all requests come here.

It is plain ASGI: a poll of an idle agent costs one dictionary look-up and a prepared answer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kraken_fleet.server.agents.messages import UNAUTHORIZED, answer
from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.rest.problems import NOT_JSON, problem

log = logging.getLogger(__name__)

_PATHS = frozenset({"/backend", "/bk/backend"})
_UNAUTHORIZED = json.dumps(UNAUTHORIZED).encode()
# Test results of thousands of tests fit; a body larger than this is not an agent's.
_MAX_BODY = 32 * 1024 * 1024
_MAX_ADDRESS = 255


class AgentsDoor:
    """Middleware that answers agents and passes everything else on.

    Args:
        app: what comes behind.
        core: the server.
    """

    def __init__(self, app: ASGIApp, core: Core) -> None:
        self._app = app
        self._core = core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in _PATHS:
            await self._app(scope, receive, send)
        elif scope["method"] != "POST":
            await problem(405, "The method is not allowed for the requested URL.")(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await _body(receive)
        if raw is None:
            await problem(413, "The data value transmitted exceeds the capacity limit.")(scope, receive, send)
            return
        try:
            message = json.loads(raw)
        except (ValueError, RecursionError):
            await problem(400, NOT_JSON)(scope, receive, send)
            return
        client = scope.get("client")
        status, body = self._answer(message, client[0] if client else None)
        await _reply(send, status, body)

    def _answer(self, message: Any, peer: str | None) -> tuple[int, bytes]:
        try:
            kind, address = message["msg"], _address(message, peer)
            quick = self._quick(kind, address)
            if quick is not None:
                return 200, quick
            return 200, self._slow(address, peer, message)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            log.warning("a message from %s was not understood: %s: %s", peer, type(error).__name__, error)
        except Exception:
            log.exception("a message from %s failed", peer)
        return 500, b"{}"

    def _quick(self, kind: Any, address: str) -> bytes | None:
        """The answer when the roster is enough for it: unauthorized agents, and idle ones that only poll."""
        entry = self._core.roster.known(address)
        if entry is None or not entry.settled:
            return None
        if not entry.authorized:
            reply = _UNAUTHORIZED
        elif entry.idle and kind in ("get-job", "get-job2"):
            reply = self._core.no_job
        elif entry.idle and kind == "keep-alive":
            reply = b"{}"
        else:
            return None
        self._core.roster.heard(entry.id, now())
        return reply

    def _slow(self, address: str, peer: str | None, message: Mapping[str, Any]) -> bytes:
        try:
            with self._core.db.write() as session:
                return json.dumps(answer(self._core, session, address, peer, message)).encode()
        except BaseException:
            self._core.roster.forget(address)
            raise


def _address(message: Any, peer: str | None) -> str:
    """Who the agent claims to be; its peer address when it leaves that to the server."""
    address = message["address"]
    if address is None:
        address = peer
    if not isinstance(address, str) or len(address) > _MAX_ADDRESS:
        raise TypeError(f"address is not a string of at most {_MAX_ADDRESS} characters")
    return address


async def _body(receive: Receive) -> bytes | None:
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        chunk = event.get("body", b"")
        size += len(chunk)
        if size > _MAX_BODY:
            return None
        chunks.append(chunk)
        if not event.get("more_body"):
            return b"".join(chunks)


async def _reply(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})

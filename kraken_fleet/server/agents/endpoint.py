"""The agents' endpoint, POST /backend, as a middleware before the REST API: nearly all requests come here.

It is plain ASGI: a poll of an idle agent costs one dictionary look-up and a prepared answer.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import DatabaseError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kraken_fleet.listen import peer_of
from kraken_fleet.server import intake
from kraken_fleet.server.agents.identity import check_peer
from kraken_fleet.server.agents.messages import UNAUTHORIZED, answer
from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.intake import NotJsonError, RefusedError
from kraken_fleet.server.rest.problems import NOT_JSON, problem
from kraken_fleet.server.store.roster import Entry

log = logging.getLogger(__name__)

AGENTS_PATHS = frozenset({"/backend", "/bk/backend"})
_UNAUTHORIZED = json.dumps(UNAUTHORIZED).encode()
_POLLS = frozenset({"get-job", "get-job2"})


class AgentsEndpoint:
    """Middleware that answers agents and passes everything else on.

    Args:
        app: the application that answers everything else.
        core: the server.
    """

    def __init__(self, app: ASGIApp, core: Core) -> None:
        self._app = app
        self._core = core
        self._transactions = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in AGENTS_PATHS:
            await self._app(scope, receive, send)
        elif scope["method"] != "POST":
            await problem(405, "The method is not allowed for the requested URL.")(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = peer_of(scope)
        try:
            _check_sender(scope)
            raw = await _body(receive, self._most_from(peer))
            reply = await self._in_turn(self._core.intake.decode(raw), peer)
        except NotJsonError:
            await problem(400, NOT_JSON)(scope, receive, send)
        except (RefusedError, HTTPException) as error:
            words = error.words if isinstance(error, RefusedError) else str(error.detail)
            status = error.status if isinstance(error, RefusedError) else error.status_code
            self._core.refusals.note("agent's message", peer, f"{peer}: {words}")
            await problem(status, words)(scope, receive, send)
        else:
            await _reply(send, 200 if reply is not None else 500, b"{}" if reply is None else reply)

    def _most_from(self, peer: str | None) -> int:
        limits = self._core.settings.limits
        return limits.message_bytes if self._core.roster.is_known(peer) else limits.unknown_client_message_bytes

    async def _in_turn(self, message: Any, peer: str | None) -> bytes | None:
        """The answer: at once for an authorized agent that only polls; whatever costs a transaction waits for its turn.

        Without turns each round of the event loop answers all that have sent a message. A request takes several rounds,
        so that with two hundred busy agents, as after a start of the server, everybody else waited for seconds.
        """
        claimed = message.get("address", peer) if isinstance(message, dict) else None
        if not isinstance(claimed, str) or not self._core.roster.is_authorized(claimed):
            async with self._core.turns.turn():
                return self._answer(message, peer)
        if self._only_polls(claimed, message):
            return self._answer(message, peer)
        async with self._transactions:
            reply = self._answer(message, peer)
            await asyncio.sleep(0)  # whoever is next has the turn in the next round
            return reply

    def _only_polls(self, address: str, message: Mapping[str, Any]) -> bool:
        entry = self._core.roster.known(address)
        return entry is not None and entry.idle and message.get("msg") in _POLLS

    def _answer(self, message: Any, peer: str | None) -> bytes | None:
        """Return the answer; None when the message lacks something, which the real server answers with a bare 500."""
        try:
            kind, claimed = message["msg"], message["address"]
            entry = self._core.roster.known(claimed) if isinstance(claimed, str) else None
            if entry is None:
                claimed = intake.address(claimed, peer)
                entry = self._core.roster.known(claimed)
            quick = self._quick(kind, claimed, entry, peer)
            return self._slow(claimed, peer, message) if quick is None else quick
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            words = f"a message from {peer} was not understood: {type(error).__name__}: {error}"
            self._core.refusals.note("agent's message", peer, words)
        except RefusedError:
            raise
        except DatabaseError as error:
            raise RefusedError(507, f"The server cannot keep this now: {error.orig}") from error
        except Exception:
            log.exception("a message from %s failed", peer)
        return None

    def _quick(self, kind: Any, address: str, entry: Entry | None, peer: str | None) -> bytes | None:
        """Return the answer when the roster is enough for it: unauthorized agents, and idle ones that only poll."""
        # An agent that was silent becomes active again, and one without a peer gets one: both change its record.
        if entry is None or not entry.active or entry.peer is None:
            return None
        if entry.peer != peer:
            check_peer(self._core, address, entry, peer)  # when it returns, the record gets another peer
            return None
        if not entry.authorized:
            reply = _UNAUTHORIZED
        elif entry.idle and kind in _POLLS:
            reply = self._core.no_job
        elif entry.idle and kind == "keep-alive":
            reply = b"{}"
        else:
            return None
        self._core.roster.seen(entry.id, now())
        return reply

    def _slow(self, address: str, peer: str | None, message: Mapping[str, Any]) -> bytes:
        try:
            with self._core.db.write() as session:
                return json.dumps(answer(self._core, session, address, peer, message)).encode()
        except BaseException:
            # The database has taken the message back; the roster may have kept what it said.
            self._core.roster.forget(address)
            raise


def _check_sender(scope: Scope) -> None:
    """Refuse what a web page may send: no agent has an origin, and every agent says that it sends JSON."""
    kind = b""
    for name, value in scope["headers"]:
        if name == b"origin":
            raise RefusedError(403, "A web page is no agent")
        if name == b"content-type":
            kind = value
    if kind.partition(b";")[0].strip().lower() != b"application/json":
        raise RefusedError(415, "An agent's message is sent as application/json")


async def _body(receive: Receive, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        chunk = event.get("body", b"")
        size += len(chunk)
        if size > most:
            raise RefusedError(413, f"The message is larger than {most} bytes")
        chunks.append(chunk)
        if not event.get("more_body"):
            return b"".join(chunks)


async def _reply(send: Send, status: int, body: bytes) -> None:
    # JSON under this type is what the real server sends (recorded from 1.7.36).
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})

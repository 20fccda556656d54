"""What a request may weigh: refused before it is kept, and before any route sees it."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kraken_fleet.listen.limits import Limits
from kraken_fleet.listen.peers import peer_of
from kraken_fleet.listen.refusals import Refusals

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


class RequestLimits:
    """Middleware: bounds the address and the body of each request.

    Args:
        app: what comes behind.
        limits: how much is allowed.
        is_known: asked about a request whose body is larger than an unknown client's may be.
        refusals: where refusals are written down.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        is_known: Callable[[Scope], Awaitable[bool]],
        refusals: Refusals | None = None,
    ) -> None:
        self._app = app
        self._limits = limits
        self._is_known = is_known
        self._refusals = refusals or Refusals(logging.getLogger(__name__))
        self._unknown_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self._limits.url_bytes:
            await self._refuse(scope, send, 414, f"The address is longer than {self._limits.url_bytes} bytes")
            return
        declared = _declared(scope)
        if scope["method"] in _WITHOUT_BODY and not declared:
            await self._app(scope, receive, send)
            return
        limit = self._limits.unknown_client_body_bytes
        if (declared is None or declared > limit) and await self._is_known(scope):
            limit = self._limits.body_bytes
        if declared is not None and declared > limit:
            await self._refuse(scope, send, 413, f"The body has {declared} bytes, {limit} are allowed")
            return
        body = _Body(self, scope, receive, limit, counted=limit < self._limits.body_bytes)
        try:
            await self._app(scope, body.receive, send)
        finally:
            self._unknown_bytes -= body.held

    async def _refuse(self, scope: Scope, send: Send, status: int, words: str) -> None:
        self.note(scope, words)
        body = {"detail": words, "status": status, "title": HTTPStatus(status).phrase, "type": "about:blank"}
        content = json.dumps(body).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(content)),
            (b"connection", b"close"),  # what of the body is still on its way is not waited for
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def note(self, scope: Scope, words: str) -> None:
        """Write a refusal down."""
        peer = peer_of(scope)
        self._refusals.note("request size", peer, f"{peer}: {scope['method']} {scope['path'][:100]}: {words}")

    def has_room(self, size: int) -> bool:
        """Count so many further bytes of unknown clients, unless the limit for all of them is reached."""
        if self._unknown_bytes + size > self._limits.unknown_client_bodies_bytes:
            return False
        self._unknown_bytes += size
        return True


class _Body:
    """The body of one request as it comes. `held` is how many of its bytes count as those of unknown clients."""

    def __init__(self, owner: RequestLimits, scope: Scope, receive: Receive, limit: int, *, counted: bool) -> None:
        self._owner, self._scope, self._receive = owner, scope, receive
        self._limit, self._counted = limit, counted
        self._size = 0
        self.held = 0

    async def receive(self) -> Message:
        """Return the next piece.

        Raises:
            HTTPException: 413 or 503: the body, or all bodies together, are too large.
        """
        message = await self._receive()
        size = len(message.get("body", b""))
        self._size += size
        if self._size > self._limit:
            raise self._too_much(413, f"The body is larger than {self._limit} bytes")
        if self._counted and size:
            if not self._owner.has_room(size):
                raise self._too_much(503, "Too much is being sent to this server at the moment")
            self.held += size
        return message

    def _too_much(self, status: int, words: str) -> HTTPException:
        self._owner.note(self._scope, words)
        return HTTPException(status, words, headers={"Connection": "close"})


def _declared(scope: Scope) -> int | None:
    """Return the size that the head announces; None when it announces none, 0 when there is no body."""
    length, chunked = b"", False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = value
        elif name == b"transfer-encoding":
            chunked = True
    if chunked:
        return None
    # The HTTP parser has seen to it that this is a number.
    return int(length[:20]) if length.isdigit() else 0

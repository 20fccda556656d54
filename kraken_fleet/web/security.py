"""What protects the console: headers on every answer, and nothing from other sites."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

log = logging.getLogger(__name__)

# No inline script or style anywhere, nothing from another origin, and nobody may frame the console.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


async def refuse_other_origins(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse, as middleware, a change that a page of another site sends, the sign-in form included.

    Browsers say where a request comes from; programs that send no `Origin` carry no cookie of a person either.
    """
    origin = request.headers.get("origin")
    if request.method in _CHANGING and origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return PlainTextResponse("This request comes from another site", status_code=403)
    return await call_next(request)


async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Add, as middleware, the headers above to everything, with the time it took; no cache keeps a page."""
    started = time.perf_counter()
    try:
        response = await call_next(request)
    except Exception:  # a fault of ours: it goes to the log, and the person's browser stays protected
        log.exception("%s %s failed", request.method, request.url.path)
        response = PlainTextResponse("The console failed. Its log says why", status_code=500)
    # The developer tools of browsers show it beside the time that the network took.
    response.headers["Server-Timing"] = f"page;dur={1000 * (time.perf_counter() - started):.1f}"
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if not request.url.path.startswith(f"{request.scope.get('root_path', '')}/static/"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response

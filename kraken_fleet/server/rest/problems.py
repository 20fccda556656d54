"""Errors as the real server words them: `{"detail","status","title","type"}`, and `{}` for every 500."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

log = logging.getLogger(__name__)

NOT_FOUND = (
    "The requested URL was not found on the server. If you entered the URL manually please check your spelling and "
    "try again."
)
NOT_JSON = "The browser (or proxy) sent a request that this server could not understand."
NOT_VERIFIED = (
    "The server could not verify that you are authorized to access the URL requested. You either supplied the wrong "
    "credentials (e.g. a bad password), or your browser doesn't understand how to supply the credentials required."
)
_METHOD = "The method is not allowed for the requested URL."
_TYPES = {"int_parsing": "integer", "bool_parsing": "boolean", "float_parsing": "number"}


class Problem(Exception):  # noqa: N818 it is an answer, named after its content type
    """An answer with a status other than 2xx.

    Args:
        status: HTTP status; 500 sends `{}` and no detail, as the real server does.
        detail: the server's words.
    """

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(f"{status} {detail}")
        self.status = status
        self.detail = detail


def problem(status: int, detail: str) -> Response:
    """Return the answer for a status and its words."""
    if status == 500:
        # The real server says `{}` and calls it HTML for every 500.
        return Response(b"{}", status, media_type="text/html; charset=utf-8")
    body = {"detail": detail, "status": status, "title": HTTPStatus(status).phrase, "type": "about:blank"}
    return JSONResponse(body, status, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Make an application answer every error in this shape."""

    async def known(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 registered for Problem only
        return problem(error.status, error.detail)

    async def routing(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 registered for HTTPException only
        words = {404: NOT_FOUND, 405: _METHOD}.get(error.status_code, str(error.detail))
        answer = problem(error.status_code, words)
        answer.headers.update(error.headers or {})
        return answer

    async def validation(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 registered for RequestValidationError only
        first = error.errors()[0]
        if first["type"] == "missing":
            return problem(400, f"Missing query parameter '{first['loc'][-1]}'")
        kind = _TYPES.get(first["type"], "string")
        return problem(400, f"Wrong type, expected '{kind}' for query parameter '{first['loc'][-1]}'")

    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(500, "")

    async def left(request: Request, _error: Exception) -> Response:
        # It asks again, or has given up: nothing is wrong here, and nobody reads the answer.
        log.info("%s %s: the client left before its request was read", request.method, request.url.path)
        return problem(400, "The request was cut off")

    app.add_exception_handler(Problem, known)
    app.add_exception_handler(ClientDisconnect, left)
    app.add_exception_handler(HTTPException, routing)
    app.add_exception_handler(RequestValidationError, validation)

    async def not_kept(request: Request, error: Exception) -> Response:
        assert isinstance(error, OperationalError)  # noqa: S101 registered for OperationalError only
        log.error("%s %s: %s", request.method, request.url.path, error.orig)
        return problem(507, f"The server cannot keep this now: {error.orig}")

    app.add_exception_handler(OperationalError, not_kept)
    app.add_exception_handler(Exception, unexpected)

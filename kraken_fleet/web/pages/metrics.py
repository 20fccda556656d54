"""Numbers for Prometheus, to whoever has an account of the server: by Basic authentication, which Prometheus can do."""

from __future__ import annotations

import base64
import binascii
import math
import time
from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, NotPermittedError, NotSignedInError
from kraken_fleet.listen import peer_of as peer_address
from kraken_fleet.model import DesiredFleet
from kraken_fleet.reconcile import read_server
from kraken_fleet.state import KEPT, recent_deploys, state_dir
from kraken_fleet.web.console import Console, console_of
from kraken_fleet.web.desired import desired_fleet
from kraken_fleet.web.memories import memories
from kraken_fleet.web.people import ConsoleAccountError, Standing, refused_account
from kraken_fleet.web.records import record

router = APIRouter()
_HINT = "The console needs the Python package prometheus-client: pip install 'kraken-fleet[metrics]'\n"


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Answer a scrape."""
    console, peer = console_of(request), peer_address(request.scope)
    account = _account(request.headers)
    if account is None:
        return _unauthorized("Scrape with the name and password of a Kraken account (basic_auth)\n")
    user, password = account
    wait = console.attempts.wait_seconds(user, peer)
    if wait:
        return PlainTextResponse("Too many attempts\n", 429, {"Retry-After": str(math.ceil(wait))})
    client, kept = console.scrapers.get(console.settings, user, password)
    try:
        answer, accepted = _of_account(console, client)
    except ConsoleAccountError as error:
        return PlainTextResponse(f"{error.message}\n", 502)
    except NotSignedInError as error:
        console.scrapers.drop(user, client)
        console.attempts.failed(user, peer)
        record(console, request, user, "scrape", result=str(error))
        return _unauthorized(f"{error.message}\n")
    except NotPermittedError:
        console.scrapers.drop(user, client)
        return PlainTextResponse(f"{user} is not an administrator of this server\n", 403)
    else:
        if accepted and not kept:
            console.attempts.succeeded(user, peer)
            kept = True
            if console.scrapers.keep(user, password, client):
                record(console, request, user, "scrape")
        return answer
    finally:
        # It may have signed in before something failed: the next scrape would leave one more session on the server.
        if not kept:
            client.close()


def _of_account(console: Console, client: KrakenClient) -> tuple[Response, bool]:
    """Return the answer to an account, and whether the server has accepted it.

    A viewer's own account may read nothing, so the numbers are read with the console's then, as its pages are.

    Raises:
        NotSignedInError: the server knows no such account with this password.
        NotPermittedError: it is no administrator's, and no viewer's of this console.
        ConsoleAccountError: the console's own account is refused.
    """
    try:
        return _answer(console, client)
    except NotPermittedError:
        people = console.people
        if people is None or not console.settings.viewers or people.standing(client.user) is Standing.NOBODY:
            raise
    try:
        return _answer(console, people.client)
    except (NotSignedInError, NotPermittedError) as error:
        raise refused_account(error) from error


def _answer(console: Console, client: KrakenClient) -> tuple[Response, bool]:
    """Return the answer, and whether the server has accepted the account.

    When the server cannot be read, the numbers say so: a scrape that is answered is easier to understand.

    Raises:
        NotSignedInError, NotPermittedError: see there.
    """
    try:
        from kraken_fleet.metrics import CONTENT_TYPE, failed_text, text
    except ModuleNotFoundError:
        return PlainTextResponse(_HINT, 501), False
    started = time.monotonic()
    try:
        reading = read_server(client, _desired(console), memories=memories(client))
    except (NotSignedInError, NotPermittedError):
        raise
    except FleetError:
        return Response(failed_text(), media_type=CONTENT_TYPE), False
    deploys = recent_deploys(state_dir(), KEPT)
    health = console.settings.health() if console.settings.health else None
    found = text(reading, time.monotonic() - started, deploys, health)
    return Response(found, media_type=CONTENT_TYPE), True


def _desired(console: Console) -> DesiredFleet | None:
    try:
        return desired_fleet(console.settings) if console.settings.inventory else None
    except FleetError:
        return None  # an inventory that is wrong says nothing of the server


def _account(headers: Mapping[str, str]) -> tuple[str, str] | None:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def _unauthorized(text: str) -> Response:
    return PlainTextResponse(text, 401, {"WWW-Authenticate": 'Basic realm="kraken-fleet metrics", charset="UTF-8"'})

"""From an HTTP response to a JSON value, or to the one error that says what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import requests

from kraken_fleet.api.shape import MalformedError
from kraken_fleet.errors import (
    NotPermittedError,
    NotSignedInError,
    RequestRejectedError,
    ServerFaultError,
    UnexpectedAnswerError,
)

T = TypeVar("T")
_NOT_KRAKEN = "Check the address: this does not look like a Kraken server"


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON body of a successful answer, and the request that it answers."""

    where: str
    body: object

    def decoded(self, decode: Callable[[object], T]) -> T:
        """Turn the body into a model.

        Raises:
            UnexpectedAnswerError: the body has not the shape that `decode` expects.
        """
        try:
            return decode(self.body)
        except MalformedError as error:
            raise UnexpectedAnswerError(str(error), where=self.where, hint=_NOT_KRAKEN) from None


def read_answer(response: requests.Response, where: str) -> Answer:
    """Return the JSON of a 2xx answer; a 204 and an empty body are an empty object.

    Raises:
        NotSignedInError, NotPermittedError, RequestRejectedError, ServerFaultError, UnexpectedAnswerError: see there.
    """
    raise_for_refusal(response, where)
    if response.status_code == 204 or not response.content:
        return Answer(where, {})
    try:
        return Answer(where, response.json())
    except requests.JSONDecodeError:
        kind = response.headers.get("Content-Type", "no content type")
        raise UnexpectedAnswerError(f"The answer is not JSON ({kind})", where=where, hint=_NOT_KRAKEN) from None


def raise_for_refusal(response: requests.Response, where: str) -> None:
    """Raise the error that a status of 300 or more stands for.

    Raises:
        NotSignedInError, NotPermittedError, RequestRejectedError, ServerFaultError, UnexpectedAnswerError: see there.
    """
    status = response.status_code
    if 300 <= status < 400:
        # Its query may hold a token of a single sign-on, and messages end up in logs.
        target = response.headers.get("Location", "elsewhere").split("?")[0]
        raise UnexpectedAnswerError(
            f"The address redirects to {target}", where=where, hint="If that is the server, give that address instead"
        )
    if status >= 400:
        _raise_for_error(response, where)


def _raise_for_error(response: requests.Response, where: str) -> None:
    status, detail = response.status_code, _detail(response)
    if status == 401:
        raise NotSignedInError(
            "The server does not accept our credentials", where=where, hint="Sign in again, or get a new token"
        )
    if status == 403:
        raise NotPermittedError(
            f"The account may not do this ({detail or 'no reason given'})",
            where=where,
            hint="Use an account with the superadmin role",
        )
    # Every 500 of Kraken has the body `{}`, so there is nothing of it to quote.
    if status >= 500:
        raise ServerFaultError(
            f"The server failed with status {status}",
            where=where,
            hint="Its own log says why; Kraken's answer does not",
        )
    # Every refusal of Kraken is a JSON object; anything else comes from a proxy or another program.
    if detail is None:
        raise UnexpectedAnswerError(f"Status {status} without Kraken's JSON", where=where, hint=_NOT_KRAKEN)
    raise RequestRejectedError(detail or f"status {status}", status=status, detail=detail, where=where)


def _detail(response: requests.Response) -> str | None:
    """Return the server's own words, None when this is not one of Kraken's error objects."""
    try:
        body = response.json()
    except requests.JSONDecodeError:
        return None
    return str(body.get("detail") or "").rstrip(".") if isinstance(body, dict) else None

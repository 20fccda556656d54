"""Why there was no answer: the one fact inside what requests wraps around urllib3 around the system's own error."""

from __future__ import annotations

import requests
from urllib3 import exceptions as urllib3

from kraken_fleet.errors import ServerUnreachableError

_CHECK = "Check that the server runs and that the address and port are right"


def unreachable(error: requests.RequestException, where: str, timeout: float) -> ServerUnreachableError:
    """Return the error to raise for a request that got no answer.

    Args:
        where: method and URL of the request.
        timeout: how long an answer was waited for, in seconds.
    """
    message, hint = _reason(error, _innermost(error), timeout)
    return ServerUnreachableError(message, where=where, hint=hint)


def _innermost(error: requests.RequestException) -> object:
    """Return what happened, without the count of attempts around it."""
    wrapped = error.args[0] if error.args else None
    return wrapped.reason if isinstance(wrapped, urllib3.MaxRetryError) else wrapped


def _reason(error: requests.RequestException, cause: object, timeout: float) -> tuple[str, str]:
    if isinstance(error, requests.exceptions.SSLError):
        return f"There is no trusted TLS connection ({cause})", "Give the CA of the server's certificate as CA bundle"
    if isinstance(error, requests.exceptions.ProxyError):
        return "The HTTP proxy does not let us through", "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
    if isinstance(cause, urllib3.NameResolutionError):
        return "The host's name is unknown", "Check the name in the address"
    if isinstance(cause, urllib3.NewConnectionError):
        reason = cause.__cause__.strerror if isinstance(cause.__cause__, OSError) else None
        return f"There is no connection ({reason or 'refused'})", _CHECK
    if isinstance(cause, urllib3.ReadTimeoutError):
        return f"The server did not answer within {timeout:g} s", "Look at its load, or give it more time"
    if isinstance(error, requests.Timeout):
        return "Nothing answers at this address", "Check the address, and firewalls on the way"
    return "The connection broke before there was an answer", _CHECK

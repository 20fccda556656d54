"""Sign-on by a proxy: the proxy knows who somebody is, and says so in a header.

The header counts only in requests that a proxy sends which the operator has named, and only when there is one of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Scope

from kraken_fleet.errors import UsageError
from kraken_fleet.listen import sender_of
from kraken_fleet.listen.peers import one_of

_HEADER_NAME = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
# What browsers and proxies send for other purposes, and names of people never are.
_OTHER_HEADERS = frozenset({"authorization", "connection", "cookie", "forwarded", "host", "origin", "referer"})
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class ProxySignOn:
    """Which header of which proxies names people.

    Args:
        header: its name.
        proxies: addresses or networks.

    Raises:
        UsageError: there is no proxy, or that is no name of a header for it.
    """

    header: str
    proxies: tuple[str, ...]

    def __post_init__(self) -> None:
        where = "--proxy-user-header"
        if not self.proxies:
            hint = "Give --proxy ADDRESS: the header counts only when the proxy at that address sends it"
            raise UsageError("No proxy is named that may say who somebody is", where=where, hint=hint)
        lower = self.header.lower()
        if not _HEADER_NAME.fullmatch(self.header) or lower in _OTHER_HEADERS or lower.startswith("x-forwarded-for"):
            hint = "Give a header of its own, such as X-Remote-User: letters, digits and single dashes"
            raise UsageError(f"{self.header!r} is no header for the names of people", where=where, hint=hint)

    def person(self, scope: Scope) -> str | None:
        """Return whom the proxy names; None when it names nobody, or when no proxy of these sent the request.

        Raises:
            HTTPException: 400: a proxy of these sent the header twice, or something that is not one person's name.
        """
        sender = sender_of(scope)
        if sender is None or not one_of(self.proxies)(sender):
            return None
        values = Headers(scope=scope).getlist(self.header)
        if not values or values == [""]:
            return None
        # A second one, or a list, has come from the browser: a proxy that adds to it would let people choose a name.
        if len(values) > 1:
            raise HTTPException(400, f"The proxy sends {self.header} twice. It has to replace it, not add to it")
        name = _text(values[0])
        if name is None or "," in name or not name.isprintable() or name != name.strip() or len(name) > _LONGEST_NAME:
            raise HTTPException(400, f"{self.header} from the proxy is not the name of one person")
        return name


def _text(value: str) -> str | None:
    """Return a header's value as the UTF-8 that it is; Starlette reads it as Latin-1. None when it is not UTF-8."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None

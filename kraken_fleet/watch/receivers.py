"""Who gets messages: web hooks, mail and chats, over apprise. Their URLs hold secrets and are never printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

import apprise

from kraken_fleet.errors import NotSentError, UsageError
from kraken_fleet.state import digest_of
from kraken_fleet.watch.message import Message

_TYPES: Mapping[str, apprise.NotifyType] = {
    "error": apprise.NotifyType.FAILURE,
    "warning": apprise.NotifyType.WARNING,
    "info": apprise.NotifyType.INFO,
}
# What LogCapture of apprise puts before each message: date, time and level.
_LOG_PREFIX = re.compile(r"^\S+ \S+ - [A-Z ]+ - ")
# Masking shorter parts of a URL, such as a port, would make the message unreadable and hide nothing.
_SHORTEST_SECRET = 4


class GivenUrl(NamedTuple):
    """A notify URL, and the place that names it: an option, a line of a file, a variable."""

    place: str
    url: str


class Receiver(Protocol):
    """Who gets messages.

    Args:
        identity: tells receivers apart, in the state too; it says nothing of the URL.
        label: what people read.
    """

    @property
    def identity(self) -> str: ...

    @property
    def label(self) -> str: ...

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            NotSentError: it was not taken.
        """


class AppriseReceiver:
    """A receiver that apprise knows how to reach.

    Args:
        given: its URL, https://appriseit.com/services says how they are written.

    Raises:
        UsageError: apprise does not understand the URL.
    """

    def __init__(self, given: GivenUrl) -> None:
        self.identity = digest_of(given.url)
        self._url = given.url
        # What apprise says of a URL that it does not understand repeats the URL.
        with apprise.LogCapture():
            made = apprise.Apprise.instantiate(given.url, suppress_exceptions=True)
        if not isinstance(made, apprise.NotifyBase):
            hint = "https://appriseit.com/services lists how they are written: json://HOST/PATH, mailto://USER:..."
            raise UsageError("The notify URL is not one that apprise understands", where=given.place, hint=hint)
        self._made = made
        self.label = f"{made.service_name} ({given.place})"

    def send(self, message: Message) -> None:
        with apprise.LogCapture() as said:
            sent = self._made.notify(
                body=message.body,
                title=message.title,
                notify_type=_TYPES.get(message.severity, apprise.NotifyType.INFO),
                # Parts are what hosts and agents wrote: apprise escapes text for services that show HTML, such as mail.
                body_format=apprise.NotifyFormat.TEXT,
            )
            log = said.getvalue()
        if not sent:
            raise NotSentError(self._reason(log), where=self.label, hint="The next round tries again")

    def _reason(self, log: str) -> str:
        """Return what apprise said last, without anything that is in the URL but its host."""
        said = _LOG_PREFIX.sub("", next(reversed(log.strip().splitlines()), "")).strip().rstrip(".")
        for secret in _secrets(self._url):
            said = said.replace(secret, "***")
        return said or "It was not taken"


def receivers_of(urls: Iterable[GivenUrl]) -> list[Receiver]:
    """Return the receivers, each once.

    Raises:
        UsageError: apprise does not understand one of the URLs.
    """
    found = {receiver.identity: receiver for receiver in map(AppriseReceiver, urls)}
    return list(found.values())


def has_secret(url: str) -> bool:
    """Say whether a URL may hold a secret: all but a plain host and path may."""
    parts = urlsplit(url)
    return parts.scheme not in ("json", "jsons", "xml", "xmls", "form", "forms") or "@" in parts.netloc


def _secrets(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    words = {url, *re.split(r"[/:@?&=,]+", url.partition("://")[2])}
    words |= {unquote(word) for word in words}
    # The host alone is no secret where it is one: other URLs have a token in its place.
    words -= {parts.hostname or ""} if not has_secret(url) or "@" in parts.netloc else set()
    return iter(sorted((word for word in words if len(word) >= _SHORTEST_SECRET), key=len, reverse=True))

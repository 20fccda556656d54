"""What happens in a watch, one value at a time, for people and for programs; with events of reconciliations."""

from __future__ import annotations

from dataclasses import dataclass

from kraken_fleet.reconcile import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked(Event):
    """The server and the inventory were read: so many agents, and so many problems, told of or not yet."""

    agents: int
    problems: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told(Event):
    topic: str
    subject: str
    message: str
    hint: str
    severity: str
    finding: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeared(_Told):
    """A problem that people are told of; since when it has been there, ISO 8601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Over(_Told):
    """A problem that people were told of, and that is there no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSend(Event):
    """In a dry run: the message that would be sent."""

    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delivery(Event):
    receiver: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent(_Delivery):
    """A receiver has got a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent(_Delivery):
    """A receiver has not got a message; the next round tries again."""

    reason: str

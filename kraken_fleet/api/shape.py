"""Taking values of the expected type out of JSON. What is missing or of another type is a MalformedError."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

T = TypeVar("T")
_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}


class MalformedError(ValueError):
    """The JSON lacks something or has the wrong type; the caller knows which request it answers."""


def as_object(data: object, what: str = "the answer") -> Mapping[str, object]:
    """Return the same, which has to be a JSON object.

    Args:
        what: what it is, for the message.

    Raises:
        MalformedError: it is none; so do all functions here.
    """
    if not isinstance(data, dict):
        raise MalformedError(f"{what} should be an object, is {_kind(data)}")
    return data


def as_list(data: object, what: str = "the answer") -> list[object]:
    """Return the same, which has to be a JSON list."""
    if not isinstance(data, list):
        raise MalformedError(f"{what} should be a list, is {_kind(data)}")
    return data


def list_of(decode: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """Return a decoder for a list of what `decode` reads."""
    return lambda data: tuple(decode(item) for item in as_list(data))


def items_of(decode: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """Return a decoder for Kraken's `{"items": [...], "total": N}`, however long."""
    return lambda data: list_of(decode)(as_object(data).get("items"))


def page_of(decode: Callable[[object], T]) -> Callable[[object], tuple[tuple[T, ...], int]]:
    """Return a decoder for one page: its items, and the length of the whole list."""
    return lambda data: (items_of(decode)(data), whole(as_object(data), "total"))


def nested(row: Mapping[str, object], key: str, decode: Callable[[object], T]) -> tuple[T, ...]:
    """Return the list at `key`, empty when it is absent or null."""
    return tuple(decode(item) for item in as_list(row.get(key) or [], f"`{key}`"))


def whole(row: Mapping[str, object], key: str, default: int | None = None) -> int:
    """Return the whole number at `key`; where it is absent or null, the default, which is an error when None."""
    value = optional_whole(row, key)
    if value is None:
        value = default
    if value is None:
        raise MalformedError(f"`{key}` is missing")
    return value


def optional_whole(row: Mapping[str, object], key: str) -> int | None:
    """Return the whole number at `key`; None where it is absent or null."""
    value = row.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise MalformedError(f"`{key}` should be a whole number, is {_kind(value)}")


def text(row: Mapping[str, object], key: str, *, required: bool = False) -> str:
    """Return the text at `key`; where it is absent or null, an empty one, which is an error when required."""
    value = optional_text(row, key)
    if value is None and required:
        raise MalformedError(f"`{key}` is missing")
    return value or ""


def optional_text(row: Mapping[str, object], key: str) -> str | None:
    """Return the text at `key`; None where it is absent or null."""
    value = row.get(key)
    if value is None or isinstance(value, str):
        return value
    raise MalformedError(f"`{key}` should be text, is {_kind(value)}")


def flag(row: Mapping[str, object], key: str, *, default: bool = False) -> bool:
    """Return what is true or false at `key`; the default where it is absent or null."""
    value = row.get(key)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    raise MalformedError(f"`{key}` should be true or false, is {_kind(value)}")


def moment(row: Mapping[str, object], key: str) -> datetime | None:
    """Read a time with its zone. Records carry ISO 8601, log lines RFC 822; anything else is None."""
    value = optional_text(row, key)
    if not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        try:
            found = parsedate_to_datetime(value)
        except ValueError:
            return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _kind(value: object) -> str:
    """Return what JSON calls the type of a value; never the value itself, which may be anything."""
    return "missing" if value is None else _KINDS.get(type(value), type(value).__name__)
